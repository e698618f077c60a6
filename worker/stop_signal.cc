#include "worker/stop_signal.h"

#include <span>

namespace shardmill {

TableSpec StopSignal::Table() {
  UpdateSettings update;
  update.rule = UpdateRule::kMax;
  return {.name = "train.last_step", .size = 1, .initial = {}, .update = update};
}

Result<> StopSignal::Make() {
  const TableSpec table = Table();
  table_ = SM_TRY(session_.Dense(table.name, table.size, {.initial = {}, .update = table.update}));
  return {};
}

Result<> StopSignal::Ask(TrainingStep& step, const PullOptions& options) {
  if (!table_ || ticket_) return {};
  ticket_ = SM_TRY(step.Pull(*table_, 0, {&value_, 1}, options));
  return {};
}

Result<> StopSignal::Wait(TrainingStep& step) {
  if (!ticket_) return {};
  SM_TRY(step.Wait(*ticket_));
  ticket_.reset();
  return {};
}

Result<> StopSignal::Push(TrainingStep& step, uint64_t last_step) {
  if (!table_ || last_step == 0) return {};
  const auto value = static_cast<float>(last_step);
  SM_TRY(step.Push(*table_, 0, {&value, 1}));
  return {};
}

}  // namespace shardmill
