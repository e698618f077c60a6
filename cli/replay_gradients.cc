#include "cli/replay_gradients.h"

#include <algorithm>

#include "worker/data/read_data.h"
#include "worker/job_model.h"
#include "worker/local_steps.h"
#include "worker/part_gradients.h"

namespace shardmill {

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
  if (!KeyedInputs(workers->tensors()).empty()) {
    return Error{ErrorCode::kBadUsage,
                 "the job's model has sparse tables, whose gradients a replay does not make yet"};
  }
  workers->places_.resize(workers->tensors().size());
  for (uint32_t rank = 0; rank < job.cluster.workers; ++rank) {
    const BatchPlan plan{job.job.seed, rank, job.cluster.workers, job.BatchRows(), job.data.scheme};
    workers->batches_.push_back(std::make_unique<Batches>(*workers->data_, plan));
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
    const bool same = place->spec.size == tensor.size && !place->spec.sparse();
    const bool whole = !cuts.empty() && cuts.front() == 0 && cuts.back() == tensor.size &&
                       std::ranges::is_sorted(cuts);
    if (!same || !whole || (!places_[i].cuts.empty() && places_[i] != *place)) {
      return Error{ErrorCode::kBadInput,
                   "table \"" + tensor.name + "\" is not what the job's model wants"};
    }
    places_[i] = *place;
  }
  if (known == view.tables.size()) return {};
  return Error{ErrorCode::kBadUsage,
               "the run has tables that the job's model does not have: it was trained by a program "
               "of its own, whose gradients a replay cannot make"};
}

ReplayGradients::Key ReplayGradients::KeyOf(const TraceServed& served) {
  return {served.pull.sender.rank, served.pull.step, served.pull.sender.incarnation};
}

// What was pulled last counts: a worker that measures the model reads for a step that it then reads
// for again.
Result<> ReplayGradients::Take(const TraceServed& served, const FrameList& values) {
  StepReads& reads = steps_[KeyOf(served)];
  --reads.open;
  reads.values.resize(tensors().size());
  reads.pieces.resize(tensors().size());
  for (size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].cuts.empty() || places_[i].id != served.pull.table) continue;
    std::vector<float>& tensor = reads.values[i];
    tensor.resize(places_[i].spec.size);
    uint64_t at = served.pull.begin;
    for (const Frame& frame : values) {
      std::ranges::copy(frame.floats(), tensor.begin() + static_cast<ptrdiff_t>(at));
      at += frame.floats().size();
    }
    reads.pieces[i][served.pull.begin] = served.pull.count;
    return {};
  }
  return Error{ErrorCode::kBadInput, "a pull of a table that the job's model does not have"};
}

bool ReplayGradients::HasAll(const StepReads& reads) const {
  for (size_t i = 0; i < tensors().size(); ++i) {
    uint64_t floats = 0;
    if (reads.pieces.size() > i) {
      for (const auto& [begin, count] : reads.pieces[i]) floats += count;
    }
    if (floats != tensors()[i].size) return false;
  }
  return true;
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
  for (const ParameterSpec& tensor : tensors()) floats.emplace_back(tensor.size);
  std::vector<std::span<float>> gradients(floats.begin(), floats.end());
  PartGradients parts(*model_, job_.train.accumulate > 1 ? job_.data.batch_size : 0);
  SM_TRY(parts.Train(batch, values, gradients));
  if (job_.optimizer.clip_norm > 0) BoundLength(gradients, job_.optimizer.clip_norm);
  Gradient gradient;
  for (const std::span<const float> tensor : gradients) gradient.push_back(Frame::CopyOf(tensor));
  return gradient;
}

void ReplayGradients::Forget(WorkerId rank, Step step, uint32_t shards) {
  const auto found = gradients_.find({rank, step});
  if (found != gradients_.end() && ++found->second.forgotten == shards) gradients_.erase(found);
}

}  // namespace shardmill
