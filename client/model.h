#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/initial.h"
#include "common/parameter_flow.h"
#include "common/result.h"
#include "common/update.h"

namespace shardmill {

// The values of a column of some rows, row after row. Borrowed.
struct ColumnView {
  std::span<const float> floats = {};   // Numbers; of sparse rows the number of each id.
  std::span<const uint32_t> ids = {};   // Ids; those of sparse rows, too.
  std::span<const uint64_t> keys = {};  // Keys of 64 bits.
  std::span<const uint64_t> ends = {};  // Of sparse rows: where each row's ids end in `ids`.
};

// Rows of a data set, borrowed for one call. No rows: this worker's part of the epoch is used up,
// while others still have some.
struct Batch {
  // The columns that are learnt from, in their order. Where a parameter has rows by the keys of an
  // input, that input has each of these keys once, and its ids count them.
  std::span<const ColumnView> inputs = {};
  std::span<const uint32_t> labels = {};  // What is learnt: a class a row,
  std::span<const float> values = {};     // or a number.
  uint32_t rows = 0;
  // What a model that wants chance, as for dropout, begins from: its own for each batch of a job,
  // and the same whenever that batch is made again.
  uint64_t chance = 0;
};

// One tensor that outlives a step: a table of this name on the servers, and where training starts.
struct ParameterSpec {
  std::string name;
  uint64_t size = 0;  // In floats; of a sparse table 0.
  Initial initial = {};
  // How it is stepped; without one, as the job says.
  std::optional<UpdateSettings> update = {};
  // Else an average of what batches hold, whose "gradient" moves it and is not bounded with others.
  bool trained = true;
  // Of a sparse table: the floats of a row, and the input of batches whose keys name its rows.
  uint32_t dim = 0;
  size_t input = 0;
  // The input of batches that its layer reads, where it reads one: what its numbers are weights of.
  std::optional<size_t> reads = {};
  std::vector<uint64_t> shape = {};  // Of `size` floats, for people; empty: one axis.

  bool sparse() const { return dim > 0; }
};

// Sums over rows, so that the parts of a test set add up.
struct Evaluation {
  uint64_t rows = 0;
  uint64_t correct = 0;
  double loss = 0;
  std::span<const float> outputs =
      {};  // Of this batch, row after row; until the model's next call.

  void Add(const Evaluation& other) {
    rows += other.rows;
    correct += other.correct;
    loss += other.loss;
  }
};

// What a worker trains: a network of the library, or code of the user's own. It holds no weights:
// they are lent for each call, one span a parameter, in the order and of the sizes of Parameters();
// of a sparse one a row for each key of the batch's input, in their order.
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

  // The same while parameters still come and gradients already go: where a parameter lies is to be
  // read from `parameters` after it was awaited, and not before. A model that says nothing of its
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
