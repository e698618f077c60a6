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

// Reads the job file, prints the options in effect, watches signals, runs `serve` and turns what it
// returns into words on stderr and an exit code.
int RunDaemon(const JobFlags& flags, std::string_view name,
              const std::function<Result<>(const DaemonContext&)>& serve);

// The same behind flags that may say that there is nothing to run.
template <class Flags, class Serve>
int RunDaemon(const FlagsOr<Flags>& parsed, std::string_view name, Serve serve) {
  if (const auto* end = std::get_if<FlagsEnd>(&parsed)) return PrintFlagsEnd(*end);
  const Flags& flags = std::get<Flags>(parsed);
  return RunDaemon(flags.job, name,
                   [&](const DaemonContext& context) { return serve(flags, context); });
}

ZmqOptions TransportOptionsOf(const JobOptions& job);
WireLimits WireLimitsOf(const JobOptions& job);

// /livez, /readyz and /metrics. `unready` says what is not ready yet; empty: all is.
std::vector<HttpRoute> DaemonRoutes(const Registry& registry, std::function<std::string()> unready);

// Serves the routes where the job file says, or nothing (null) where it says no.
Result<std::unique_ptr<HttpServer>> StartHttp(const JobOptions& job, std::vector<HttpRoute> routes);

}  // namespace shardmill
