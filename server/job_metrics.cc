#include "server/job_metrics.h"

#include <algorithm>
#include <string>

namespace shardmill {
namespace {

using State = JobStatus::State;
constexpr std::array<State, 4> kStates = {State::kStarting, State::kTraining, State::kDone,
                                          State::kFailed};

}  // namespace

JobMetrics::JobMetrics(Registry& registry)
    : registry_(registry),
      states_{},
      view_(registry.AddGauge("shardmill_view_number", "The view that the job is in.")),
      generation_(
          registry.AddGauge("shardmill_generation", "Grows when the job goes back to a snapshot.")),
      rollbacks_(registry.AddCounter("shardmill_rollbacks_total",
                                     "How often the job has gone back to its last snapshot.")),
      promotions_(
          registry.AddCounter("shardmill_promotions_total",
                              "How often a replica has taken the place of a shard's primary.")),
      degraded_(registry.AddGauge("shardmill_degraded_shards",
                                  "Shards with fewer replicas in sync than they should have.")),
      members_(registry.AddGauge("shardmill_members", "Workers in the view.")),
      silent_(registry.AddGauge("shardmill_silent_workers", "Workers whose lease has ended.")),
      lost_(registry.AddCounter("shardmill_lost_steps_total",
                                "Acknowledged steps that a shard lacks; counted when the job is "
                                "done.")),
      duplicated_(registry.AddCounter("shardmill_duplicated_steps_total",
                                      "Steps that a shard has applied more than once; counted "
                                      "when the job is done.")),
      snapshots_(registry.AddCounter("shardmill_snapshots_total", "Snapshots that are complete.")),
      damaged_(registry.AddCounter("shardmill_snapshots_damaged_total",
                                   "Snapshots that were passed over for an older one because they "
                                   "could not be read.")),
      given_up_(registry.AddCounter("shardmill_snapshots_given_up_total",
                                    "Snapshots that did not come about.")),
      snapshot_bytes_(
          registry.AddGauge("shardmill_snapshot_bytes", "Size of the last complete snapshot.")),
      snapshot_seconds_(registry.AddGauge("shardmill_snapshot_seconds",
                                          "What it took, from its cut to its manifest.")),
      snapshot_at_(registry.AddGauge("shardmill_snapshot_timestamp_seconds",
                                     "Unix time of its cut; 0: there is none yet.")),
      bad_packets_(
          registry.AddCounter("shardmill_bad_packets_total", "Packets that were no message.")),
      forbidden_(registry.AddCounter("shardmill_forbidden_total",
                                     "Messages that their sender's key may not send.")) {
  for (size_t i = 0; i < kStates.size(); ++i) {
    states_[i] = &registry.AddGauge("shardmill_job_state", "1 for the state that the job is in.",
                                    {{"state", std::string(NameOf(kStates[i]))}});
  }
}

void JobMetrics::Publish(const Coordinator& coordinator, const JobStatus& status, int64_t unix_ms) {
  for (size_t i = 0; i < kStates.size(); ++i) states_[i]->Set(kStates[i] == status.state ? 1 : 0);
  view_.Set(static_cast<double>(status.view));
  generation_.Set(static_cast<double>(status.generation));
  rollbacks_.Add(status.rollbacks - rollbacks_.value());
  promotions_.Add(status.promotions - promotions_.value());
  degraded_.Set(
      static_cast<double>(std::ranges::count_if(status.shards, [&](const JobStatus::Shard& one) {
        return status.state == State::kTraining && one.in_sync < one.replicas;
      })));
  members_.Set(static_cast<double>(coordinator.decided().members.size()));
  silent_.Set(static_cast<double>(std::ranges::count(
      status.workers, JobStatus::Worker::State::kSilent, &JobStatus::Worker::state)));
  lost_.Add(status.lost - lost_.value());
  duplicated_.Add(status.duplicated - duplicated_.value());
  for (const JobStatus::Worker& worker : status.workers) {
    if (worker.incarnation > 0) Publish(worker);
  }
  if (const SnapshotStatus* seen = coordinator.snapshots()) {
    Publish(*seen, status.snapshots->age_seconds, unix_ms);
  }
}

void JobMetrics::Publish(const JobStatus::Worker& worker) {
  Rank& rank = RankOf(worker.rank);
  rank.step.Set(static_cast<double>(std::max(worker.step, worker.acked)));
  rank.staleness_max.Set(static_cast<double>(worker.staleness_max));
  const std::chrono::duration<double> more(worker.awaited_seconds - rank.awaited.seconds());
  rank.awaited.Add(std::chrono::duration_cast<Duration>(more));
}

void JobMetrics::Publish(const SnapshotStatus& seen, double age_seconds, int64_t unix_ms) {
  snapshots_.Add(seen.complete - snapshots_.value());
  damaged_.Add(seen.damaged - damaged_.value());
  given_up_.Add(seen.given_up - given_up_.value());
  if (seen.number == snapshot_) return;
  snapshot_ = seen.number;
  snapshot_bytes_.Set(static_cast<double>(seen.bytes));
  snapshot_seconds_.Set(std::chrono::duration<double>(seen.took).count());
  snapshot_at_.Set(static_cast<double>(unix_ms) * 1e-3 - age_seconds);
}

void JobMetrics::Count(uint64_t bad_packets, uint64_t forbidden) {
  bad_packets_.Add(bad_packets - bad_packets_.value());
  forbidden_.Add(forbidden - forbidden_.value());
}

JobMetrics::Rank& JobMetrics::RankOf(uint32_t rank) {
  const auto found = ranks_.find(rank);
  if (found != ranks_.end()) return found->second;
  const Labels labels{{"rank", std::to_string(rank)}};
  return ranks_
      .emplace(
          rank,
          Rank{registry_.AddGauge("shardmill_rank_step", "Step that the worker last told.", labels),
               registry_.AddGauge("shardmill_rank_staleness_rounds_max",
                                  "Largest staleness that the worker was served.", labels),
               registry_.AddTimeSpent("shardmill_rank_awaited_seconds_total",
                                      "Time in which shards waited for the worker, as their "
                                      "beats say.",
                                      labels)})
      .first->second;
}

}  // namespace shardmill
