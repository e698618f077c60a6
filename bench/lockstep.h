#pragma once

#include <memory>
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
  std::unique_ptr<Session> session_;
  std::vector<DenseTable> tables_;
  std::vector<std::vector<float>> parameters_;
  std::vector<float> gradient_;
  std::vector<Ticket> tickets_;
};

}  // namespace shardmill::bench
