#include "server/shard_agent.h"

#include <utility>

namespace shardmill {
namespace {

// So long the agent waits for messages; or for the disk, where that is what it waits for.
constexpr std::chrono::milliseconds kPoll{20};

}  // namespace

Result<std::unique_ptr<ShardAgent>> ShardAgent::Make(const Options& options,
                                                     std::unique_ptr<Transport> transport,
                                                     FramePool& frames, const Clock& clock,
                                                     Registry& registry, const Log& log) {
  ShardOptions shard_options = options.shard;
  shard_options.endpoint = SM_TRY(transport->Bind(options.bind));
  shard_options.coordinator = SM_TRY(transport->Connect(options.coordinator));
  std::unique_ptr<TraceWriter> trace;
  if (!options.trace_folder.empty()) {
    trace = SM_TRY(TraceWriter::Make(options.trace_folder, shard_options.id, options.workers, log));
  }
  ShardObserver* observer = trace.get();
  std::unique_ptr<ShardTimeline> timeline;
  if (options.lane != nullptr) {
    timeline = std::make_unique<ShardTimeline>(shard_options.id, *options.lane, observer);
    observer = timeline.get();
  }
  std::unique_ptr<Shard> shard = SM_TRY(Shard::Make(shard_options, frames, observer));
  return std::unique_ptr<ShardAgent>(new ShardAgent(
      shard_options.id, shard_options.endpoint, std::move(transport), frames, options.limits,
      std::move(trace), std::move(timeline), std::move(shard), options.disk, shard_options, clock,
      MakeMetrics(shard_options.id, registry), log));
}

ShardAgent::ShardAgent(ShardId id, const std::string& endpoint,
                       std::unique_ptr<Transport> transport, FramePool& frames,
                       const WireLimits& limits, std::unique_ptr<TraceWriter> trace,
                       std::unique_ptr<ShardTimeline> timeline, std::unique_ptr<Shard> shard,
                       std::optional<DiskAgent::Line> disk, const ShardOptions& options,
                       const Clock& clock, const Metrics& metrics, const Log& log)
    : id_(id),
      endpoint_(Endpoint::Parse(endpoint)),
      transport_(std::move(transport)),
      messenger_(*transport_, frames, limits),
      clock_(clock),
      trace_(std::move(trace)),
      timeline_(std::move(timeline)),
      shard_(std::move(shard)),
      coordinator_(options.coordinator),
      disk_(disk),
      timed_(*shard_, timeline_.get()),
      pump_(timed_, messenger_, clock, log),
      log_(log),
      metrics_(metrics) {}

ShardAgent::Metrics ShardAgent::MakeMetrics(ShardId id, Registry& registry) {
  const Labels labels{{"shard", std::to_string(id.value)}};
  const auto peers = [&](const std::string& via) -> Gauge& {
    return registry.AddGauge("shardmill_peers", "Peers that messages go to and come from.",
                             {labels.front(), {"via", via}});
  };
  return {
      registry.AddCounter("shardmill_units_total", "Units of gradient taken.", labels),
      registry.AddCounter("shardmill_pulls_total", "Pulls served.", labels),
      registry.AddCounter("shardmill_entries_total", "Changes applied to the tables.", labels),
      registry.AddCounter("shardmill_refused_total", "Requests refused.", labels),
      registry.AddCounter("shardmill_bad_packets_total", "Packets that were no message.", labels),
      registry.AddCounter("shardmill_forbidden_total",
                          "Messages that their sender's key may not send.", labels),
      registry.AddCounter("shardmill_unsent_total",
                          "Messages that a full queue or a lost peer did not take.", labels),
      registry.AddGauge("shardmill_rounds_closed", "Rounds that every worker has finished.",
                        labels),
      registry.AddGauge("shardmill_held_bytes", "Gradient held for steps that have not ended.",
                        labels),
      registry.AddGauge("shardmill_parked_pulls", "Pulls that wait for slower workers.", labels),
      registry.AddGauge("shardmill_staleness_rounds_max", "Largest staleness served.", labels),
      registry.AddCounter("shardmill_trace_lost_events_total",
                          "Events that the trace lacks because it could not be written.", labels),
      peers("shared_memory"),
      peers("tcp"),
  };
}

Result<> ShardAgent::Run(const StopSource& stop) {
  log_.Info("shard_listens", {{"shard", id_.value}, {"endpoint", endpoint_.tcp}});
  Result<> result;
  bool disk_busy = false;
  while (!stop.requested()) {
    result = pump_.Turn(disk_busy ? std::chrono::milliseconds(0) : kPoll);
    disk_busy = WorkDisk();
    if (trace_ != nullptr) trace_->Tick(clock_.Now());
    Publish();
    if (result.ok()) result = CheckFolder();
    if (!result.ok()) break;
    if (shard_->failure()) {
      Error error = *shard_->failure();
      const std::string trouble = transport_->Trouble(coordinator_);
      if (!trouble.empty()) error.message += ": " + trouble;
      result = std::move(error);
      break;
    }
  }
  if (trace_ != nullptr) trace_->Close();
  return result;
}

Result<> ShardAgent::CheckFolder() {
  if (folder_checked_ || !disk_ || !shard_->job()) return {};
  folder_checked_ = true;
  return disk_->Check(*shard_->job());
}

bool ShardAgent::WorkDisk() {
  // So many rows are copied between two looks at the network.
  constexpr uint64_t kRows = 2048;
  // So many answers are taken between two looks at it.
  constexpr int kAnswers = 16;
  if (!disk_) return false;
  Outbox outbox;
  // Who restores has nothing else to do: it goes on as soon as the disk does.
  std::optional<DiskAnswer> answer =
      shard_->Restores() ? disk_->AwaitAnswer(kPoll) : disk_->NextAnswer();
  for (int i = 1; answer; ++i) {
    shard_->Handle(std::move(*answer), outbox);
    answer.reset();
    if (i < kAnswers) answer = disk_->NextAnswer();
  }
  messenger_.Send(outbox);
  const bool more = to_disk_ || shard_->DiskWaits();
  if (!to_disk_ && more) to_disk_ = shard_->NextDiskRequest(kRows);
  if (to_disk_) {
    // The other shards of the process ask the same disk: waiting here would keep messages waiting.
    if (!disk_->TryAsk(*to_disk_)) return shard_->Restores();
    to_disk_.reset();
  }
  return more || shard_->Restores();
}

void ShardAgent::Publish() {
  if (shard_->ready() && !ready()) {
    log_.Info("shard_ready", {{"shard", id_.value}, {"view", shard_->view().number.value}});
    ready_.store(true, std::memory_order_relaxed);
  }
  const ShardCounters& now = shard_->counters();
  metrics_.units.Add(now.units - counted_.units);
  metrics_.pulls.Add(now.pulls - counted_.pulls);
  metrics_.entries.Add(now.entries - counted_.entries);
  metrics_.refused.Add(now.refused - counted_.refused);
  metrics_.bad_packets.Add(messenger_.counters().bad_packets - counted_bad_);
  metrics_.forbidden.Add(pump_.forbidden() - metrics_.forbidden.value());
  counted_ = now;
  counted_bad_ = messenger_.counters().bad_packets;
  const uint64_t unsent =
      messenger_.counters().dropped_full + messenger_.counters().dropped_unknown;
  metrics_.unsent.Add(unsent - counted_unsent_);
  counted_unsent_ = unsent;
  const Beat beat = shard_->Status();
  metrics_.closed.Set(static_cast<double>(beat.closed));
  metrics_.held_bytes.Set(static_cast<double>(beat.held_bytes));
  metrics_.parked_pulls.Set(static_cast<double>(beat.parked_pulls));
  metrics_.staleness_max.Set(static_cast<double>(beat.staleness_max));
  const Reach reach = transport_->reach();
  metrics_.peers_in_memory.Set(static_cast<double>(reach.shared_memory));
  metrics_.peers_over_tcp.Set(static_cast<double>(reach.tcp));
  if (trace_ != nullptr) metrics_.trace_lost.Add(trace_->lost() - metrics_.trace_lost.value());
}

}  // namespace shardmill
