#pragma once

#include <cstdint>
#include <optional>

#include "client/session.h"
#include "common/result.h"
#include "common/view.h"

namespace shardmill {

// How the worker that measures tells all others in which step training ends: a table of one number,
// the last step, which each reads before it makes its own. Who is told makes that step, and all
// steps before it: so nobody waits for steps that do not come. Owned by a trainer, on the session's
// thread; fails as the session does. Steps are counted up to 2^24 here, as floats can.
class StopSignal final {
 public:
  explicit StopSignal(Session& session) : session_(session) {}

  // What the table is.
  static TableSpec Table();
  Result<> Make();
  // Reads it with what the step reads.
  Result<> Ask(TrainingStep& step, const PullOptions& options);
  Result<> Wait(TrainingStep& step);
  // In the step under way.
  Result<> Push(TrainingStep& step, uint64_t last_step);
  void Forget() { ticket_.reset(); }

  // As last read; 0: nobody has said any.
  uint64_t last_step() const { return static_cast<uint64_t>(value_); }

 private:
  Session& session_;
  std::optional<DenseTable> table_;
  std::optional<Ticket> ticket_;
  float value_ = 0;
};

}  // namespace shardmill
