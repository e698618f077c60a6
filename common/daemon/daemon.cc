#include "common/daemon/daemon.h"

#include <cstdio>
#include <utility>

#include "common/config/environment.h"
#include "common/config/print.h"
#include "common/daemon/gate.h"
#include "common/process/announce.h"
#include "common/process/cpu_set.h"
#include "common/process/exit_code.h"
#include "common/process/large_blocks.h"

namespace shardmill {
namespace {

int Tell(std::string_view name, const Error& error) {
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(name.size()), name.data(),
               error.message.c_str());
  return static_cast<int>(ExitCodeOf(error.code));
}

}  // namespace

Result<> CheckFlags(const CoordinatorFlags&, const JobOptions&) { return {}; }

// A server beyond cluster.servers holds nothing before shards are moved to it.
Result<> CheckFlags(const ServerFlags&, const JobOptions&) { return {}; }

Result<> CheckFlags(const WorkerFlags& flags, const JobOptions& job) {
  if (flags.rank < job.cluster.workers) return {};
  return Error{ErrorCode::kBadUsage,
               "--rank " + std::to_string(flags.rank) + " is out of range: cluster.workers is " +
                   std::to_string(job.cluster.workers) + ", and ranks are counted from 0"};
}

namespace {

// What the job file asks of the machine that this process runs on.
Result<> CheckHost(const JobOptions& job) {
  SM_TRY(CheckCpus("cluster.shard_cpus", job.cluster.ShardCpus()));
  return CheckCpus("network.io_cpus", job.network.IoCpus());
}

}  // namespace

int RunDaemon(const JobFlags& flags, std::string_view name, const DaemonWork& work) {
  KeepLargeBlocks();
  StopSource stop;
  const auto signals = SignalWatcher::Start(&stop);
  if (!signals.ok()) return Tell(name, signals.error());
  const auto job = LoadJob(flags.file, {flags.sets, config::ProcessEnvironment()});
  if (!job.ok()) return Tell(name, job.error());
  const JobOptions& options = job.value().options;
  for (const Result<>& checked : {work.check(options), CheckHost(options)}) {
    if (!checked.ok()) return Tell(name, checked.error());
  }
  std::fprintf(stderr, "%s%.*s\n", config::PrintToml(job.value().listing, true).c_str(),
               static_cast<int>(kOptionsEnd.size()), kOptionsEnd.data());
  const Log log(name, LogLevelNamed(options.log.level));
  WarnOfOpenPage(options, log);
  const Result<> served = work.serve({options, stop, log});
  if (!served.ok()) return Tell(name, served.error());
  if (stop.reason() == StopReason::kInterrupt) return static_cast<int>(ExitCode::kStopped);
  return stop.requested() ? work.stopped_code : static_cast<int>(ExitCode::kDone);
}

ZmqOptions TransportOptionsOf(const JobOptions& job) {
  ZmqOptions options;
  options.message_bytes_max = job.network.message_bytes;
  options.queue_bytes_max = job.network.queue_bytes;
  options.handshake_ms = static_cast<int>(job.security.handshake_timeout.count());
  options.tcp.congestion_control = job.network.congestion_control;
  options.tcp.send_buffer = job.network.send_buffer;
  options.tcp.receive_buffer = job.network.receive_buffer;
  return options;
}

PeerOptions PeerOptionsOf(const JobOptions& job) {
  PeerOptions options;
  options.zmq = TransportOptionsOf(job);
  options.lent_bytes_max = job.network.queue_bytes;
  options.shared_memory = job.network.shared_memory;
  options.spin = job.network.spin;
  return options;
}

WireLimits WireLimitsOf(const JobOptions& job) {
  WireLimits limits;
  limits.message_bytes_max = job.network.message_bytes;
  return limits;
}

std::vector<HttpRoute> DaemonRoutes(const Registry& registry, std::function<std::string()> unready,
                                    std::function<std::string()> pending) {
  std::vector<HttpRoute> routes;
  routes.push_back({"/livez", [](const HttpRequest&) { return HttpResponse{.body = "ok\n"}; }});
  routes.push_back({"/readyz", [unready = std::move(unready),
                                pending = std::move(pending)](const HttpRequest& request) {
                      const std::string missing = unready();
                      HttpResponse response;
                      response.status = missing.empty() ? 200 : 503;
                      response.body = missing.empty() ? "ok\n" : "not ready\n";
                      if (!request.Has("verbose")) return response;
                      const std::string later = pending ? pending() : "";
                      if (!missing.empty()) response.body = missing + "\n";
                      if (missing.empty() && !later.empty()) response.body = "ok; " + later + "\n";
                      return response;
                    }});
  routes.push_back({"/metrics", [&registry](const HttpRequest&) {
                      HttpResponse response;
                      response.content_type = kMetricsContentType;
                      response.body = registry.Render();
                      return response;
                    }});
  return routes;
}

Result<std::unique_ptr<HttpServer>> StartHttp(const JobOptions& job,
                                              std::vector<HttpRoute> routes) {
  if (!job.http.enabled) return std::unique_ptr<HttpServer>();
  return HttpServer::Start({job.http.bind, static_cast<uint16_t>(job.http.port)},
                           std::move(routes));
}

}  // namespace shardmill
