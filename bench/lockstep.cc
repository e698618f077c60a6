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
  worker->gradient_.emplace(SM_TRY(worker->session_->Allocate(kFloats)));
  std::ranges::fill(worker->gradient_->floats(), 0.001F);
  return worker;
}

Result<> LockstepWorker::Step() {
  TrainingStep step = SM_TRY(session_->Begin(kPatience));
  if (tickets_.empty()) SM_TRY(AskForAll(step, {}));
  for (const Ticket ticket : tickets_) SM_TRY(step.Wait(ticket));
  for (size_t i = 0; i < tables_.size(); ++i) {
    const uint64_t floats = tables_[i].size;
    SM_TRY(step.Push(tables_[i], 0, gradient_->floats().subspan(i * floats, floats)));
  }
  // What the next step reads leaves with the end of this one.
  SM_TRY(AskForAll(step, {.next_step = true}));
  SM_TRY(step.Finish(1));
  return {};
}

Result<> LockstepWorker::AskForAll(TrainingStep& step, const PullOptions& options) {
  tickets_.clear();
  for (size_t i = 0; i < tables_.size(); ++i) {
    tickets_.push_back(SM_TRY(step.Pull(tables_[i], 0, parameters_[i], options)));
  }
  return {};
}

}  // namespace shardmill::bench
