#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "common/result.h"
#include "common/rng.h"

namespace shardmill::chaos {

// What the disk does to whoever writes.
enum class DiskFault : int32_t {
  kNone,
  kFull,      // There is no room.
  kReadOnly,  // Nothing changes any more.
  kNoSync,    // What was written does not arrive.
};

// What a process that has loaded fault_preload.so finds in a file beside that library, and does.
// Lies in memory that the processes share.
struct FaultOrders {
  std::atomic<int32_t> disk{0};     // A DiskFault,
  char folder[512] = {};            // of this folder and what is in it.
  std::atomic<int64_t> clock_s{0};  // So far the time of day is ahead.
  std::atomic<uint64_t> faults{0};  // Calls that failed by order, or were told another time.
  std::atomic<bool> notes{false};   // How much of each file is synced is noted; see NotePath.
};

// Where it is noted how many bytes of a file have been synced, beside the orders.
inline std::string NotePath(const std::string& orders, uint64_t inode) {
  return orders + "-" + std::to_string(inode);
}

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

  // The folder is the one of the first call: it is read without a lock.
  void SetDisk(DiskFault fault, const std::string& folder);
  // From now on, of files in that folder; it is the one of SetDisk, too. And what a power cut
  // leaves of the files in a folder below it, whose writers are gone: what was synced, and as much
  // of the rest as chance has it. Of how many files it was known how much was.
  void NoteSyncs(const std::string& folder);
  Result<uint64_t> CutPower(Rng& rng, const std::string& folder) const;
  void SetClock(int64_t ahead_s) { orders_->clock_s = ahead_s; }
  uint64_t faults() const { return orders_->faults; }

 private:
  std::string library_;
  FaultOrders* orders_;
};

}  // namespace shardmill::chaos
