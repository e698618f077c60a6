#pragma once

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

  bool HasRoom() const {
    const std::scoped_lock lock(mutex_);
    return !closed_ && values_.size() < room_;
  }
  // Waits for room; false where the box is closed.
  bool Put(T value) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || values_.size() < room_; });
    if (closed_) return false;
    values_.push_back(std::move(value));
    changed_.notify_all();
    return true;
  }
  // The next, if there is one now.
  std::optional<T> TryTake() {
    const std::scoped_lock lock(mutex_);
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
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
  bool closed_ = false;
};

}  // namespace shardmill
