#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/flags/flags.h"
#include "common/http/http_server.h"
#include "common/job/job.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/net/peer_transport.h"
#include "common/net/zmq_transport.h"
#include "common/process/signals.h"
#include "common/result.h"
#include "common/wire/wire.h"

// What the three daemons have in common around the one thing that each of them does.
namespace shardmill {

// What a daemon's main hands to its work.
struct DaemonContext {
  const JobOptions& job;
  StopSource& stop;
  const Log& log;
};

// Whether the flags can be right beside the job file.
Result<> CheckFlags(const CoordinatorFlags& flags, const JobOptions& job);
Result<> CheckFlags(const ServerFlags& flags, const JobOptions& job);
Result<> CheckFlags(const WorkerFlags& flags, const JobOptions& job);

// What a daemon does: first look for mistakes, before a word is printed, and then its work.
struct DaemonWork {
  std::function<Result<>(const JobOptions&)> check;
  std::function<Result<>(const DaemonContext&)> serve;
  int stopped_code = 0;  // After SIGTERM, where it ends in order.
};

// Reads the job file, checks, prints the options in effect, watches signals, serves and turns what
// comes back into words on stderr and an exit code.
int RunDaemon(const JobFlags& flags, std::string_view name, const DaemonWork& work);

// The same behind flags that may say that there is nothing to run.
template <class Flags, class Serve>
int RunDaemon(const FlagsOr<Flags>& parsed, std::string_view name, Serve serve) {
  if (const auto* end = std::get_if<FlagsEnd>(&parsed)) return PrintFlagsEnd(*end);
  const Flags& flags = std::get<Flags>(parsed);
  DaemonWork work;
  work.check = [&](const JobOptions& job) { return CheckFlags(flags, job); };
  work.serve = [&](const DaemonContext& context) { return serve(flags, context); };
  work.stopped_code = flags.stopped_code;
  return RunDaemon(flags.job, name, work);
}

ZmqOptions TransportOptionsOf(const JobOptions& job);
PeerOptions PeerOptionsOf(const JobOptions& job);
WireLimits WireLimitsOf(const JobOptions& job);

// /livez, /readyz and /metrics. `unready` says what is not ready yet; empty: all is. `pending`,
// where there is one, says what a daemon that serves already still waits for; only ?verbose tells
// it.
std::vector<HttpRoute> DaemonRoutes(const Registry& registry, std::function<std::string()> unready,
                                    std::function<std::string()> pending = nullptr);

// Serves the routes where the job file says, or nothing (null) where it says no.
Result<std::unique_ptr<HttpServer>> StartHttp(const JobOptions& job, std::vector<HttpRoute> routes);

}  // namespace shardmill
