#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/rng.h"
#include "tests/nn/soft_card/fiber.h"

namespace shardmill::soft {

// Runs the threads of a kernel, one block after another. A thread goes on until it waits for
// others; of those that may go on the first one does by an order of warps that is drawn for each
// block, so that one warp may run far ahead of another. What a block shares is poisoned before it
// begins. Threads that wait for one that has ended, or waits elsewhere, end the program.
class Threads final {
 public:
  explicit Threads(uint64_t seed) : rng_(seed) {}

  void Run(const dim3& grid, const dim3& block, const std::function<void()>& kernel);

  // What a thread of the kernel calls.
  void Synchronize();
  uint64_t Exchange(uint64_t mine, uint32_t apart);

  static constexpr uint32_t kThreadsMax = 1024;

 private:
  static constexpr uint32_t kWarp = 32;

  struct Warp {
    uint32_t ready = 0;  // A bit for each lane that may go on.
    uint32_t exchanging = 0;
    bool odd = false;  // Which of two exchanges that may be under way is next.
  };

  void RunBlock();
  void RunThreads(Fiber& self);
  std::optional<uint32_t> Next() const;
  void Enter(uint32_t thread);
  void GoOn();

  Rng rng_;
  const std::function<void()>* kernel_ = nullptr;
  uint32_t count_ = 0;
  std::vector<Warp> warps_;
  std::vector<uint32_t> order_;  // Of warps.
  bool forwards_ = true;         // Which lane of a warp goes first.
  uint32_t waiting_ = 0;         // For all of the block.
  uint32_t ended_ = 0;
  uint32_t thread_ = 0;  // That runs.
  std::array<Fiber*, kThreadsMax> fiber_of_{};
  std::array<std::array<uint64_t, kThreadsMax>, 2> numbers_{};

  Fiber host_;
  Fiber* running_ = &host_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

}  // namespace shardmill::soft
