#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "common/result.h"
#include "tests/system/faults/disk_notes.h"

namespace shardmill::chaos {

// What the disk does to whoever writes.
enum class DiskFault : int32_t {
  kNone,
  kFull,      // There is no room.
  kReadOnly,  // Nothing changes any more.
  kNoSync,    // What was written does not arrive.
};

// A folder, and what the disk does to whoever writes there or below.
struct FaultPlace {
  char folder[512] = {};         // Does not change once it is set.
  std::atomic<int32_t> disk{0};  // A DiskFault.
};

// What a process that has loaded fault_preload.so finds in a file beside that library, and does.
// Lies in memory that the processes share.
struct FaultOrders {
  FaultPlace places[4];
  std::atomic<int64_t> clock_s{0};  // So far the time of day is ahead.
  std::atomic<uint64_t> faults{0};  // Calls that failed by order, or were told another time.
  char noted[512] = {};             // Of what lies in this folder it is noted what is on disk,
  std::atomic<bool> notes{false};   // from here on; see DiskNotes.
};

// Gives such orders to processes that are started with Preload() in front of their command line.
// Owned by a test, on its thread.
class FaultDesk final {
 public:
  // `library` is copied nowhere, and must stay; `folder`: where the file of orders goes.
  static Result<std::unique_ptr<FaultDesk>> Make(const std::string& library,
                                                 const std::string& folder);
  explicit FaultDesk(std::string library, FaultOrders* orders)  // For Make.
      : library_(std::move(library)), orders_(orders) {}
  ~FaultDesk();
  FaultDesk(const FaultDesk&) = delete;
  FaultDesk& operator=(const FaultDesk&) = delete;

  // "LD_PRELOAD=...", for env.
  std::string Preload() const { return "LD_PRELOAD=" + library_; }

  void SetDisk(DiskFault fault, const std::string& folder);
  // No disk has a fault any more.
  void MendDisks();
  // From now on, of what lies in that folder.
  Result<> NoteSyncs(const std::string& folder);
  DiskNotes notes() const { return DiskNotes(library_ + ".notes"); }
  void SetClock(int64_t ahead_s) { orders_->clock_s = ahead_s; }
  uint64_t faults() const { return orders_->faults; }

 private:
  std::string library_;
  FaultOrders* orders_;
};

}  // namespace shardmill::chaos
