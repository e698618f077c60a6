#include "worker/local_steps.h"

#include <cmath>
#include <utility>

#include "common/finite.h"
#include "optim/rate.h"

namespace shardmill {

void BoundLength(std::span<const std::span<float>> gradients, double length_max) {
  double squares = 0;
  for (const std::span<float> gradient : gradients) {
    for (const float value : gradient) squares += static_cast<double>(value) * value;
  }
  const double length = std::sqrt(squares);
  // What is not a number is left for the check that comes after.
  if (!(length > length_max) || !std::isfinite(length)) return;
  const auto scale = static_cast<float>(length_max / length);
  for (const std::span<float> gradient : gradients) {
    for (float& value : gradient) value *= scale;
  }
}

std::optional<size_t> FirstNonfinite(std::span<const std::span<float>> gradients) {
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!AllNumbers(gradients[i])) return i;
  }
  return std::nullopt;
}

Result<std::unique_ptr<LocalSteps>> LocalSteps::Make(const UpdateSettings& settings,
                                                     uint32_t workers) {
  std::unique_ptr<Optimizer> optimizer = SM_TRY(MakeOptimizer(settings));
  return std::unique_ptr<LocalSteps>(new LocalSteps(settings, workers, std::move(optimizer)));
}

LocalSteps::LocalSteps(const UpdateSettings& settings, uint32_t workers,
                       std::unique_ptr<Optimizer> optimizer)
    : settings_(settings), workers_(workers), optimizer_(std::move(optimizer)) {}

void LocalSteps::Step(uint64_t round, std::span<const std::span<float>> gradients,
                      std::span<const std::span<float>> parameters) {
  states_.resize(parameters.size());
  const UpdateTime time{static_cast<float>(RateAt(settings_.rate, round, workers_)), ++count_};
  for (size_t i = 0; i < parameters.size(); ++i) {
    const size_t size = parameters[i].size();
    states_[i].resize(size * optimizer_->slots());
    optimizer_->Step(time, gradients[i], parameters[i], {states_[i].data(), size});
  }
}

}  // namespace shardmill
