#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/initial.h"
#include "common/result.h"
#include "nn/backend.h"
#include "nn/tensor.h"

namespace shardmill::nn {

// What becomes of a parameter from step to step.
enum class Role : uint8_t {
  kTrained,
  // A running average of what batches hold, such as batch_norm's mean. Its gradient is what it is
  // less what the batch has: plain descent by `rate` of it keeps the average, on servers too.
  kStatistic,
};

// One tensor of a layer that outlives a step: "weight", "bias".
struct ParameterInfo {
  std::string name;
  Shape shape;      // With a first extent of 0: as many rows as are lent.
  Initial initial;  // Without its seed.
  Role role = Role::kTrained;
  float rate = 1;            // Of a trained one: a factor of the job's. 0: it stays as it is.
  bool regularized = false;  // A weight, which the job's l1 and l2 keep small.
  size_t input = 0;          // Of a network: what the layer reads first; of lent rows an input.
};

enum class ValueKind : uint8_t {
  kFloats,
  kIndices,
  kSparse,  // Rows of any number of ids, each with a number.
};

// What one row of a value is; of kSparse the shape means nothing, and is {1}.
struct ValueType {
  ValueKind kind = ValueKind::kFloats;
  Shape row;
};

// What a layer reads: one of these.
struct Value {
  ConstTensor floats = {};
  IndexTensor indices = {};
  SparseRows sparse = {};
};

// How a network may treat the memory of a layer.
struct LayerTraits {
  bool view = false;               // The output is the first input's floats, both ways.
  bool in_place = false;           // The output may lie over the first input.
  bool gradient_in_place = false;  // The first input's gradient may lie over the output's.
  bool reads_inputs = true;        // On the way back; what is not read may be gone by then.
  bool reads_output = false;       // The same.
  bool by_chance = false;          // It reads the chance of a step, which is another in each.
};

// Floats that a layer keeps from its way forward to its way back.
struct SavedSize {
  uint64_t of_batch = 0;
  uint64_t of_row = 0;
};

struct ForwardPass {
  std::span<const Value> inputs;
  std::span<const ConstTensor> parameters;
  Tensor output;
  std::span<float> saved;
  bool training = false;
  uint64_t chance = 0;  // Of this step and this layer.
};

// Each filled tensor is written whole. A gradient that is not wanted is empty.
struct BackwardPass {
  std::span<const Value> inputs;
  ConstTensor output;
  Tensor output_gradient;  // May be used up.
  std::span<const ConstTensor> parameters;
  std::span<const Tensor> parameter_gradients;  // In the order of parameters.
  std::span<const Tensor> input_gradients;
  std::span<float> saved;
  uint64_t chance = 0;
};

// One step of a network, made for inputs of given shapes. It keeps no state between calls: weights,
// activations and gradients are lent for each, with one tensor a row of the batch along the first
// axis. Owned by a Network and used on its thread. What does not fit was refused when the layer was
// made; a wrong shape later is our own bug.
class Layer {
 public:
  virtual ~Layer() = default;

  // What a job file calls it: "affine".
  virtual std::string_view type() const = 0;
  // The shape of one row of the output.
  virtual const Shape& output() const = 0;
  virtual std::span<const ParameterInfo> parameters() const = 0;
  virtual LayerTraits traits() const = 0;
  virtual SavedSize Saved(Backend&) const { return {}; }
  // About how many products a row takes on the way forward.
  virtual uint64_t Work() const { return output().size(); }
  // Ids that it reads must be below this.
  virtual uint64_t IndexLimit() const { return UINT64_MAX; }
  // A batch that it is trained with has at least so many rows.
  virtual uint64_t RowsMin() const { return 1; }

  // The function of each number that this layer is, where it is nothing else.
  virtual std::optional<Elementwise> Function() const { return std::nullopt; }
  // Does that function too from now on, which then costs no layer of its own; or says no.
  virtual bool Absorb(const Elementwise&) { return false; }

  // Neither is called of a view.
  virtual void Forward(Backend& backend, const ForwardPass& pass) const = 0;
  virtual void Backward(Backend& backend, const BackwardPass& pass) const = 0;
};

using LayerResult = Result<std::unique_ptr<Layer>>;

}  // namespace shardmill::nn
