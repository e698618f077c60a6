#pragma once

#include <mutex>
#include <utility>

namespace shardmill {

// The latest value of a T, handed from an agent's thread to the threads that serve HTTP. Owned by
// main, which outlives both; any thread may call. The mutex guards `value_` alone and is held for
// one move or one copy, so an agent never waits for a slow reader.
template <class T>
class Published final {
 public:
  explicit Published(T value = {}) : value_(std::move(value)) {}

  void Set(T value) {
    const std::scoped_lock lock(mutex_);
    std::swap(value_, value);  // The old value is destroyed after the lock is gone.
  }

  T Get() const {
    const std::scoped_lock lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  T value_;
};

}  // namespace shardmill
