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

namespace {

// What is no number is left for the check that comes after.
float BoundingScale(double length, double length_max) {
  if (!(length > length_max) || !std::isfinite(length)) return 1;
  return static_cast<float>(length_max / length);
}

void Scale(std::span<float> numbers, float by) {
  for (float& number : numbers) number *= by;
}

}  // namespace

void BoundLength(std::span<const std::span<float>> gradients, double length_max) {
  const float scale = BoundingScale(LengthOf(gradients), length_max);
  if (scale == 1) return;
  for (const std::span<float> gradient : gradients) Scale(gradient, scale);
}

Result<std::unique_ptr<LocalSteps>> LocalSteps::Make(const UpdateSettings& settings,
                                                     uint32_t workers,
                                                     std::span<const ParameterSpec> parameters) {
  std::unique_ptr<LocalSteps> steps(new LocalSteps(workers));
  for (const ParameterSpec& parameter : parameters) {
    Part& part = steps->parts_.emplace_back();
    part.update = parameter.update.value_or(settings);
    part.optimizer = SM_TRY(MakeOptimizer(part.update));
    part.sparse = parameter.sparse();
    part.trained = parameter.trained;
    part.state.resize(parameter.size * part.optimizer->slots());
  }
  return steps;
}

std::string LocalSteps::StepOn(nn::Network& network) {
  std::vector<const Optimizer*> rules;
  for (const Part& part : parts_) rules.push_back(part.optimizer.get());
  if (!network.Keep(rules)) return nn::Network::kNotKept;
  network_ = &network;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (nn::Kept* kept = KeptOn(i)) kept->PutState(i, parts_[i].state);
  }
  return "";
}

void LocalSteps::Renew() {
  if (nn::Kept* kept = KeptParameters()) kept->Forget();
}

nn::Kept* LocalSteps::KeptParameters() const {
  return network_ == nullptr ? nullptr : network_->kept();
}

nn::Kept* LocalSteps::KeptOn(size_t parameter) const {
  nn::Kept* const kept = KeptParameters();
  return kept != nullptr && kept->has(parameter) ? kept : nullptr;
}

Result<> LocalSteps::Fetch(std::span<const std::span<float>> parameters) const {
  for (size_t i = 0; i < parts_.size(); ++i) {
    nn::Kept* const kept = KeptOn(i);
    if (kept != nullptr && !kept->FetchParameter(i, parameters[i])) return network_->Failed();
  }
  return {};
}

Result<> LocalSteps::FetchState(size_t parameter) {
  nn::Kept* const kept = KeptOn(parameter);
  if (kept == nullptr || kept->FetchState(parameter, parts_[parameter].state)) return {};
  return network_->Failed();
}

Result<> LocalSteps::FetchGradients(std::span<const std::span<float>> gradients) const {
  for (size_t i = 0; i < parts_.size(); ++i) {
    nn::Kept* const kept = KeptOn(i);
    if (kept != nullptr && !kept->FetchGradient(i, gradients[i])) return network_->Failed();
  }
  return {};
}

double LocalSteps::Squares(size_t parameter, std::span<const float> gradient) const {
  const nn::Kept* const kept = KeptOn(parameter);
  if (kept == nullptr) return SquaresOf(gradient);
  const double scale = parts_[parameter].trained ? scale_ : 1;
  return scale * scale * kept->squares(parameter);
}

double LocalSteps::Length(std::span<const std::span<float>> gradients) const {
  double squares = 0;
  for (size_t i = 0; i < gradients.size(); ++i) squares += Squares(i, gradients[i]);
  return std::sqrt(squares);
}

std::optional<size_t> LocalSteps::FirstNonfinite(
    std::span<const std::span<float>> gradients) const {
  for (size_t i = 0; i < gradients.size(); ++i) {
    const nn::Kept* const kept = KeptOn(i);
    const bool all = kept != nullptr ? std::isfinite(kept->squares(i)) : AllNumbers(gradients[i]);
    if (!all) return i;
  }
  return std::nullopt;
}

void LocalSteps::Bound(std::span<const std::span<float>> gradients, double length_max) {
  scale_ = 1;
  double squares = 0;
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (parts_[i].trained) squares += Squares(i, gradients[i]);
  }
  scale_ = BoundingScale(std::sqrt(squares), length_max);
  if (scale_ == 1) return;
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (parts_[i].trained && KeptOn(i) == nullptr) Scale(gradients[i], scale_);
  }
}

float LocalSteps::RateOf(size_t parameter, uint64_t round) const {
  return static_cast<float>(RateAt(parts_[parameter].update.rate, round, workers_));
}

void LocalSteps::Step(uint64_t round, std::span<const std::span<float>> gradients,
                      std::span<const std::span<float>> parameters) {
  times_.resize(parts_.size());
  for (size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    if (part.sparse) continue;
    times_[i] = {.rate = RateOf(i, round), .count = ++part.steps};
    if (KeptOn(i) != nullptr) {
      if (part.trained) times_[i].scale = scale_;
      continue;
    }
    const size_t size = parameters[i].size();
    part.optimizer->Step(times_[i], gradients[i], parameters[i], {part.state.data(), size});
  }
  if (nn::Kept* kept = KeptParameters()) kept->Step(times_);
}

}  // namespace shardmill
