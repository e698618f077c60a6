#include "tests/nn/soft_card/fiber.h"

#include <sanitizer/common_interface_defs.h>

#include <cstdint>
#include <cstring>
#include <utility>

// Keeps on the stack what a function leaves as it found it, and goes on where the other one did so.
asm(R"(
  .text
  .type shardmill_soft_switch, @function
shardmill_soft_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size shardmill_soft_switch, . - shardmill_soft_switch
)");
extern "C" void shardmill_soft_switch(void** left, void* other);

namespace shardmill::soft {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr size_t kStackBytes = size_t{256} << 10;
constexpr size_t kKept = 6;  // Registers.

Fiber* arriving = nullptr;

}  // namespace

Fiber::Fiber(std::function<void()> function)
    : function_(std::move(function)),
      memory_(std::make_unique_for_overwrite<char[]>(kStackBytes)),
      stack_(memory_.get()),
      stack_bytes_(kStackBytes) {
  // As if Begin had been called by nobody, at a place that calls leave aligned to 16 bytes.
  const auto top = reinterpret_cast<uintptr_t>(memory_.get() + kStackBytes) / 16 * 16;
  auto* const words = reinterpret_cast<uintptr_t*>(top) - 2;
  words[0] = reinterpret_cast<uintptr_t>(&Begin);
  words[1] = 0;
  place_ = words - kKept;
  std::memset(place_, 0, kKept * sizeof(uintptr_t));
}

void Fiber::Begin() {
  const Fiber& self = *arriving;
  self.Arrive(nullptr);
  self.function_();
}

void Fiber::LeaveFor(Fiber& other) {
  void* left = nullptr;
  other.came_from_ = this;
  arriving = &other;
  if constexpr (kSanitized) {
    __sanitizer_start_switch_fiber(&left, other.stack_, other.stack_bytes_);
  }
  shardmill_soft_switch(&place_, other.place_);
  Arrive(left);
}

void Fiber::Arrive(void* left) const {
  if constexpr (kSanitized) {
    __sanitizer_finish_switch_fiber(left, &came_from_->stack_, &came_from_->stack_bytes_);
  }
}

}  // namespace shardmill::soft
