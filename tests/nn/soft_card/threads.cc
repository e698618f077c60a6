#include "tests/nn/soft_card/threads.h"

#include <link.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "tests/nn/soft_card/memory.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace shardmill::soft {
namespace {

thread_local char shared_too = 0;

// What this library's variables of a thread lie in: all of them are what blocks share.
std::span<char> Shared() {
  shared_too = 1;  // There is nothing before the first access.
  std::span<char> found;
  const auto look = [](dl_phdr_info* library, size_t, void* to) {
    auto* const begin = static_cast<char*>(library->dlpi_tls_data);
    for (const ElfW(Phdr) & part : std::span(library->dlpi_phdr, library->dlpi_phnum)) {
      const std::span<char> all(begin, part.p_memsz);
      if (part.p_type != PT_TLS || begin == nullptr || &shared_too < begin ||
          &shared_too >= begin + all.size()) {
        continue;
      }
      *static_cast<std::span<char>*>(to) = all;
      return 1;
    }
    return 0;
  };
  dl_iterate_phdr(look, &found);
  return found;
}

}  // namespace

void Threads::Run(const dim3& grid, const dim3& block, const std::function<void()>& kernel) {
  gridDim = grid;
  blockDim = block;
  kernel_ = &kernel;
  count_ = block.x * block.y * block.z;
  const std::span<char> shared = Shared();
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  const bool forwards = rng_.Below(2) == 0;
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t at = forwards ? i : blocks - 1 - i;
    blockIdx = dim3(static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                    static_cast<unsigned>(at / grid.x / grid.y));
    std::memset(shared.data(), 0xff, shared.size());
    RunBlock();
  }
}

void Threads::RunBlock() {
  waiting_ = ended_ = 0;
  warps_.assign((count_ + kWarp - 1) / kWarp, {});
  order_.resize(warps_.size());
  for (uint32_t warp = 0; warp < warps_.size(); ++warp) {
    const uint32_t lanes = std::min(kWarp, count_ - warp * kWarp);
    warps_[warp].ready = ~uint32_t{0} >> (kWarp - lanes);
    const auto place = static_cast<uint32_t>(rng_.Below(warp + 1));
    order_[warp] = order_[place];
    order_[place] = warp;
  }
  forwards_ = rng_.Below(2) == 0;
  std::fill_n(fiber_of_.begin(), count_, nullptr);
  GoOn();
}

std::optional<uint32_t> Threads::Next() const {
  for (const uint32_t warp : order_) {
    const uint32_t ready = warps_[warp].ready;
    if (ready == 0) continue;
    const int lane = forwards_ ? std::countr_zero(ready) : 31 - std::countl_zero(ready);
    return warp * kWarp + static_cast<uint32_t>(lane);
  }
  return std::nullopt;
}

void Threads::Enter(uint32_t thread) {
  thread_ = thread;
  warps_[thread / kWarp].ready &= ~(uint32_t{1} << thread % kWarp);
  fiber_of_[thread] = running_;
  threadIdx =
      dim3(thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / blockDim.x / blockDim.y);
}

// Threads that wait for nobody need no more than one fiber.
void Threads::RunThreads(Fiber& self) {
  for (;;) {
    const std::optional<uint32_t> next = Next();
    if (next && fiber_of_[*next] == nullptr) {
      Enter(*next);
      (*kernel_)();
      ++ended_;
    } else {
      idle_.push_back(&self);
      GoOn();
    }
  }
}

// Leaves this fiber for that of the next thread, or for the host where all have ended.
void Threads::GoOn() {
  const std::optional<uint32_t> next = Next();
  Fiber* to = &host_;
  if (next && fiber_of_[*next] != nullptr) {
    to = fiber_of_[*next];
  } else if (next) {
    if (idle_.empty()) {
      Fiber*& made = idle_.emplace_back();
      fibers_.push_back(
          std::make_unique<Fiber>([this, place = fibers_.size()] { RunThreads(*fibers_[place]); }));
      made = fibers_.back().get();
    }
    to = idle_.back();
    idle_.pop_back();
  } else if (ended_ != count_) {
    Die("threads of a block wait for others that never come");
  }
  if (to == running_) return;
  Fiber& from = *running_;
  running_ = to;
  from.LeaveFor(*to);
}

void Threads::Synchronize() {
  const uint32_t self = thread_;
  if (++waiting_ == count_) {
    waiting_ = 0;
    for (uint32_t thread = 0; thread < count_; ++thread) {
      warps_[thread / kWarp].ready |= uint32_t{1} << thread % kWarp;
    }
  }
  GoOn();
  Enter(self);
}

uint64_t Threads::Exchange(uint64_t mine, uint32_t apart) {
  const uint32_t self = thread_;
  Warp& warp = warps_[self / kWarp];
  std::array<uint64_t, kThreadsMax>& numbers = numbers_[warp.odd ? 1 : 0];
  numbers[self] = mine;
  if (++warp.exchanging == kWarp) {
    warp = {.ready = ~uint32_t{0}, .exchanging = 0, .odd = !warp.odd};
  }
  GoOn();
  Enter(self);
  return numbers[self ^ apart];
}

}  // namespace shardmill::soft
