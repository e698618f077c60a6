#include "server/job_view.h"

#include <algorithm>
#include <string>

#include "common/net/endpoint.h"
#include "common/process/exit_code.h"

namespace shardmill {
namespace {

JobStatus::State StateOf(JobState state) {
  switch (state) {
    case JobState::kStarting:
      return JobStatus::State::kStarting;
    case JobState::kTraining:
      return JobStatus::State::kTraining;
    case JobState::kDone:
      return JobStatus::State::kDone;
    case JobState::kFailed:
      return JobStatus::State::kFailed;
  }
  return JobStatus::State::kFailed;
}

JobStatus::Worker::State StateOf(RankStatus::State state) {
  switch (state) {
    case RankStatus::State::kAbsent:
      return JobStatus::Worker::State::kAbsent;
    case RankStatus::State::kWaiting:
      return JobStatus::Worker::State::kWaiting;
    case RankStatus::State::kTraining:
      return JobStatus::Worker::State::kTraining;
    case RankStatus::State::kSilent:
      return JobStatus::Worker::State::kSilent;
    case RankStatus::State::kDone:
      return JobStatus::Worker::State::kDone;
  }
  return JobStatus::Worker::State::kAbsent;
}

JobStatus::Worker WorkerOf(uint32_t rank, const RankStatus& status, TimePoint now) {
  JobStatus::Worker worker;
  worker.rank = rank;
  worker.state = StateOf(status.state);
  worker.incarnation = status.incarnation.value;
  worker.step = status.report.step;
  worker.acked = status.acked;
  worker.epoch = status.report.epoch;
  worker.samples = status.report.samples;
  worker.seconds = status.report.seconds;
  if (status.incarnation.value > 0) {
    worker.silent_seconds = std::chrono::duration<double>(now - status.heard_at).count();
  }
  worker.staleness_max = status.report.staleness_max;
  for (const Metric& metric : status.report.metrics) {
    worker.metrics.emplace_back(metric.name, metric.value);
  }
  return worker;
}

JobStatus::Shard ShardOf(uint32_t id, const ShardStatus& status) {
  JobStatus::Shard shard;
  shard.id = id;
  shard.endpoint = Endpoint::Parse(status.endpoint).tcp;
  shard.closed = status.beat.closed;
  shard.version = status.beat.version;
  shard.units = status.beat.units;
  shard.held_bytes = status.beat.held_bytes;
  shard.parked_pulls = status.beat.parked_pulls;
  shard.staleness_max = status.beat.staleness_max;
  shard.waiting_for = status.beat.waiting_for;
  shard.discarded = status.beat.discarded;
  shard.skipped = status.beat.skipped;
  shard.nonfinite = status.beat.nonfinite;
  return shard;
}

// Why a shard has fewer replicas in sync than it should, or no log.
std::string DegradedWords(const ShardStatus& primary, const std::vector<ShardStatus>& replicas,
                          bool logs, TimePoint now) {
  std::string words;
  if (logs && primary.beat.log.term.value == 0) {
    const std::string& problem = primary.beat.log.problem;
    words = "its log has not all yet" + (problem.empty() ? "" : " (" + problem + ")");
  }
  for (const ShardStatus& replica : replicas) {
    if (replica.in_sync || replica.replaces) continue;
    words += (words.empty() ? "copy " : ", copy ") + std::to_string(replica.copy);
    const bool differs = primary.beat.differing != 0 && replica.stream == primary.beat.differing;
    if (!replica.registered || replica.link_ended || now > replica.lease_until) {
      words += " is not there";
    } else if (differs) {
      words += " is no copy any more: " + primary.beat.why;
    } else {
      words += " catches up";
    }
  }
  if (!words.empty() && primary.beat.gated > 0) {
    words += "; " + std::to_string(primary.beat.gated) + " answers wait";
  }
  return words;
}

void AddReplicas(const ShardStatus& primary, const std::vector<ShardStatus>& replicas, bool logs,
                 TimePoint now, JobStatus::Shard& shard) {
  shard.copy = primary.copy;
  shard.host = primary.host;
  for (const ShardStatus& replica : replicas) {
    if (replica.replaces) {
      shard.moving = true;
      continue;
    }
    ++shard.replicas;
    shard.in_sync += replica.in_sync ? 1 : 0;
  }
  shard.gated = primary.beat.gated;
  shard.degraded = DegradedWords(primary, replicas, logs, now);
}

JobStatus::Snapshots SnapshotsOf(const SnapshotStatus& seen, TimePoint now) {
  JobStatus::Snapshots snapshots;
  snapshots.number = seen.number;
  if (seen.number > 0) {
    snapshots.age_seconds = std::chrono::duration<double>(now - seen.cut_at).count();
  }
  snapshots.took_seconds = std::chrono::duration<double>(seen.took).count();
  snapshots.bytes = seen.bytes;
  snapshots.under_way = seen.under_way;
  snapshots.given_up = seen.given_up;
  snapshots.problem = seen.problem;
  snapshots.awaited = seen.awaited;
  snapshots.damaged = seen.damaged;
  snapshots.final_lost = seen.final_lost;
  return snapshots;
}

}  // namespace

JobStatus StatusOf(const Coordinator& coordinator, TimePoint now) {
  JobStatus status;
  status.state = StateOf(coordinator.state());
  status.words = coordinator.words();
  if (coordinator.state() == JobState::kFailed) {
    status.exit_code =
        static_cast<uint64_t>(coordinator.timed_out() ? ExitCode::kUnavailable : ExitCode::kFailed);
  }
  const Policy& policy = coordinator.decided().policy;
  if (policy.apply == ApplyRule::kOnArrival) {
    status.policy = policy.bounded ? "stale" : "async";
    status.staleness = policy.bounded ? policy.staleness : 0;
  }
  status.view = coordinator.decided().number.value;
  status.generation = coordinator.decided().generation.value;
  status.rollbacks = coordinator.rollbacks();
  status.promotions = coordinator.promotions();
  for (uint32_t i = 0; i < coordinator.ranks().size(); ++i) {
    // Where workers come and go, not every rank was ever somebody's.
    const RankStatus& rank = coordinator.ranks()[i];
    const bool nobody = rank.state == RankStatus::State::kAbsent && rank.incarnation.value == 0;
    if (coordinator.elastic() && nobody) continue;
    status.workers.push_back(WorkerOf(i, rank, now));
  }
  for (uint32_t i = 0; i < coordinator.shards().size(); ++i) {
    JobStatus::Shard& shard = status.shards.emplace_back(ShardOf(i, coordinator.shards()[i]));
    AddReplicas(coordinator.shards()[i], coordinator.replicas(ShardId{i}), coordinator.logs(), now,
                shard);
    if (coordinator.state() == JobState::kDone) shard.degraded.clear();
    // Nothing that a worker waits for comes while nobody is there to have it, too.
    const bool waits = shard.gated > 0 && shard.in_sync == 0 && !shard.degraded.empty();
    if (waits && status.words.empty()) {
      status.words = "shard " + std::to_string(i) + " is degraded: " + shard.degraded;
    }
  }
  if (const SnapshotStatus* snapshots = coordinator.snapshots()) {
    status.snapshots = SnapshotsOf(*snapshots, now);
  }
  status.lost = coordinator.audit().lost;
  status.duplicated = coordinator.audit().duplicated;
  status.data = coordinator.data().Places();
  status.data_used = coordinator.data().state().used;
  status.samples_lost = coordinator.audit().samples_lost;
  status.samples_repeated = coordinator.audit().samples_repeated;
  return status;
}

}  // namespace shardmill
