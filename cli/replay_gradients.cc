#include "cli/replay_gradients.h"

#include <algorithm>

#include "worker/data/read_data.h"
#include "worker/job_model.h"
#include "worker/local_steps.h"
#include "worker/meaning.h"
#include "worker/part_gradients.h"
#include "worker/stop_signal.h"

namespace shardmill {
namespace {

bool LiesOn(const TablePlace& place, uint64_t key, ShardId shard) {
  const uint64_t bucket = BucketOf(key);
  return bucket >= place.cuts.at(shard.value) && bucket < place.cuts.at(size_t{shard.value} + 1);
}

}  // namespace

bool AnswerFilter::Counts(const TraceServed& served) {
  Rank& rank = ranks_[served.pull.sender.rank];
  if (served.pull.step <= rank.ended) return false;
  return rank.answered.emplace(std::pair(served.pull.sender.incarnation, served.pull.pull), true)
      .second;
}

void AnswerFilter::Ended(const Contribution& made) {
  Rank& rank = ranks_[made.rank];
  rank.ended = made.step;
  rank.answered.clear();
}

Result<std::unique_ptr<ReplayGradients>> ReplayGradients::Make(const JobOptions& job) {
  std::unique_ptr<ReplayGradients> workers(new ReplayGradients(job));
  const DataParts data = SM_TRY(ReadData(job.data, job.job.seed, nullptr));
  workers->data_ = data.train;
  workers->model_ = SM_TRY(MakeJobModel(job, *data.train));
  workers->places_.resize(workers->tensors().size());
  for (uint32_t rank = 0; rank < job.cluster.workers; ++rank) {
    const BatchPlan plan{job.job.seed, rank, job.cluster.workers, job.BatchRows(), job.data.scheme};
    workers->batches_.push_back(
        std::make_unique<Batches>(*workers->data_, plan, KeyedInputs(workers->tensors())));
  }
  return workers;
}

Result<> ReplayGradients::TakeTables(const View& view) {
  size_t known = 0;
  for (size_t i = 0; i < tensors().size(); ++i) {
    const ParameterSpec& tensor = tensors()[i];
    const TablePlace* place = view.FindTable(tensor.name);
    if (place == nullptr) continue;  // A later view has it.
    ++known;
    const std::vector<uint64_t>& cuts = place->cuts;
    const bool same = place->spec.size == tensor.size && place->spec.dim == tensor.dim;
    const uint64_t end = tensor.sparse() ? kBuckets : tensor.size;
    const bool whole =
        !cuts.empty() && cuts.front() == 0 && cuts.back() == end && std::ranges::is_sorted(cuts);
    if (!same || !whole || (!places_[i].cuts.empty() && places_[i] != *place)) {
      return Error{ErrorCode::kBadInput,
                   "table \"" + tensor.name + "\" is not what the job's model wants"};
    }
    places_[i] = *place;
  }
  const TablePlace* stop = view.FindTable(StopSignal::Table().name);
  if (stop != nullptr && !job_.train.stop.empty()) {
    stop_ = *stop;
    ++known;
  }
  const std::optional<TableSpec> meaning = MeaningTable(data_->columns());
  if (meaning && view.FindTable(meaning->name) != nullptr) ++known;
  if (known == view.tables.size()) return {};
  return Error{ErrorCode::kBadUsage,
               "the run has tables that the job's model does not have: it was trained by a program "
               "of its own, whose gradients a replay cannot make"};
}

ReplayGradients::Key ReplayGradients::KeyOf(const TraceServed& served) {
  return {served.pull.sender.rank, served.pull.step, served.pull.sender.incarnation};
}

TableSpec ReplayGradients::SpecOf(const std::string& name) const {
  const auto tensor = std::ranges::find(tensors(), name, &ParameterSpec::name);
  const std::optional<TableSpec> meaning = MeaningTable(data_->columns());
  if (meaning && meaning->name == name) return *meaning;
  if (tensor == tensors().end()) return StopSignal::Table();
  return {tensor->name, tensor->size, tensor->initial, tensor->dim, tensor->update};
}

std::optional<size_t> ReplayGradients::TensorOf(TableId table) const {
  for (size_t i = 0; i < places_.size(); ++i) {
    if (!places_[i].cuts.empty() && places_[i].id == table) return i;
  }
  return std::nullopt;
}

ReplayGradients::StepReads& ReplayGradients::ReadsOf(const Key& key) {
  StepReads& reads = steps_[key];
  if (!reads.values.empty()) return reads;
  reads.keys.resize(tensors().size());
  reads.values.resize(tensors().size());
  reads.pieces.resize(tensors().size());
  Batches& batches = *batches_.at(key.rank.value);
  const uint64_t each = batches.steps_per_epoch();
  std::optional<Batch> batch;
  for (size_t i = 0; i < tensors().size(); ++i) {
    const ParameterSpec& tensor = tensors()[i];
    reads.values[i].resize(tensor.size);
    if (!tensor.sparse()) continue;
    if (!batch) batch = batches.At((key.step - 1) / each, (key.step - 1) % each);
    const std::span<const uint64_t> keys = batch->inputs[tensor.input].keys;
    reads.keys[i].assign(keys.begin(), keys.end());
    reads.values[i].resize(keys.size() * tensor.dim);
  }
  return reads;
}

Frame ReplayGradients::KeysOf(const TraceServed& served, ShardId shard) {
  const std::optional<size_t> tensor = TensorOf(served.pull.table);
  if (!tensor || served.pull.sender.rank.value >= batches_.size() || served.pull.step == 0)
    return {};
  std::vector<uint64_t> here;
  for (const uint64_t key : ReadsOf(KeyOf(served)).keys[*tensor]) {
    if (LiesOn(places_[*tensor], key, shard)) here.push_back(key);
  }
  if (here.empty() || here.size() != served.pull.count) return {};
  return Frame::CopyOf(std::span<const uint64_t>(here));
}

// What was pulled last counts: a worker that measures the model reads for a step that it then reads
// for again.
Result<> ReplayGradients::Take(const TraceServed& served, const FrameList& values, ShardId shard) {
  Pass(served);
  if (stop_ && stop_->id == served.pull.table) return {};
  const std::optional<size_t> tensor = TensorOf(served.pull.table);
  if (!tensor || served.pull.sender.rank.value >= batches_.size() || served.pull.step == 0) {
    return Error{ErrorCode::kBadInput, "a pull that the job's model does not make"};
  }
  StepReads& reads = ReadsOf(KeyOf(served));
  std::vector<float> floats;
  for (const Frame& frame : values) {
    floats.insert(floats.end(), frame.floats().begin(), frame.floats().end());
  }
  std::vector<float>& to = reads.values[*tensor];
  const uint32_t dim = tensors()[*tensor].dim;
  if (dim == 0) {
    std::ranges::copy(floats, to.begin() + static_cast<ptrdiff_t>(served.pull.begin));
    reads.pieces[*tensor][served.pull.begin] = served.pull.count;
    return {};
  }
  const std::vector<uint64_t>& keys = reads.keys[*tensor];
  const float* row = floats.data();
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!LiesOn(places_[*tensor], keys[i], shard)) continue;
    std::copy_n(row, dim, to.data() + i * dim);
    row += dim;
  }
  reads.pieces[*tensor][shard.value] = served.pull.count * dim;
  return {};
}

bool ReplayGradients::HasAll(const StepReads& reads) const {
  for (size_t i = 0; i < tensors().size(); ++i) {
    uint64_t floats = 0;
    if (reads.pieces.size() > i) {
      for (const auto& [begin, count] : reads.pieces[i]) floats += count;
    }
    if (floats != (reads.values.empty() ? tensors()[i].size : reads.values[i].size())) return false;
  }
  return true;
}

std::optional<Unit> ReplayGradients::UnitOf(const Gradient& gradient, size_t tensor,
                                            ShardId shard) {
  const TablePlace& place = PlaceOf(tensor);
  const TensorGradient& whole = gradient.at(tensor);
  Unit unit;
  unit.table = place.id;
  const uint32_t dim = tensors()[tensor].dim;
  if (dim == 0) {
    unit.begin = place.cuts.at(shard.value);
    const uint64_t count = place.cuts.at(size_t{shard.value} + 1) - unit.begin;
    if (count == 0) return std::nullopt;
    unit.gradient = whole.values.Slice(unit.begin * sizeof(float), count * sizeof(float));
    return unit;
  }
  std::vector<uint64_t> keys;
  std::vector<float> rows;
  for (size_t i = 0; i < whole.keys.size(); ++i) {
    if (!LiesOn(place, whole.keys[i], shard)) continue;
    const std::span<const float> row = whole.values.floats().subspan(i * dim, dim);
    keys.push_back(whole.keys[i]);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  if (keys.empty()) return std::nullopt;
  unit.gradient = Frame::CopyOf(std::span<const float>(rows));
  unit.keys = {++lists_, Frame::CopyOf(std::span<const uint64_t>(keys))};
  return unit;
}

Result<const ReplayGradients::Gradient*> ReplayGradients::Of(const Sender& sender,
                                                             const Contribution& made) {
  const auto known = gradients_.find({made.rank, made.step});
  if (known != gradients_.end()) return &known->second.gradient;
  const auto found = steps_.find({made.rank, made.step, sender.incarnation});
  const std::string who =
      "step " + std::to_string(made.step) + " of worker " + std::to_string(made.rank.value);
  if (found == steps_.end()) {
    return Error{ErrorCode::kBadInput, who + " is made, and nothing was read for it"};
  }
  if (found->second.open > 0) return nullptr;
  if (!HasAll(found->second)) {
    return Error{ErrorCode::kBadInput, who + " is made, and only a part was read for it"};
  }
  Gradient gradient = SM_TRY(Compute(made, found->second));
  ++made_;
  // What a process that lost the rank has read for the step goes too.
  steps_.erase(steps_.lower_bound({made.rank, 0, {}}),
               steps_.lower_bound({made.rank, made.step + 1, {}}));
  Made& kept = gradients_[{made.rank, made.step}];
  kept.gradient = std::move(gradient);
  return &kept.gradient;
}

Result<ReplayGradients::Gradient> ReplayGradients::Compute(const Contribution& made,
                                                           const StepReads& reads) {
  if (made.rank.value >= batches_.size() || made.step == 0) {
    return Error{ErrorCode::kBadInput, "a step of a worker that the job does not have"};
  }
  Batches& batches = *batches_[made.rank.value];
  const uint64_t each = batches.steps_per_epoch();
  const Batch batch = batches.At((made.step - 1) / each, (made.step - 1) % each);
  if (static_cast<double>(batch.rows) != made.samples) {
    return Error{ErrorCode::kBadInput, "step " + std::to_string(made.step) + " of worker " +
                                           std::to_string(made.rank.value) +
                                           " had other samples than the batch that "
                                           "the job file and the data in " +
                                           job_.data.folder + " make"};
  }
  std::vector<std::vector<float>> floats;
  std::vector<std::span<const float>> values(reads.values.begin(), reads.values.end());
  for (const std::vector<float>& read : reads.values) floats.emplace_back(read.size());
  const std::vector<std::span<float>> gradients(floats.begin(), floats.end());
  PartGradients parts(*model_, job_.train.accumulate > 1 ? job_.data.batch_size : 0);
  SM_TRY(parts.Train(batch, values, gradients));
  std::vector<std::span<float>> trained;
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (tensors()[i].trained) trained.push_back(gradients[i]);
  }
  if (job_.optimizer.clip_norm > 0) BoundLength(trained, job_.optimizer.clip_norm);
  Gradient gradient;
  for (size_t i = 0; i < gradients.size(); ++i) {
    gradient.push_back({Frame::CopyOf(std::span<const float>(gradients[i])), reads.keys[i]});
  }
  return gradient;
}

void ReplayGradients::Forget(WorkerId rank, Step step, uint32_t shards) {
  const auto found = gradients_.find({rank, step});
  if (found != gradients_.end() && ++found->second.forgotten == shards) gradients_.erase(found);
}

}  // namespace shardmill
