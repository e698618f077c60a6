#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace shardmill::soft {

// A stack of its own that a function runs on, until another one's turn comes. The first one is the
// stack of whoever made it. A function never returns. Millions of turns a second, which is why the
// C library's contexts do not serve: each turn of theirs asks the system.
class Fiber final {
 public:
  Fiber() = default;
  explicit Fiber(std::function<void()> function);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves this one, which runs, for the other; returns when this one's turn comes again.
  void LeaveFor(Fiber& other);

 private:
  static void Begin();
  void Arrive(void* left) const;

  std::function<void()> function_;
  std::unique_ptr<char[]> memory_;
  void* place_ = nullptr;        // On the stack, while another one runs.
  const void* stack_ = nullptr;  // For the sanitizer; of the first one it tells us.
  size_t stack_bytes_ = 0;
  Fiber* came_from_ = nullptr;
};

}  // namespace shardmill::soft
