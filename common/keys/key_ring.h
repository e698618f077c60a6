#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/keys/allow_list.h"
#include "common/keys/key_file.h"
#include "common/published.h"
#include "common/result.h"

namespace shardmill {

// The key of one process and the list of those whom it lets in, which is read again when its folder
// changes. Owned by main or by a session, outlives the ZeroMQ context; any thread may call.
class KeyRing final {
 public:
  // Takes secret/worker-RANK.key for a worker where that is there, else secret/ROLE.key. An error
  // says what is wrong with the folder. Null where that has no name: there are no keys.
  static Result<std::unique_ptr<KeyRing>> Open(const std::string& folder, Role role,
                                               std::optional<WorkerId> rank = {});

  const KeyPair& own() const { return own_; }
  // The list as last read.
  std::shared_ptr<const AllowList> allowed() const { return allowed_.Get(); }
  // Grows when there is another list.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Looks at the folder, and reads it where it has changed. What is wrong with it is said once.
  // While it cannot be read, nobody new is to be let in: false.
  bool Refresh(std::vector<Error>& troubles);

 private:
  // When the folders of certificates were last changed.
  struct Stamp {
    int64_t public_ns = 0;
    int64_t revoked_ns = 0;

    bool operator==(const Stamp&) const = default;
  };

  KeyRing(std::string folder, KeyPair own) : folder_(std::move(folder)), own_(std::move(own)) {}
  Stamp Look() const;
  // That the folder was read as it was then, unless it may have changed since without a trace.
  void Note(const Stamp& read);

  std::string folder_;
  KeyPair own_;
  Published<std::shared_ptr<const AllowList>> allowed_;
  std::atomic<uint64_t> version_{1};  // Of allowed_: written under the mutex, read by transports.
  std::mutex mutex_;  // Guards the two below: one thread reads the folder at a time.
  std::optional<Stamp> read_;
  bool readable_ = true;
};

}  // namespace shardmill
