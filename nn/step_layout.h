#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nn/graph.h"
#include "nn/layer.h"
#include "nn/step_plan.h"

namespace shardmill::nn {

// What is laid out in the memory of a step. The graph must outlive whoever has this.
struct StepParts {
  const Graph* graph = nullptr;
  std::vector<SavedSize> saved;  // Of each node.
  uint64_t penalties = 0;        // Floats behind the losses of all rows.
};

// The order in which a step goes through a graph, and where each of its tensors lies. What lies in
// a value's home is kept until the way back has read it; or it is given up when the way forward has
// read it, and the layers that make it are gone through again right before the way back wants it.
// That gives the same numbers, as layers keep nothing between calls. A value that borrows the
// graph's sizes alone; cannot fail.
class StepLayout final {
 public:
  // A home of which `given_up` says so is made again, where the way back wants it; empty: none is.
  using Homes = std::vector<bool>;
  enum class Ways : uint8_t { kForward, kForwardAndBack };
  explicit StepLayout(const StepParts& parts, Ways ways = Ways::kForwardAndBack,
                      Homes given_up = {});

  // For batches of up to so many rows; returns how many floats it takes.
  uint64_t Place(uint64_t rows) { return plan_.Place(rows); }
  uint64_t rows() const { return plan_.rows(); }

  // Where things lie. Again: as the way back sees them.
  uint64_t activation(uint32_t home, bool again) const {
    return At(activations_[again ? 1 : 0][home]);
  }
  uint64_t saved(size_t node, bool again) const { return At(saved_[again ? 1 : 0][node]); }
  uint64_t gradient(uint32_t value) const { return At(gradients_[value]); }
  uint64_t aside(size_t node, size_t slot) const { return At(asides_[node][slot]); }
  uint64_t losses() const { return At(losses_); }  // Of each row, then the penalties.

  // The nodes that are gone through again right before this one's way back, in their order.
  std::span<const uint32_t> again(size_t node) const { return again_[node]; }

 private:
  uint64_t At(size_t tensor) const { return plan_.offset(tensor); }
  void GoForward(const StepParts& parts);
  void GoBack(const StepParts& parts);
  // Lists the nodes up to `last` that make what lies in that home, if it was given up.
  void MakeAgain(const StepParts& parts, uint32_t home, uint32_t last,
                 std::vector<uint32_t>& nodes);
  void GoAgain(const StepParts& parts, uint32_t node, uint32_t moment);
  void GoBackThrough(const StepParts& parts, uint32_t node, uint32_t moment);
  void Read(const StepParts& parts, uint32_t value, bool again, uint32_t moment);

  StepPlan plan_;
  Homes given_up_;                                  // And not yet made again.
  std::vector<std::vector<uint32_t>> makers_;       // Of what lies in each home: nodes.
  std::array<std::vector<size_t>, 2> activations_;  // Of each home.
  std::array<std::vector<size_t>, 2> saved_;        // Of each node.
  std::vector<size_t> gradients_;                   // Of each value that wants one.
  std::vector<std::vector<size_t>> asides_;  // Of each node's inputs whose gradient is added.
  std::vector<std::vector<uint32_t>> again_;
  size_t losses_ = 0;
};

}  // namespace shardmill::nn
