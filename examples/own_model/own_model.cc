// A model of one's own on the client API: linear regression y = w x + b, learnt by as many
// processes as the job has workers. Nothing of nn/ is used. `examples/own_model/run` starts a whole
// job:
//
//   own_model HOST:PORT RANK WORKERS
//
// Each process makes its own samples of one hidden line, pulls the weights, computes the gradient
// of the squared error, pushes it, and finishes the step.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <span>
#include <string>

#include "client/session.h"

namespace {

using shardmill::Result;
using shardmill::Session;
using shardmill::TrainingStep;

constexpr uint64_t kFeatures = 8;
constexpr uint64_t kSteps = 400;
constexpr int kBatch = 32;
constexpr std::chrono::seconds kStepLimit{30};

// The weights and, last, the bias.
using Weights = std::array<float, kFeatures + 1>;

// What is to be found.
float Hidden(size_t i) { return i == kFeatures ? 0.5F : 0.1F * static_cast<float>(i) - 0.3F; }

// The mean gradient of a batch of fresh samples, with a little noise on the target.
Weights Gradient(const Weights& weights, std::mt19937& chance) {
  std::normal_distribution<float> normal;
  Weights gradient{};
  for (int sample = 0; sample < kBatch; ++sample) {
    Weights x;
    float error = 0.01F * normal(chance);
    for (size_t i = 0; i <= kFeatures; ++i) {
      x[i] = i == kFeatures ? 1 : normal(chance);
      error += (weights[i] - Hidden(i)) * x[i];
    }
    for (size_t i = 0; i <= kFeatures; ++i) gradient[i] += error * x[i] / kBatch;
  }
  return gradient;
}

Result<> Train(const std::string& coordinator, uint32_t rank, uint32_t workers) {
  shardmill::SessionOptions options;
  options.coordinator = coordinator;
  options.rank = rank;
  const auto session = SM_TRY(Session::Open(options));
  const auto table = SM_TRY(session->Dense("line", kFeatures + 1));
  std::mt19937 chance(rank);
  Weights weights{};

  while (session->next_step() <= kSteps) {
    TrainingStep step = SM_TRY(session->Begin(kStepLimit));
    const shardmill::Ticket pull = SM_TRY(step.Pull(table, 0, weights));
    SM_TRY(step.Wait(pull));
    SM_TRY(step.Push(table, 0, Gradient(weights, chance)));
    SM_TRY(step.Finish(kBatch));
  }

  // The end of the training: what all workers have pushed in all steps.
  {
    TrainingStep step = SM_TRY(session->Begin(kStepLimit));
    const shardmill::Ticket pull = SM_TRY(step.Pull(table, 0, weights, {.closed_min = kSteps}));
    SM_TRY(step.Wait(pull));
  }
  float worst = 0;
  for (size_t i = 0; i <= kFeatures; ++i) {
    worst = std::max(worst, std::abs(weights[i] - Hidden(i)));
  }
  std::printf("rank %u of %u: %llu steps, farthest weight off by %.4f\n", rank, workers,
              static_cast<unsigned long long>(session->counters().steps),
              static_cast<double>(worst));
  SM_TRY(session->Close(true));
  if (worst < 0.02F) return {};
  return shardmill::Error{shardmill::ErrorCode::kFailed, "the line was not found"};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: own_model HOST:PORT RANK WORKERS\n");
    return 2;
  }
  const auto rank = static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10));
  const auto workers = static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10));
  const Result<> trained = Train(argv[1], rank, workers);
  if (trained.ok()) return 0;
  std::fprintf(stderr, "own_model: %s\n", trained.error().message.c_str());
  // Exit code 3 tells whoever restarts processes that another one holds this rank.
  return trained.error().code == shardmill::ErrorCode::kFenced ? 3 : 1;
}
