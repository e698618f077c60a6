#include "cli/replay.h"

#include <algorithm>
#include <map>
#include <memory>
#include <span>

#include "cli/replay_gradients.h"
#include "cli/replay_shard.h"
#include "common/initial.h"
#include "worker/checksum.h"
#include "worker/data/distinct_keys.h"

namespace shardmill {
namespace {

using Shards = std::map<uint32_t, std::unique_ptr<ReplayShard>>;

Result<> CheckReplayable(const JobOptions& job) {
  if (job.policy.exchange == Exchange::kParameters) {
    return Error{ErrorCode::kBadUsage,
                 "the run exchanged parameters (policy.exchange): its workers stepped by "
                 "themselves, with a state that no trace has, and cannot be replayed"};
  }
  if (!job.snapshot.resume.empty()) {
    return Error{ErrorCode::kBadUsage,
                 "the run began from a snapshot, of another run or of given weights "
                 "(snapshot.resume, train.weights): its traces do not have what its shards began "
                 "with, and it cannot be replayed; `shardmill audit` proves what they have"};
  }
  if (CheckTrainable(job).ok()) return {};
  return Error{ErrorCode::kBadUsage,
               "the job file names no data and no network: the run was trained by a program of its "
               "own, whose gradients a replay cannot make"};
}

Result<> CheckOfOneRun(const JobOptions& job, const Shards& shards) {
  if (shards.empty()) return Error{ErrorCode::kBadUsage, "no traces"};
  const TraceHead& first = shards.begin()->second->head();
  const Policy policy = job.policy.ToPolicy();
  const bool same = policy.apply == first.policy.apply && policy.bounded == first.policy.bounded &&
                    policy.staleness == first.policy.staleness &&
                    policy.backups == first.policy.backups && job.cluster.workers == first.workers;
  if (!same) return Error{ErrorCode::kBadInput, "the traces are of another job than the job file"};
  for (const auto& [id, shard] : shards) {
    TraceHead alike = shard->head();
    alike.shard = first.shard;
    if (alike != first) return Error{ErrorCode::kBadInput, "the traces are of several runs"};
  }
  if (shards.size() == first.shards) return {};
  return Error{ErrorCode::kBadInput, "there are traces of " + std::to_string(shards.size()) +
                                         " of " + std::to_string(first.shards) +
                                         " shards, and a replay needs all"};
}

// Until all traces are over. A trace that waits for another is the way of things; all that wait for
// each other are not of one run.
Result<> Play(Shards& shards) {
  while (true) {
    bool happened = false;
    for (auto& [id, shard] : shards) {
      const bool moved = SM_TRY(shard->Advance());
      happened = happened || moved;
    }
    const auto waits =
        std::ranges::find_if(shards, [](const auto& entry) { return !entry.second->done(); });
    if (waits == shards.end()) return {};
    if (happened) continue;
    return Error{ErrorCode::kBadInput,
                 waits->second->Place() + ": a step is made before all was served that it needs"};
  }
}

// Of all keys that the data to train with has, in their order; of those that no step has named as
// they begin.
std::vector<float> RowsOf(const ReplayGradients& workers, size_t tensor, const Shards& shards) {
  const ParameterSpec& spec = workers.tensors()[tensor];
  std::map<uint64_t, std::vector<float>> known;
  for (const auto& [id, shard] : shards)
    known.merge(shard->core().Rows(workers.PlaceOf(tensor).id));
  const std::vector<uint64_t> keys = AllKeys(workers.data(), spec.input);
  std::vector<float> rows(keys.size() * spec.dim);
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::span<float> row = std::span(rows).subspan(i * spec.dim, spec.dim);
    const auto found = known.find(keys[i]);
    if (found == known.end()) {
      FillInitialRow(SaltedBy(spec.initial, spec.name), keys[i], row);
    } else {
      std::copy_n(found->second.begin(), spec.dim, row.begin());
    }
  }
  return rows;
}

uint32_t ChecksumOf(const ReplayGradients& workers, const Shards& shards) {
  std::vector<std::vector<float>> tensors;
  for (size_t i = 0; i < workers.tensors().size(); ++i) {
    std::vector<float>& tensor = tensors.emplace_back();
    const ParameterSpec& spec = workers.tensors()[i];
    if (spec.sparse()) {
      tensor = RowsOf(workers, i, shards);
      continue;
    }
    for (const auto& [id, shard] : shards) {
      const std::vector<float> slice = shard->core().Snapshot(workers.PlaceOf(i).id);
      tensor.insert(tensor.end(), slice.begin(), slice.end());
    }
  }
  const std::vector<std::span<const float>> spans(tensors.begin(), tensors.end());
  return WeightsChecksum(spans);
}

}  // namespace

Result<ReplayOutcome> ReplayRun(const JobOptions& job, const std::vector<std::string>& traces) {
  SM_TRY(CheckReplayable(job));
  const std::unique_ptr<ReplayGradients> workers = SM_TRY(ReplayGradients::Make(job));
  Shards shards;
  for (const std::string& path : traces) {
    std::unique_ptr<ReplayShard> shard = SM_TRY(ReplayShard::Make(job, path, *workers));
    const uint32_t id = shard->head().shard.value;
    if (!shards.emplace(id, std::move(shard)).second) {
      return Error{ErrorCode::kBadUsage, path + ": a second trace of shard " + std::to_string(id)};
    }
  }
  SM_TRY(CheckOfOneRun(job, shards));
  SM_TRY(Play(shards));
  ReplayOutcome outcome;
  outcome.shards = static_cast<uint32_t>(shards.size());
  for (const auto& [id, shard] : shards) {
    outcome.applied += shard->applied();
    outcome.served += shard->served();
  }
  outcome.gradients = workers->made();
  outcome.weights_crc32 = ChecksumOf(*workers, shards);
  return outcome;
}

}  // namespace shardmill
