// shardmill-coordinator: membership, views and cuts of one job.

#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/daemon/daemon.h"
#include "common/flags/flags.h"
#include "common/fresh_id.h"
#include "common/http/http_server.h"
#include "common/job/address.h"
#include "common/job/job.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/net/messenger.h"
#include "common/net/zmq_transport.h"
#include "common/process/announce.h"
#include "common/process/signals.h"
#include "common/published.h"
#include "server/coordinator.h"
#include "server/job_view.h"
#include "server/pump.h"

namespace shardmill {
namespace {

CoordinatorOptions OptionsOf(const JobOptions& job) {
  CoordinatorOptions options;
  options.job = JobId{FreshId()};
  options.boot = BootId{FreshId()};
  options.policy = job.policy.ToPolicy();
  options.workers = job.cluster.workers;
  options.shards = job.cluster.Shards();
  options.lease = job.cluster.lease;
  options.retry_after = job.network.retry_after;
  options.start_timeout = job.cluster.start_timeout;
  return options;
}

struct CoordinatorMetrics {
  explicit CoordinatorMetrics(Registry& registry)
      : view(registry.AddGauge("shardmill_view_number", "The view that the job is in.")),
        members(registry.AddGauge("shardmill_members", "Workers in the view.")),
        silent(registry.AddGauge("shardmill_silent_workers", "Workers whose lease has ended.")),
        bad_packets(
            registry.AddCounter("shardmill_bad_packets_total", "Packets that were no message.")) {}

  void Publish(const Coordinator& coordinator, uint64_t bad) {
    view.Set(static_cast<double>(coordinator.view().number.value));
    members.Set(static_cast<double>(coordinator.view().members.size()));
    int count = 0;
    for (const RankStatus& rank : coordinator.ranks()) {
      count += rank.state == RankStatus::State::kSilent ? 1 : 0;
    }
    silent.Set(count);
    bad_packets.Add(bad - bad_packets.value());
  }

  Gauge& view;
  Gauge& members;
  Gauge& silent;
  Counter& bad_packets;
};

// Logs each change of the job's state once.
void LogState(const Coordinator& coordinator, const Log& log, JobState& logged,
              ViewNumber& logged_view) {
  if (coordinator.view().number != logged_view) {
    logged_view = coordinator.view().number;
    log.Info("view", {{"number", logged_view.value},
                      {"members", coordinator.view().members.size()},
                      {"tables", coordinator.view().tables.size()}});
  }
  if (coordinator.state() == logged) return;
  logged = coordinator.state();
  if (logged == JobState::kTraining) log.Info("job_training");
  if (logged == JobState::kDone) {
    log.Info("job_done",
             {{"lost", coordinator.audit().lost}, {"duplicated", coordinator.audit().duplicated}});
  }
  if (logged == JobState::kFailed) log.Error("job_failed", {{"why", coordinator.words()}});
}

// Where the flag says, or else where the job file says that everybody finds the coordinator.
Result<std::string> EndpointOf(const CoordinatorFlags& flags, const JobOptions& job) {
  if (flags.listen.empty()) return ParseAddress(job.cluster.coordinator)->Endpoint();
  const auto endpoint = ParseListen(flags.listen);
  if (endpoint) return *endpoint;
  return Error{ErrorCode::kBadUsage, "--listen wants HOST:PORT, not \"" + flags.listen + "\""};
}

Result<> Serve(const CoordinatorFlags& flags, const DaemonContext& daemon) {
  const JobOptions& job = daemon.job;
  const Log& log = daemon.log;
  const SteadyClock clock;
  Registry registry;
  CoordinatorMetrics metrics(registry);
  Published<std::string> status;

  ZmqContext context(static_cast<int>(job.network.io_threads));
  ZmqTransport transport(context, TransportOptionsOf(job));
  const std::string wanted = SM_TRY(EndpointOf(flags, job));
  const std::string endpoint = SM_TRY(transport.Bind(wanted));
  const CoordinatorOptions options = OptionsOf(job);
  Coordinator coordinator(options, clock.Now());
  Messenger messenger(transport, WireLimitsOf(job));
  Pump<Coordinator> pump(coordinator, options.boot, messenger, clock, log);

  status.Set(ToJson(StatusOf(coordinator, clock.Now())));
  std::vector<HttpRoute> routes = DaemonRoutes(registry, [] { return std::string(); });
  routes.push_back({"/status", [&status](const HttpRequest&) {
                      return HttpResponse{200, "application/json", status.Get() + "\n"};
                    }});
  const std::unique_ptr<HttpServer> http = SM_TRY(StartHttp(job, std::move(routes)));
  SM_TRY(Announce(flags.announce_fd, {endpoint, http ? http->address() : ""}));
  log.Info("coordinator_listens",
           {{"endpoint", endpoint}, {"http", http ? http->address() : "off"}});

  constexpr std::chrono::milliseconds kPoll{20};
  constexpr Duration kStatusEvery = std::chrono::milliseconds(100);
  TimePoint status_at{};
  JobState logged = JobState::kStarting;
  ViewNumber logged_view;
  while (!daemon.stop.requested()) {
    SM_TRY(pump.Turn(kPoll));
    const JobState before = logged;
    LogState(coordinator, log, logged, logged_view);
    if (logged == before && clock.Now() - status_at < kStatusEvery) continue;
    status_at = clock.Now();
    status.Set(ToJson(StatusOf(coordinator, status_at)));
    metrics.Publish(coordinator, messenger.counters().bad_packets);
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
