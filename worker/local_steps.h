#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/model.h"
#include "common/result.h"
#include "nn/network.h"
#include "optim/optimizer.h"

namespace shardmill {

// Of the gradients as one vector.
double LengthOf(std::span<const std::span<float>> gradients);

// Scales the gradients together so that, as one vector, they are no longer than `length_max`.
void BoundLength(std::span<const std::span<float>> gradients, double length_max);

// What a process does to parameters of its own, with state that is kept here: between two averages,
// or where there are no servers. Where a model's device has memory of its own, dense parameters may
// stay there: then what is lent here of them and their gradients is the host's, and is as it was.
// Owned by whoever trains, on its thread.
class LocalSteps final {
 public:
  // `workers` scales the rate where the settings say so. A parameter with an update of its own is
  // stepped by that, the others by `settings`. Fails on settings that cannot be.
  static Result<std::unique_ptr<LocalSteps>> Make(const UpdateSettings& settings, uint32_t workers,
                                                  std::span<const ParameterSpec> parameters);

  const UpdateSettings& update(size_t parameter) const { return parts_[parameter].update; }
  const Optimizer& optimizer(size_t parameter) const { return *parts_[parameter].optimizer; }
  // Of a dense parameter, as a snapshot has them: slot by slot, and how many there were.
  std::span<float> state(size_t parameter) { return parts_[parameter].state; }
  uint64_t& steps(size_t parameter) { return parts_[parameter].steps; }

  // From here on dense parameters are stepped where the network computes, in the device's memory,
  // which must outlive this. Words where they are not; and where it has no room for a step besides,
  // the network lets them go again.
  std::string StepOn(nn::Network& network);
  // The host's parameters have other values than were fetched.
  void Renew();
  // The values that steps on a device have made; state() with what it keeps. Fails as the device
  // does.
  Result<> Fetch(std::span<const std::span<float>> parameters) const;
  Result<> FetchState(size_t parameter);

  // Of the gradients of the last batch, wherever they are: the length of all as one vector; the
  // first with a NaN or an infinity in it; and bounds those that are no averages, together.
  double Length(std::span<const std::span<float>> gradients) const;
  std::optional<size_t> FirstNonfinite(std::span<const std::span<float>> gradients) const;
  void Bound(std::span<const std::span<float>> gradients, double length_max);
  Result<> FetchGradients(std::span<const std::span<float>> gradients) const;

  // One step of each dense parameter, the round-th of the training, counted from 1. Gradients are
  // used as scratch. What is no number stays in the state for good: ask FirstNonfinite before.
  void Step(uint64_t round, std::span<const std::span<float>> gradients,
            std::span<const std::span<float>> parameters);
  float RateOf(size_t parameter, uint64_t round) const;

 private:
  struct Part {
    UpdateSettings update = {};
    std::unique_ptr<Optimizer> optimizer = {};
    bool sparse = false;
    bool trained = true;
    std::vector<float> state = {};
    uint64_t steps = 0;
  };

  explicit LocalSteps(uint32_t workers) : workers_(workers) {}

  // What keeps parameters on a device, or this one; or null.
  nn::Kept* KeptParameters() const;
  nn::Kept* KeptOn(size_t parameter) const;
  double Squares(size_t parameter, std::span<const float> gradient) const;

  uint32_t workers_;
  std::vector<Part> parts_;
  std::vector<UpdateTime> times_;   // Of the last step.
  nn::Network* network_ = nullptr;  // That keeps parameters on its device.
  float scale_ = 1;                 // By which the last gradients there are bounded.
};

}  // namespace shardmill
