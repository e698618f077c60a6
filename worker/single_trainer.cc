#include "worker/single_trainer.h"

#include <algorithm>
#include <string>

namespace shardmill {

Result<> SingleTrainer::Run(const std::function<void(const SingleProgress&)>& watch) {
  const uint64_t each = batches_.steps_per_epoch();
  progress_.last_step = options_.train.epochs * each;
  if (options_.train.steps > 0) {
    progress_.last_step = std::min(progress_.last_step, options_.train.steps);
  }
  progress_.step = options_.done;
  progress_.epochs = options_.done / each;
  progress_.last_step = std::max(progress_.last_step, options_.done);
  for (uint64_t step = options_.done + 1; step <= progress_.last_step; ++step) {
    if (options_.stopped && options_.stopped()) {
      return Error{ErrorCode::kStopped, "stopped after step " + std::to_string(progress_.step)};
    }
    const TimePoint begin = clock_.Now();
    SM_TRY(MakeStep(step));
    progress_.seconds += std::chrono::duration<double>(clock_.Now() - begin).count();
    progress_.measured = step < progress_.last_step && examiner_.Wants(step, each);
    if (progress_.measured) {
      const bool stop = SM_TRY(examiner_.Look(step / each, step, tables_));
      // As a job's workers end: in the step that tells them.
      if (stop) progress_.last_step = std::min(progress_.last_step, step + 1);
    }
    if (progress_.measured || step % options_.train.report_every == 0) Tell(watch);
  }
  SM_TRY(examiner_.Finish(progress_.last_step / each, progress_.last_step, tables_));
  progress_.measured = true;
  Tell(watch);
  return {};
}

void SingleTrainer::Tell(const std::function<void(const SingleProgress&)>& watch) {
  progress_.gradient_length = tables_.Length();
  watch(progress_);
}

Result<> SingleTrainer::MakeStep(uint64_t step) {
  const uint64_t each = batches_.steps_per_epoch();
  progress_.step = step;
  progress_.epochs = step / each;
  const Batch batch = batches_.At((step - 1) / each, (step - 1) % each);
  const std::span<const std::span<const float>> values = SM_TRY(tables_.ForStep(batch));
  progress_.loss = SM_TRY(gradients_.Train(batch, values, tables_.gradients()));
  if (options_.clip_norm > 0) tables_.Bound(options_.clip_norm);
  const std::optional<size_t> nonfinite =
      options_.on_nonfinite == OnNonfinite::kAccept ? std::nullopt : tables_.FirstNonfinite();
  if (nonfinite && options_.on_nonfinite == OnNonfinite::kReject) {
    return Error{ErrorCode::kBadInput,
                 "the gradient of \"" + model_.Parameters()[*nonfinite].name + "\" in step " +
                     std::to_string(step) +
                     " has a NaN or an infinity in it (policy.on_nonfinite = \"reject\")"};
  }
  if (nonfinite) {
    ++progress_.skipped;
    return {};
  }
  tables_.Step(step);
  progress_.samples += batch.rows;
  return {};
}

}  // namespace shardmill
