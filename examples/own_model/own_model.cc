// A model of one's own: linear regression, learnt by as many processes as the job has workers.
//   own_model HOST:PORT RANK
#include <shardmill/client/session.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

using shardmill::Result;
using Floats = std::vector<float>;

constexpr uint64_t kSteps = 400;
constexpr int kBatch = 32;
constexpr std::chrono::seconds kStepLimit{30};
const Floats kHidden{-0.3F, 0.1F, 0.7F, 0.5F};  // What is to be found; the last is the bias.

// The mean gradient of the squared error over a batch of fresh samples.
Floats Gradient(const Floats& weights, std::mt19937& chance) {
  std::normal_distribution<float> normal;
  Floats gradient(weights.size()), x(weights.size(), 1);
  for (int sample = 0; sample < kBatch; ++sample) {
    for (size_t i = 0; i + 1 < x.size(); ++i) x[i] = normal(chance);
    float error = 0.01F * normal(chance);
    for (size_t i = 0; i < x.size(); ++i) error += (weights[i] - kHidden[i]) * x[i];
    for (size_t i = 0; i < x.size(); ++i) gradient[i] += error * x[i] / kBatch;
  }
  return gradient;
}

Result<> Train(const char* coordinator, uint32_t rank) {
  const auto session = SM_TRY(shardmill::Session::Open({.coordinator = coordinator, .rank = rank}));
  const auto table = SM_TRY(session->Dense("weights", kHidden.size()));
  std::mt19937 chance(rank);
  Floats weights(kHidden.size());
  while (session->next_step() <= kSteps) {
    auto step = SM_TRY(session->Begin(kStepLimit));
    const auto pull = SM_TRY(step.Pull(table, 0, weights));
    SM_TRY(step.Wait(pull));
    SM_TRY(step.Push(table, 0, Gradient(weights, chance)));
    SM_TRY(step.Finish(kBatch));
  }
  {
    auto last = SM_TRY(session->Begin(kStepLimit));  // What all have learnt in all steps.
    const auto pull = SM_TRY(last.Pull(table, 0, weights, {.closed_min = kSteps}));
    SM_TRY(last.Wait(pull));
  }
  for (size_t i = 0; i < weights.size(); ++i) std::printf("%.3f (%.1f)\n", weights[i], kHidden[i]);
  return session->Close(true);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const Result<> trained = Train(argv[1], static_cast<uint32_t>(std::atoi(argv[2])));
  if (trained.ok() || trained.error().code == shardmill::ErrorCode::kDone) return 0;
  std::fprintf(stderr, "%s\n", trained.error().message.c_str());
  return trained.error().code == shardmill::ErrorCode::kFenced ? 3 : 1;
}
