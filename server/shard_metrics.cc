#include "server/shard_metrics.h"

#include <string>
#include <variant>

namespace shardmill {
namespace {

Gauge& Peers(const std::string& via, Labels labels, Registry& registry) {
  labels.emplace_back("via", via);
  return registry.AddGauge("shardmill_peers", "Peers that messages go to and come from.", labels);
}

TimeSpent& Waits(const std::string& cause, Labels labels, Registry& registry) {
  labels.emplace_back("cause", cause);
  return registry.AddTimeSpent("shardmill_wait_seconds_total",
                               "Time in which answers waited for a slower worker, for replicas or "
                               "for the log.",
                               labels);
}

}  // namespace

ShardMetrics::ShardMetrics(ShardId id, bool logs, const Clock& clock, Registry& registry)
    : clock_(clock),
      registry_(registry),
      labels_{{"shard", std::to_string(id.value)}},
      units_(registry.AddCounter("shardmill_units_total",
                                 "Pushes taken, in units: what one step pushes to one shard in "
                                 "one message.",
                                 labels_)),
      pulls_(registry.AddCounter("shardmill_pulls_total", "Pulls served.", labels_)),
      entries_(registry.AddCounter("shardmill_entries_total", "Changes applied to the tables.",
                                   labels_)),
      refused_(registry.AddCounter("shardmill_refused_total", "Requests refused.", labels_)),
      discarded_(registry.AddCounter("shardmill_discarded_steps_total",
                                     "Steps whose round was closed without them.", labels_)),
      skipped_(registry.AddCounter("shardmill_skipped_steps_total",
                                   "Steps left out for a gradient that is no number.", labels_)),
      nonfinite_(registry.AddCounter("shardmill_nonfinite_units_total",
                                     "Units taken with a NaN or an infinity in them.", labels_)),
      bad_packets_(registry.AddCounter("shardmill_bad_packets_total",
                                       "Packets that were no message.", labels_)),
      forbidden_(registry.AddCounter("shardmill_forbidden_total",
                                     "Messages that their sender's key may not send.", labels_)),
      unsent_(registry.AddCounter("shardmill_unsent_total",
                                  "Messages that a full queue or a lost peer did not take.",
                                  labels_)),
      closed_(registry.AddGauge("shardmill_rounds_closed", "Rounds that every worker has finished.",
                                labels_)),
      held_bytes_(registry.AddGauge("shardmill_held_bytes",
                                    "Gradient held for steps that have not ended.", labels_)),
      parked_pulls_(registry.AddGauge("shardmill_parked_pulls",
                                      "Pulls that wait for slower workers.", labels_)),
      staleness_max_(registry.AddGauge("shardmill_staleness_rounds_max",
                                       "Largest staleness served.", labels_)),
      trace_lost_(registry.AddCounter(
          "shardmill_trace_lost_events_total",
          "Events that the trace lacks because it could not be written.", labels_)),
      peers_in_memory_(Peers("shared_memory", labels_, registry)),
      peers_over_tcp_(Peers("tcp", labels_, registry)),
      primary_(registry.AddGauge("shardmill_primary",
                                 "1 where workers speak to it, 0 at a replica.", labels_)),
      in_sync_(registry.AddGauge("shardmill_replicas_in_sync",
                                 "Replicas that a primary waits for before it answers.", labels_)),
      gated_(registry.AddGauge("shardmill_gated_answers",
                               "Answers that wait for replicas or the log.", labels_)),
      log_bytes_(registry.AddGauge("shardmill_log_bytes", "Bytes of the log; 0: there is none yet.",
                                   labels_)),
      log_failures_(registry.AddCounter("shardmill_log_failures_total",
                                        "Files of the log that could not be written, and were "
                                        "left.",
                                        labels_)),
      log_write_(registry.AddHistogram("shardmill_log_write_seconds",
                                       "From giving a batch to the log until it is on disk.",
                                       labels_)),
      apply_(registry.AddHistogram("shardmill_apply_seconds",
                                   "The sums of one change of one table.", labels_)),
      waits_for_worker_(Waits("worker", labels_, registry)),
      waits_for_copy_(Waits(logs ? "log" : "replica", labels_, registry)),
      busy_(registry.AddTimeSpent("shardmill_busy_seconds_total",
                                  "Time in which the shard's thread was at work.", labels_)) {}

void ShardMetrics::Begin(ShardObserver* next) {
  next_ = next;
  counted_ = {};
  asked_.clear();
  waits_for_ = nullptr;
}

void ShardMetrics::Publish(const Shard& shard, TimePoint now) {
  const ShardCounters& counters = shard.counters();
  units_.Add(counters.units - counted_.units);
  pulls_.Add(counters.pulls - counted_.pulls);
  entries_.Add(counters.entries - counted_.entries);
  refused_.Add(counters.refused - counted_.refused);
  discarded_.Add(counters.discarded - counted_.discarded);
  skipped_.Add(counters.skipped - counted_.skipped);
  nonfinite_.Add(counters.nonfinite - counted_.nonfinite);
  counted_ = counters;
  const Beat beat = shard.Status();
  closed_.Set(static_cast<double>(beat.closed));
  held_bytes_.Set(static_cast<double>(beat.held_bytes));
  parked_pulls_.Set(static_cast<double>(beat.parked_pulls));
  staleness_max_.Set(static_cast<double>(beat.staleness_max));
  primary_.Set(shard.primary() ? 1 : 0);
  in_sync_.Set(static_cast<double>(beat.in_sync.size()));
  gated_.Set(static_cast<double>(beat.gated));
  log_bytes_.Set(static_cast<double>(beat.log.bytes));
  PublishWaits(beat, now);
}

// What was so after the turn before was so until this one.
void ShardMetrics::PublishWaits(const Beat& beat, TimePoint now) {
  if (waits_for_ != nullptr) waits_for_->Add(now - published_at_);
  published_at_ = now;
  waits_for_ = nullptr;
  if (beat.gated > 0) {
    waits_for_ = &waits_for_copy_;
  } else if (beat.parked_pulls > 0) {
    waits_for_ = &waits_for_worker_;
  }
}

void ShardMetrics::Publish(const Messenger::Counters& sent, const Reach& reach) {
  bad_packets_.Add(sent.bad_packets - bad_packets_.value());
  unsent_.Add(sent.dropped_full + sent.dropped_unknown - unsent_.value());
  peers_in_memory_.Set(static_cast<double>(reach.shared_memory));
  peers_over_tcp_.Set(static_cast<double>(reach.tcp));
}

void ShardMetrics::LogAsked(const LogRequest& request) {
  if (const auto* batch = std::get_if<LogBatch>(&request)) asked_[batch->file] = clock_.Now();
}

void ShardMetrics::LogAnswered(const LogWritten& written) {
  const auto asked = asked_.extract(written.file);
  if (!written.bytes.ok()) return log_failures_.Add();
  if (!asked.empty()) log_write_.Observe(clock_.Now() - asked.mapped());
}

void ShardMetrics::TookView(JobId job, const View& view) {
  if (next_ != nullptr) next_->TookView(job, view);
}

void ShardMetrics::Restored(uint64_t version, const std::vector<RankState>& ranks) {
  if (next_ != nullptr) next_->Restored(version, ranks);
}

void ShardMetrics::Applied(const LogEntry& entry) {
  if (next_ != nullptr) next_->Applied(entry);
}

void ShardMetrics::Served(const Pull& pull, BootId reader, const Pulled& answer) {
  if (next_ != nullptr) next_->Served(pull, reader, answer);
}

void ShardMetrics::ChangeBegins(const TableChange& change) {
  if (next_ != nullptr) next_->ChangeBegins(change);
  change_began_ = clock_.Now();
}

void ShardMetrics::ChangeEnds() {
  apply_.Observe(clock_.Now() - change_began_);
  if (next_ != nullptr) next_->ChangeEnds();
}

}  // namespace shardmill
