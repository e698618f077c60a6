#include "bench/lockstep.h"

#include <algorithm>
#include <chrono>
#include <string>

namespace shardmill::bench {
namespace {

constexpr uint64_t kFloats = 25'500'000;
constexpr uint64_t kTables = 25;
// The other worker may stand still for as long as a baseline runs.
constexpr std::chrono::minutes kPatience{30};

}  // namespace

Result<std::unique_ptr<LockstepWorker>> LockstepWorker::Join(const SessionOptions& options) {
  auto worker = std::make_unique<LockstepWorker>();
  worker->session_ = SM_TRY(Session::Open(options));
  constexpr uint64_t kTableFloats = kFloats / kTables;
  for (uint64_t i = 0; i < kTables; ++i) {
    worker->tables_.push_back(
        SM_TRY(worker->session_->Dense("layer" + std::to_string(i), kTableFloats)));
    worker->parameters_.emplace_back(kTableFloats);
  }
  worker->gradient_.assign(kTableFloats, 0.001F);
  return worker;
}

Result<> LockstepWorker::Step() {
  TrainingStep step = SM_TRY(session_->Begin(kPatience));
  tickets_.clear();
  for (size_t i = 0; i < tables_.size(); ++i) {
    tickets_.push_back(SM_TRY(step.Pull(tables_[i], 0, parameters_[i])));
    SM_TRY(step.Push(tables_[i], 0, gradient_));
  }
  for (const Ticket ticket : tickets_) SM_TRY(step.Wait(ticket));
  SM_TRY(step.Finish(1));
  return {};
}

}  // namespace shardmill::bench
