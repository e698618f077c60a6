#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "common/combine.h"
#include "common/result.h"
#include "common/update.h"

namespace shardmill {

// When a step is made.
struct UpdateTime {
  float rate = 0;
  uint64_t count = 1;  // Which step this is of these parameters, counted from 1.
  float weight = 1;    // What the pushes that were combined weigh together.
  float scale = 1;     // The change is multiplied by it.
};

// The state that stands beside a range of parameters: slot k of element i at data[k * stride + i].
struct UpdateState {
  float* data = nullptr;
  size_t stride = 0;

  UpdateState From(size_t begin) const { return {data + begin, stride}; }
};

// A row of a sparse table, and what its pushes combined to: `values` times `scale`, of `weight`
// together. In the row its parameters come first, then its state slot by slot, then how many steps
// it has had where that counts.
struct RowChange {
  float* row = nullptr;
  const float* values = nullptr;
  float scale = 1;
  float weight = 1;
};

// A formula over an element and its state, run over ranges of them: what changes a table, dense or
// sparse, and what a worker steps with between two averages. Holds its settings alone, so one may
// serve any number of tables; any thread.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  virtual const UpdateSettings& settings() const = 0;
  // Floats of state beside each parameter, all zero before the first step.
  virtual uint32_t slots() const = 0;
  virtual Combine combine() const = 0;
  // Whether a step depends on how many there were before it (UpdateTime::count).
  virtual bool counts() const = 0;

  // One step. `change` is what the pushes combined to. All spans are of one size.
  virtual void Step(const UpdateTime& time, std::span<const float> change,
                    std::span<float> parameters, UpdateState state) const = 0;

  // One step of each row; none is there twice.
  virtual void StepRows(float rate, uint32_t dim, std::span<const RowChange> rows) const = 0;
};

// The floats of a row of `dim` parameters, as in RowChange.
inline uint64_t RowFloats(uint32_t dim, const Optimizer& optimizer) {
  return uint64_t{dim} * (1 + optimizer.slots()) + (optimizer.counts() ? 1 : 0);
}

// How wide the vectors are that an optimizer computes in. It changes no bit of any number that
// comes out; the sign of a NaN is not promised.
enum class Vectors : uint8_t {
  kAsBuilt,
  kWidest,  // 512 bits where this processor has them.
};

// Whether this processor has vectors of 512 bits (x86-64-v4).
bool HasWideVectors();

// Fails on settings that cannot be.
Result<std::unique_ptr<Optimizer>> MakeOptimizer(const UpdateSettings& settings,
                                                 Vectors vectors = Vectors::kWidest);

}  // namespace shardmill
