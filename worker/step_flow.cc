#include "worker/step_flow.h"

#include <optional>

namespace shardmill {

Result<> StepFlow::Await(size_t parameter) {
  if (!tables_.asked(parameter)) return {};
  const TimePoint begin = clock_.Now();
  SM_TRY(tables_.WaitFor(step_, parameter));
  waited_ += clock_.Now() - begin;
  return {};
}

Result<> StepFlow::Send(size_t parameter) {
  // What is smaller has room in any window.
  constexpr size_t kLargeBytes = size_t{1} << 20;
  if (!sends_) return {};
  const std::optional<Ticket> ticket = SM_TRY(tables_.PushGradient(step_, parameter));
  // Takes in what came meanwhile, which makes room for what is to leave. What went wrong is told by
  // the step's next wait.
  const bool large = tables_.gradients()[parameter].size_bytes() >= kLargeBytes;
  if (large && ticket) static_cast<void>(step_.Done(*ticket));
  return {};
}

}  // namespace shardmill
