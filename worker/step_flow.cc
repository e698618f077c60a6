#include "worker/step_flow.h"

#include <utility>

#include "common/assert.h"

namespace shardmill {

Result<> StepFlow::Await(size_t parameter) {
  if (pulls_.empty()) return {};
  SM_ASSERT(parameter < pulls_.size());
  const Ticket ticket = std::exchange(pulls_[parameter], kWaitedFor);
  if (ticket.id == kWaitedFor.id) return {};
  const TimePoint begin = clock_.Now();
  SM_TRY(step_.Wait(ticket));
  waited_ += clock_.Now() - begin;
  return {};
}

Result<> StepFlow::Send(size_t parameter) {
  // What is smaller has room in any window.
  constexpr size_t kLargeBytes = size_t{1} << 20;
  if (tables_.empty()) return {};
  SM_ASSERT(parameter < tables_.size());
  const std::span<const float> gradient = gradients_[parameter];
  const Ticket ticket = SM_TRY(step_.Push(tables_[parameter], 0, gradient));
  // Takes in what came meanwhile, which makes room for what is to leave. What went wrong is told by
  // the step's next wait.
  if (gradient.size_bytes() >= kLargeBytes) static_cast<void>(step_.Done(ticket));
  return {};
}

}  // namespace shardmill
