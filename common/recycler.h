#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace shardmill {

// Objects that are used again instead of being deleted: there are as many as were ever in use at a
// time. Shared by whoever takes and gives back, so that it outlives them. Any thread; the mutex
// guards both lists.
template <class T>
class Recycler final {
 public:
  // One that was given back, as it was then, or a new one.
  T& Take() {
    const std::scoped_lock lock(mutex_);
    if (free_.empty()) {
      made_.push_back(std::make_unique<T>());
      free_.reserve(made_.size());  // To give back allocates nothing.
      return *made_.back();
    }
    T& used = *free_.back();
    free_.pop_back();
    return used;
  }

  void GiveBack(T& used) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(&used);
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> made_;
  std::vector<T*> free_;
};

}  // namespace shardmill
