#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/rng.h"
#include "nn/backend_plugin.h"
#include "nn/ops/cpu/backend.h"

namespace shardmill::nn {

// A device that is compared with the processor: "copies", the processor once more but with memory
// of its own; "soft", a card of software, in the order of work that a seed draws, or "direct", the
// same without convolutions of cuDNN; or "card". Fails in words where there is none.
Result<LoadedPlugin::BackendPointer> OpenDeviceNamed(const std::string& name, uint64_t seed = 1,
                                                     const BackendSettings& settings = {});

// A tensor on the processor and its like on the other device.
struct Pair {
  Tensor here;
  Tensor there;

  ConstTensor in(const Backend& backend) const { return out(backend); }
  Tensor out(const Backend& backend) const { return backend.on_host() ? here : there; }
};

// Runs operations on the processor and on another device, with the same random numbers, and
// compares what they made. Owned by a test.
class Twin final {
 public:
  // Each seed has its own numbers.
  Twin(Backend& other, uint64_t seed) : other_(other), rng_(seed) {}
  ~Twin();
  Twin(const Twin&) = delete;
  Twin& operator=(const Twin&) = delete;

  // Numbers that an operation reads, evenly spread.
  Pair In(const Shape& shape, double low = -1, double high = 1);
  // Ids below the limit, and ends of so many rows with up to three ids each, for both sides.
  Pair Ids(uint64_t count, uint64_t limit);
  Pair Ends(uint64_t rows, uint64_t* end);
  // What an operation writes: NaN until it does.
  Pair Out(const Shape& shape);
  // A copy of it, which an operation may change on both sides.
  Pair Copy(const Pair& from);

  void Run(const std::function<void(Backend&)>& operation);

  // The greatest difference between the two sides, as a share of the greatest number that the
  // processor has there; infinite where either has something that is no number.
  double Difference(const Pair& pair);
  std::vector<float> There(const Pair& pair);

 private:
  Pair Make(const Shape& shape, const std::vector<float>& numbers);

  CpuBackend here_;
  Backend& other_;
  Rng rng_;
  std::vector<float*> of_here_, of_other_;
};

// The ids and ends of a pair, as the backend's.
std::span<const uint32_t> IdsOf(const Pair& pair, const Backend& backend);
std::span<const uint64_t> EndsOf(const Pair& pair, const Backend& backend);

}  // namespace shardmill::nn
