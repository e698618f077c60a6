#include "worker/local_steps.h"

#include <cmath>
#include <utility>

#include "common/finite.h"
#include "optim/rate.h"
#include "optim/squares.h"

namespace shardmill {

double LengthOf(std::span<const std::span<float>> gradients) {
  double squares = 0;
  for (const std::span<const float> gradient : gradients) squares += SquaresOf(gradient);
  return std::sqrt(squares);
}

void BoundLength(std::span<const std::span<float>> gradients, double length_max) {
  const double length = LengthOf(gradients);
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
                                                     uint32_t workers,
                                                     std::span<const ParameterSpec> parameters) {
  std::unique_ptr<LocalSteps> steps(new LocalSteps(workers));
  SM_TRY(steps->AddRule(settings));
  for (const ParameterSpec& parameter : parameters) {
    steps->rules_of_.push_back(parameter.update ? steps->rules_.size() : 0);
    if (parameter.update) SM_TRY(steps->AddRule(*parameter.update));
  }
  return steps;
}

Result<> LocalSteps::AddRule(const UpdateSettings& settings) {
  std::unique_ptr<Optimizer> optimizer = SM_TRY(MakeOptimizer(settings));
  rules_.push_back({settings, std::move(optimizer)});
  return {};
}

void LocalSteps::Step(uint64_t round, std::span<const std::span<float>> gradients,
                      std::span<const std::span<float>> parameters) {
  states_.resize(parameters.size());
  ++count_;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Rule& rule = rules_[i < rules_of_.size() ? rules_of_[i] : 0];
    const UpdateTime time{static_cast<float>(RateAt(rule.settings.rate, round, workers_)), count_};
    const size_t size = parameters[i].size();
    states_[i].resize(size * rule.optimizer->slots());
    rule.optimizer->Step(time, gradients[i], parameters[i], {states_[i].data(), size});
  }
}

}  // namespace shardmill
