#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "client/session.h"
#include "common/result.h"

namespace shardmill::bench {

// A worker that trains a model of ResNet-50's size in step with others: a pull and a push of all
// parameters a step. One thread.
class LockstepWorker final {
 public:
  static Result<std::unique_ptr<LockstepWorker>> Join(const SessionOptions& options);

  // Blocks until all workers have made the step before.
  Result<> Step();

 private:
  Result<> AskForAll(TrainingStep& step, const PullOptions& options);

  std::unique_ptr<Session> session_;
  std::vector<DenseTable> tables_;
  std::vector<std::vector<float>> parameters_;
  std::optional<Memory> gradient_;  // Goes to the shards without a copy.
  std::vector<Ticket> tickets_;
};

}  // namespace shardmill::bench
