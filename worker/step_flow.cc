#include "worker/step_flow.h"

#include <cstdint>
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
  // Less has room in any window.
  constexpr uint64_t kMuchBytes = uint64_t{8} << 20;
  if (!sends_) return {};
  const std::optional<Ticket> ticket = SM_TRY(tables_.PushGradient(step_, parameter));
  unlooked_bytes_ += tables_.gradients()[parameter].size_bytes();
  if (unlooked_bytes_ < kMuchBytes || !ticket) return {};
  // Takes in what came meanwhile, which makes room for what is to leave. What went wrong is told by
  // the step's next wait.
  static_cast<void>(step_.Done(*ticket));
  unlooked_bytes_ = 0;
  return {};
}

}  // namespace shardmill
