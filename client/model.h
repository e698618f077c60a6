#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/initial.h"
#include "common/parameter_flow.h"
#include "common/result.h"
#include "common/update.h"

namespace shardmill {

// Rows of a data set, borrowed for one call. No rows: this worker's part of the epoch is used up,
// while others still have some.
struct Batch {
  std::span<const float> inputs;     // rows * row_size, row after row.
  std::span<const uint32_t> labels;  // One a row.
  uint32_t rows = 0;
  uint32_t row_size = 0;
  // What a model that wants chance, as for dropout, begins from: its own for each batch of a job,
  // and the same whenever that batch is made again.
  uint64_t chance = 0;
};

// One tensor that outlives a step: a dense table of this name on the servers, and where training
// starts.
struct ParameterSpec {
  std::string name;
  uint64_t size = 0;
  Initial initial = {};
  // How it is stepped; without one, as the job says.
  std::optional<UpdateSettings> update = {};
  // Else an average of what batches hold, whose "gradient" moves it and is not bounded with others.
  bool trained = true;
};

// Sums over rows, so that the parts of a test set add up.
struct Evaluation {
  uint64_t rows = 0;
  uint64_t correct = 0;
  double loss = 0;

  void Add(const Evaluation& other) {
    rows += other.rows;
    correct += other.correct;
    loss += other.loss;
  }
};

// What a worker trains: a network of the library, or code of the user's own. It holds no weights:
// they are lent for each call, one span a parameter, in the order and of the sizes of Parameters().
// Owned by whoever trains it and used from that thread alone. Each function is made of its
// arguments only: the same batch and parameters give the same bits, so that a run can be repeated.
// An error says what is wrong with the batch (a label out of range, rows of another size) and
// leaves the gradients unspecified.
class Model {
 public:
  virtual ~Model() = default;

  // The same for as long as the model lives.
  virtual std::span<const ParameterSpec> Parameters() const = 0;

  // Fills `gradients` with the mean over the batch and returns its mean loss. A batch without rows
  // has a loss and gradients of zero.
  virtual Result<double> Train(const Batch& batch,
                               std::span<const std::span<const float>> parameters,
                               std::span<const std::span<float>> gradients) = 0;

  // The same while parameters still come and gradients already go. A model that says nothing of its
  // own waits for all, trains, and sends all.
  virtual Result<double> TrainInFlow(const Batch& batch,
                                     std::span<const std::span<const float>> parameters,
                                     std::span<const std::span<float>> gradients,
                                     ParameterFlow& flow) {
    for (size_t i = 0; i < parameters.size(); ++i) SM_TRY(flow.Await(i));
    const double loss = SM_TRY(Train(batch, parameters, gradients));
    for (size_t i = 0; i < gradients.size(); ++i) SM_TRY(flow.Send(i));
    return loss;
  }

  virtual Result<Evaluation> Evaluate(const Batch& batch,
                                      std::span<const std::span<const float>> parameters) = 0;
};

}  // namespace shardmill
