#pragma once

#include <cstddef>
#include <cstdint>

#include "client/session.h"
#include "common/clock.h"
#include "common/parameter_flow.h"
#include "common/result.h"
#include "worker/server_tables.h"

namespace shardmill {

// The tensors of one training step on their way: a pull is waited for when its parameter is wanted,
// and a gradient is pushed as soon as it is final. Made by the trainer for a step and used on its
// thread; what it is given outlives it. Fails as the step does.
class StepFlow final : public ParameterFlow {
 public:
  // `sends`: gradients leave from here; else they stay.
  StepFlow(TrainingStep& step, ServerTables& tables, const Clock& clock, bool sends)
      : step_(step), tables_(tables), clock_(clock), sends_(sends) {}

  Result<> Await(size_t parameter) override;
  Result<> Send(size_t parameter) override;

  // How long parameters have kept the computation waiting.
  Duration waited() const { return waited_; }

 private:
  TrainingStep& step_;
  ServerTables& tables_;
  const Clock& clock_;
  const bool sends_;
  Duration waited_{0};
  uint64_t unlooked_bytes_ = 0;  // Pushed since this side last took in what came.
};

}  // namespace shardmill
