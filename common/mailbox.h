#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace shardmill {

// Values on their way from one thread to another, a bounded number of them. Owned by main, which
// outlives both; any thread may call. The mutex guards the values and `closed_`, and is held for
// one move. Once closed, nobody waits any longer, and nothing more goes in.
template <class T>
class Mailbox final {
 public:
  explicit Mailbox(size_t room) : room_(room) {}

  // Waits for room; false where the box is closed.
  bool Put(T value) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || values_.size() < room_; });
    if (closed_) return false;
    values_.push_back(std::move(value));
    changed_.notify_all();
    return true;
  }
  // Takes the value where there is room now; else it stays where it is.
  bool TryPut(T& value) {
    const std::scoped_lock lock(mutex_);
    if (closed_ || values_.size() >= room_) return false;
    values_.push_back(std::move(value));
    changed_.notify_all();
    return true;
  }
  // The next, if there is one now.
  std::optional<T> TryTake() {
    const std::scoped_lock lock(mutex_);
    return TakeFirst();
  }
  // The next, if there is one within that time.
  std::optional<T> TakeWithin(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return closed_ || !values_.empty(); });
    return TakeFirst();
  }
  // Waits for the next; nothing where the box is closed.
  std::optional<T> Take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !values_.empty(); });
    if (closed_) return {};
    return TakeFirst();
  }
  void Close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    values_.clear();
    changed_.notify_all();
  }

 private:
  std::optional<T> TakeFirst() {
    if (values_.empty()) return {};
    std::optional<T> first(std::move(values_.front()));
    values_.pop_front();
    changed_.notify_all();
    return first;
  }

  const size_t room_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
  bool closed_ = false;
};

}  // namespace shardmill
