#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/job/job.h"
#include "common/messages.h"
#include "common/result.h"
#include "server/trace_format.h"
#include "worker/data/batches.h"
#include "worker/data/sample_store.h"
#include "worker/network_model.h"

namespace shardmill {

// Which of a shard's answers a worker computes with, in the order of the trace: the first to each
// pull, and none for a step that is over. A value of one shard's replay.
class AnswerFilter final {
 public:
  bool Counts(const TraceServed& served);
  void Ended(const Contribution& made);

 private:
  struct Rank {
    Step ended = 0;
    std::map<std::pair<Incarnation, uint64_t>, bool> answered;  // Pulls of the step to come.
  };

  std::map<WorkerId, Rank> ranks_;
};

// The workers of a replay: puts together what the shards serve to each, and makes from it the
// gradients that the recorded worker made. Owned by a replay, on its thread. Fails where the job,
// its data and the record are not of one piece.
class ReplayGradients final {
 public:
  // Of a tensor; of a sparse one with the keys of its rows, in their order.
  struct TensorGradient {
    Frame values;
    std::vector<uint64_t> keys = {};
  };
  using Gradient = std::vector<TensorGradient>;

  static Result<std::unique_ptr<ReplayGradients>> Make(const JobOptions& job);

  std::span<const ParameterSpec> tensors() const { return model_->Parameters(); }
  // Learns where tensors lie. Fails on a table that the model does not have.
  Result<> TakeTables(const View& view);
  // Of a tensor that was pulled.
  const TablePlace& PlaceOf(size_t tensor) const { return places_.at(tensor); }
  // The table as the job's worker makes it.
  TableSpec SpecOf(const std::string& name) const;
  // That of the job's last step, by which one worker ends the training of all, if it has one.
  const std::optional<TablePlace>& stop() const { return stop_; }
  const SampleStore& data() const { return *data_; }

  // An answer that is to come before the step of its reader can be made. All are told before the
  // replay begins.
  void Expect(const TraceServed& served) { ++steps_[KeyOf(served)].open; }
  // The keys that a pull of a sparse table names on that shard: those of its step's batch. None:
  // it reads others, to measure the model, and changes nothing.
  Frame KeysOf(const TraceServed& served, ShardId shard);
  Result<> Take(const TraceServed& served, const FrameList& values, ShardId shard);
  // It is no part of what its step computes with.
  void Pass(const TraceServed& served) { --steps_[KeyOf(served)].open; }

  // What the gradient of a tensor has for that shard, but for its sender; none: nothing.
  std::optional<Unit> UnitOf(const Gradient& gradient, size_t tensor, ShardId shard);

  // The gradient of the step, or null while answers for it are to come. It is the caller's to
  // Forget, once for each shard that asked.
  Result<const Gradient*> Of(const Sender& sender, const Contribution& made);
  void Forget(WorkerId rank, Step step, uint32_t shards);

  uint64_t made() const { return made_; }

 private:
  struct Key {
    WorkerId rank;
    Step step = 0;
    Incarnation incarnation;
    auto operator<=>(const Key&) const = default;
  };
  struct StepReads {
    uint64_t open = 0;
    std::vector<std::vector<uint64_t>> keys;  // A tensor each; of a sparse one its batch's.
    std::vector<std::vector<float>> values;   // A tensor each.
    std::vector<std::map<uint64_t, uint64_t>> pieces;  // The same: floats by where they begin.
  };
  struct Made {
    Gradient gradient;
    uint32_t forgotten = 0;  // By so many shards.
  };

  explicit ReplayGradients(const JobOptions& job) : job_(job) {}
  static Key KeyOf(const TraceServed& served);
  // What the step reads, with the keys of its batch.
  StepReads& ReadsOf(const Key& key);
  std::optional<size_t> TensorOf(TableId table) const;
  bool HasAll(const StepReads& reads) const;
  Result<Gradient> Compute(const Contribution& made, const StepReads& reads);

  const JobOptions& job_;
  std::shared_ptr<const SampleStore> data_;
  std::unique_ptr<NetworkModel> model_;
  std::vector<std::unique_ptr<Batches>> batches_;  // By rank.
  std::vector<TablePlace> places_;                 // By tensor; without cuts: not known yet.
  std::map<Key, StepReads> steps_;
  std::map<std::pair<WorkerId, Step>, Made> gradients_;
  std::optional<TablePlace> stop_;
  uint64_t made_ = 0;
  uint64_t lists_ = uint64_t{1} << 40;  // Names of key lists that no record has.
};

}  // namespace shardmill
