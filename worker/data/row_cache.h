#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/process/file_lock.h"
#include "common/result.h"
#include "worker/data/sample_store.h"

namespace shardmill {

// The folder where packed rows lie, and the files there of one data set: a file a part, named by
// what it is made of. Who makes them holds a lock until it is done or ends. Owned by a reader, on
// its thread. Errors name paths.
class RowCache final {
 public:
  // What a part is made of: `family` all but what changes when its files do.
  struct Part {
    std::string family;
    std::string made_of;
  };

  RowCache(std::string folder, std::vector<Part> parts);

  bool enabled() const { return !folder_.empty(); }
  const std::string& made_of(size_t part) const { return parts_[part].made_of; }
  std::string PathOf(size_t part) const;

  // All parts; none where one is not there. One that is damaged is told in `notes`.
  Result<std::vector<std::unique_ptr<SampleStore>>> Open(std::vector<std::string>& notes) const;

  // Until the lock is this process's: kStopped where `stopped` comes first.
  Result<> Lock(const std::function<bool()>& stopped);

  // Takes away what was made of the same files as they were before.
  void RemoveOld() const;

 private:
  std::string FamilyOf(size_t part) const;

  const std::string folder_;
  const std::vector<Part> parts_;
  std::optional<FileLock> lock_;
};

}  // namespace shardmill
