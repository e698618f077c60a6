#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "client/session.h"
#include "common/clock.h"
#include "common/parameter_flow.h"
#include "common/result.h"

namespace shardmill {

// The tensors of one training step on their way: a pull is waited for when its parameter is wanted,
// and a gradient is pushed as soon as it is final. Made by the trainer for a step and used on its
// thread; what it is given outlives it. Fails as the step does.
class StepFlow final : public ParameterFlow {
 public:
  // Stands in the list of pulls for one that has been waited for.
  static constexpr Ticket kWaitedFor{};

  // `pulls`: a ticket a parameter, or none where all are there.
  StepFlow(TrainingStep& step, std::vector<Ticket>& pulls, const Clock& clock)
      : step_(step), pulls_(pulls), clock_(clock) {}

  // Gradients leave from here on; without this they stay.
  void SendFrom(std::span<const DenseTable> tables, std::span<const std::span<float>> gradients) {
    tables_ = tables;
    gradients_ = gradients;
  }

  Result<> Await(size_t parameter) override;
  Result<> Send(size_t parameter) override;

  // How long parameters have kept the computation waiting.
  Duration waited() const { return waited_; }

 private:
  TrainingStep& step_;
  std::vector<Ticket>& pulls_;
  const Clock& clock_;
  std::span<const DenseTable> tables_;
  std::span<const std::span<float>> gradients_;
  Duration waited_{0};
};

}  // namespace shardmill
