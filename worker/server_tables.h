#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "client/model.h"
#include "client/session.h"
#include "common/result.h"

namespace shardmill {

// A parameter that came in pieces: where they lie, if each follows the one before, or else in a
// copy.
std::span<const float> Joined(std::span<const ReadPiece> pieces, std::span<float> copy);

// Whether parameters may lie in a server's memory for a step. A server lends a worker no more than
// so many bytes: what stays lent must leave ample room for what comes and goes.
bool MayStayLent(std::span<const ParameterSpec> parameters, uint64_t lent_bytes_max);

// A worker's copies of a model's parameters, and their way from and to the job's tables: dense ones
// whole, of sparse ones the rows that a batch names. Owned by a trainer, on the session's thread;
// fails as the session does, and then the step under way is void and Forget is called.
class ServerTables final {
 public:
  // `lent_bytes_max`: that a server lends this worker.
  ServerTables(Session& session, std::span<const ParameterSpec> parameters, uint64_t lent_bytes_max)
      : session_(session),
        specs_(parameters),
        may_stay_lent_(MayStayLent(parameters, lent_bytes_max)) {}

  // `own_updates`: parameters that name an update have it on the servers.
  Result<> Make(bool own_updates);
  bool made() const { return !tensors_.empty(); }

  // Asks for all dense parameters, unless that was done in the step before. Each is to be waited
  // for before it is read. In place, where that may be: values() lie where they came in, as far as
  // they did in one piece, and are there until Finish is called for their step; else they stay.
  Result<> AskDense(TrainingStep& step, const PullOptions& options, bool in_place);
  // Asks for the rows that the batch names.
  Result<> AskRows(TrainingStep& step, const Batch& batch, const PullOptions& options);
  // The same for these keys of one sparse parameter.
  Result<> AskRowsOf(TrainingStep& step, size_t parameter, std::span<const uint64_t> keys,
                     const PullOptions& options);
  // Asks for as little as there is: of a step that needs no values, so that it waits as others do.
  Result<> AskLittle(TrainingStep& step);
  bool asked(size_t parameter) const { return pulls_[parameter].has_value(); }
  Result<> WaitFor(TrainingStep& step, size_t parameter);
  Result<> Wait(TrainingStep& step);
  // Nothing where the batch names no rows.
  Result<std::optional<Ticket>> PushGradient(TrainingStep& step, size_t parameter);
  Result<> PushGradients(TrainingStep& step);
  // Of workers that step by themselves.
  Result<> PushValues(TrainingStep& step);
  // The step is over: the rows that were asked for are nobody's any more.
  void EndStep();
  // What was asked for does not come.
  void Forget();

  // One span a parameter, of the sizes that the last batch has.
  std::span<const std::span<const float>> values() const { return values_; }
  std::span<const std::span<float>> parameters() const { return parameters_; }
  std::span<const std::span<float>> gradients() const { return gradients_; }
  // Those whose length is bounded.
  std::span<const std::span<float>> trained() const { return trained_; }

 private:
  struct Tensor {
    DenseTable dense = {};
    SparseTable sparse = {};
    KeySet keys = {};  // Of the rows, while they are bound.
    bool bound = false;
    std::vector<float> values = {};
    std::span<const float> read = {};   // The values, or where they came in.
    std::optional<Memory> memory = {};  // Of a dense one's gradient, pushed where it lies.
    std::vector<float> rows = {};       // Of a sparse one's.

    std::span<float> gradient() { return memory ? memory->floats() : std::span<float>(rows); }
  };

  // What is waited for, and whether it was read in place.
  struct Asked {
    Ticket ticket = {};
    bool in_place = false;
  };

  void Lend();

  Session& session_;
  const std::span<const ParameterSpec> specs_;
  const bool may_stay_lent_;
  std::vector<Tensor> tensors_;
  std::vector<std::optional<Asked>> pulls_;  // Under way, of each parameter.
  bool dense_asked_ = false;
  std::vector<std::span<const float>> values_;  // Of the tensors, as a model borrows them.
  std::vector<std::span<float>> parameters_;
  std::vector<std::span<float>> gradients_;
  std::vector<std::span<float>> trained_;
};

}  // namespace shardmill
