#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "client/model.h"
#include "common/result.h"
#include "optim/optimizer.h"

namespace shardmill {

// Of the gradients as one vector.
double LengthOf(std::span<const std::span<float>> gradients);

// Scales the gradients together so that, as one vector, they are no longer than `length_max`.
void BoundLength(std::span<const std::span<float>> gradients, double length_max);

// The first gradient with a NaN or an infinity in it.
std::optional<size_t> FirstNonfinite(std::span<const std::span<float>> gradients);

// What a worker does to its own parameters between two averages: the job's optimizer, with its
// state kept here. The state belongs to this process: a worker that starts again begins with none.
// Owned by a trainer, on its thread.
class LocalSteps final {
 public:
  // `workers` scales the rate where the settings say so. A parameter with an update of its own is
  // stepped by that; none listed: all by `settings`. Fails on settings that cannot be.
  static Result<std::unique_ptr<LocalSteps>> Make(const UpdateSettings& settings, uint32_t workers,
                                                  std::span<const ParameterSpec> parameters = {});

  // One step, the round-th of the training, counted from 1. Gradients are used as scratch.
  // What is no number stays in the state for good: ask FirstNonfinite before.
  void Step(uint64_t round, std::span<const std::span<float>> gradients,
            std::span<const std::span<float>> parameters);

 private:
  struct Rule {
    UpdateSettings settings;
    std::unique_ptr<Optimizer> optimizer;
  };

  explicit LocalSteps(uint32_t workers) : workers_(workers) {}

  Result<> AddRule(const UpdateSettings& settings);

  uint32_t workers_;
  std::vector<Rule> rules_;       // The first is of all that have none of their own.
  std::vector<size_t> rules_of_;  // Of each parameter that was listed.
  uint64_t count_ = 0;
  std::vector<std::vector<float>> states_;  // Of each parameter, slot by slot.
};

}  // namespace shardmill
