// shardmill-coordinator: membership, views and cuts of one job.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/daemon/daemon.h"
#include "common/daemon/gate.h"
#include "common/flags/flags.h"
#include "common/fresh_id.h"
#include "common/http/http_server.h"
#include "common/job/address.h"
#include "common/job/job.h"
#include "common/keys/key_ring.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/net/messenger.h"
#include "common/net/zmq_transport.h"
#include "common/process/announce.h"
#include "common/process/signals.h"
#include "common/published.h"
#include "server/coordinator.h"
#include "server/coordinator_journal.h"
#include "server/job_metrics.h"
#include "server/job_view.h"
#include "server/pump.h"
#include "server/snapshot_keeper.h"
#include "server/state_log.h"
#include "server/wait_shares.h"

namespace shardmill {
namespace {

CoordinatorOptions OptionsOf(const JobOptions& job) {
  CoordinatorOptions options;
  options.job = JobId{FreshId()};
  options.boot = BootId{FreshId()};
  options.policy = job.policy.ToPolicy();
  options.update = job.ServerUpdate();
  options.keys = MeaningOf(job);
  options.workers = job.cluster.workers;
  if (job.cluster.elastic) options.workers_max = job.cluster.Ranks();
  options.data.leased = job.data.scheme == DataScheme::kLeased;
  options.data.epochs = job.train.epochs;
  options.data.batch = job.BatchRows();
  options.data.chunk = job.data.chunk;
  options.shards = job.cluster.Shards();
  options.shards_per_server = job.cluster.shards_per_server;
  options.replicas = job.replication.replicas;
  options.logs = job.replication.logs();
  options.recorded = !job.trace.folder.empty();
  options.lease = job.cluster.lease;
  options.retry_after = job.network.retry_after;
  options.table_bytes_max = job.cluster.table_bytes;
  options.start_timeout = job.cluster.start_timeout;
  // The workers give up first, and say what they waited for.
  options.silence_limit = job.network.step_timeout + 2 * job.cluster.lease;
  return options;
}

// Where the flag says, or else where the job file says that everybody finds the coordinator.
Result<std::string> EndpointOf(const CoordinatorFlags& flags, const JobOptions& job) {
  if (flags.listen.empty()) return ParseAddress(job.cluster.coordinator)->Endpoint();
  const auto endpoint = ParseListen(flags.listen);
  if (endpoint) {
    SM_TRY(CheckListen(job, *endpoint));
    return *endpoint;
  }
  return Error{ErrorCode::kBadUsage, "--listen wants HOST:PORT, not \"" + flags.listen + "\""};
}

int64_t UnixMs() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

// None where the job keeps none. What it has of a process before this, is of that one's job.
Result<std::unique_ptr<CoordinatorJournal>> OpenJournal(const JobOptions& job,
                                                        CoordinatorOptions& options) {
  std::unique_ptr<CoordinatorJournal> journal;
  if (job.cluster.state.empty()) {
    if (!job.replication.logs()) return journal;
    return Error{ErrorCode::kBadUsage,
                 "\"replication.log\" is given, and \"cluster.state\" is empty: nobody would know "
                 "after a restart whose logs they are; give the coordinator a folder"};
  }
  journal = SM_TRY(CoordinatorJournal::Open(job.cluster.state, options));
  if (journal->before()) options.job = journal->before()->job;
  return journal;
}

// A new job, or the one that the process before this has left.
Coordinator Begin(const CoordinatorOptions& options, TimePoint now,
                  const CoordinatorJournal* journal, const Log& log) {
  if (journal == nullptr || !journal->before()) return Coordinator(options, now);
  const CoordinatorState& before = *journal->before();
  log.Info("coordinator_goes_on",
           {{"view", before.decided.view.number.value}, {"start", before.epoch.value + 1}});
  return Coordinator(options, now, before);
}

// What people and monitors are told of the job. Written by the coordinator's thread, read by
// HTTP's.
class JobPages final {
 public:
  explicit JobPages(Registry& registry) : registry_(registry), metrics_(registry) {}

  void Publish(const Coordinator& coordinator, TimePoint now) {
    JobStatus status = StatusOf(coordinator, now);
    waits_.Look(now, status);
    metrics_.Publish(coordinator, status, UnixMs());
    status_.Set(ToJson(status));
    awaited_.Set(coordinator.words());
  }
  void Count(uint64_t bad_packets, uint64_t forbidden) { metrics_.Count(bad_packets, forbidden); }

  std::vector<HttpRoute> Routes() {
    std::vector<HttpRoute> routes = DaemonRoutes(
        registry_, [] { return std::string(); }, [this] { return awaited_.Get(); });
    routes.push_back({"/status", [this](const HttpRequest&) {
                        return HttpResponse{200, "application/json", status_.Get() + "\n"};
                      }});
    return routes;
  }

 private:
  Registry& registry_;
  JobMetrics metrics_;
  WaitShares waits_;
  Published<std::string> status_;
  Published<std::string> awaited_;  // Whom a start waits for.
};

Result<> Serve(const CoordinatorFlags& flags, const DaemonContext& daemon) {
  const JobOptions& job = daemon.job;
  const Log& log = daemon.log;
  const SteadyClock clock;
  Registry registry;
  JobPages pages(registry);

  const std::unique_ptr<KeyRing> keys =
      SM_TRY(KeyRing::Open(job.security.keys, Role::kCoordinator));
  GateLog gate(registry, log);
  ZmqContext context(static_cast<int>(job.network.io_threads), job.network.IoCpus(), keys.get(),
                     &gate);
  ZmqTransport transport(context, TransportOptionsOf(job));
  const std::string wanted = SM_TRY(EndpointOf(flags, job));
  const std::string endpoint = SM_TRY(transport.Bind(wanted));
  WarnOfOpenDoor(job, endpoint, log);
  CoordinatorOptions options = OptionsOf(job);
  const std::unique_ptr<CoordinatorJournal> journal = SM_TRY(OpenJournal(job, options));
  SnapshotKeeper snapshots(job, log);
  SM_TRY(snapshots.Prepare(options));
  // A job that has begun needs the snapshot that it began from no more; it may be gone.
  if (!journal || !journal->begun()) SM_TRY(snapshots.Resume(options));
  Coordinator coordinator = Begin(options, clock.Now(), journal.get(), log);
  // The ids of the job are on disk before anybody hears them.
  const auto keep = [&] { return journal ? journal->Keep(coordinator) : Result<>(); };
  SM_TRY(keep());
  FramePool frames(FramePool::Memory::kPrivate);
  Messenger messenger(transport, frames, WireLimitsOf(job));
  Pump<Coordinator> pump(coordinator, messenger, clock, log, keep);

  pages.Publish(coordinator, clock.Now());
  const std::unique_ptr<HttpServer> http = SM_TRY(StartHttp(job, pages.Routes()));
  SM_TRY(Announce(flags.announce_fd, {endpoint, http ? http->address() : ""}));
  log.Info("coordinator_listens",
           {{"endpoint", endpoint}, {"http", http ? http->address() : "off"}});

  constexpr std::chrono::milliseconds kPoll{20};
  constexpr Duration kStatusEvery = std::chrono::milliseconds(100);
  // When the job has failed: so long everybody can still hear why.
  constexpr Duration kFailedLinger = std::chrono::seconds(10);
  TimePoint status_at{};
  StateLog state_log(log);
  std::optional<TimePoint> failed_at;
  while (!daemon.stop.requested()) {
    SM_TRY(pump.Turn(kPoll));
    snapshots.Keep(coordinator, clock, UnixMs());
    SM_TRY(keep());
    const bool changed = state_log.Look(coordinator, clock.Now());
    if (changed && coordinator.state() == JobState::kFailed) failed_at = clock.Now();
    if (failed_at && !flags.stay && clock.Now() - *failed_at > kFailedLinger) break;
    if (!changed && clock.Now() - status_at < kStatusEvery) continue;
    status_at = clock.Now();
    pages.Publish(coordinator, status_at);
    pages.Count(messenger.counters().bad_packets, pump.forbidden());
  }
  if (coordinator.final_lost()) {
    return Error{ErrorCode::kUnsaved, "the job is done, but " + coordinator.words()};
  }
  if (coordinator.state() != JobState::kFailed) return {};
  return Error{coordinator.timed_out() ? ErrorCode::kUnavailable : ErrorCode::kFailed,
               coordinator.words()};
}

}  // namespace
}  // namespace shardmill

int main(int argc, char** argv) {
  return shardmill::RunDaemon(shardmill::ParseCoordinatorFlags(shardmill::ArgumentsOf(argc, argv)),
                              "shardmill-coordinator", &shardmill::Serve);
}
