#include "common/daemon/daemon.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

HttpResponse Readyz(const std::string& missing, const std::string& pending, bool verbose) {
  const Registry registry;
  const auto routes = DaemonRoutes(
      registry, [missing] { return missing; }, [pending] { return pending; });
  HttpRequest request;
  request.path = "/readyz";
  if (verbose) request.parameters.emplace_back("verbose");
  for (const HttpRoute& route : routes) {
    if (route.path == request.path) return route.handler(request);
  }
  return {.status = 404};
}

TEST(DaemonTest, TellsWhatIsMissingWhereSomebodyWantsToKnow) {
  EXPECT_EQ(Readyz("", "", false).body, "ok\n");
  EXPECT_EQ(Readyz("", "", true).body, "ok\n");
  EXPECT_EQ(Readyz("shard 0 has no view yet", "", false).status, 503);
  EXPECT_EQ(Readyz("shard 0 has no view yet", "", false).body, "not ready\n");
  EXPECT_EQ(Readyz("shard 0 has no view yet", "", true).body, "shard 0 has no view yet\n");
}

TEST(DaemonTest, IsReadyWhileItStillWaitsForOthersAndSaysForWhom) {
  EXPECT_EQ(Readyz("", "waiting for worker 1", true).status, 200);
  EXPECT_EQ(Readyz("", "waiting for worker 1", true).body, "ok; waiting for worker 1\n");
  EXPECT_EQ(Readyz("", "waiting for worker 1", false).body, "ok\n");
}

TEST(DaemonTest, ChecksRanksAgainstTheJobAndTakesServersBeyondIt) {
  JobOptions job;
  job.cluster.workers = 2;
  job.cluster.servers = 3;
  EXPECT_TRUE(CheckFlags(WorkerFlags{.job = {}, .rank = 1}, job).ok());
  EXPECT_EQ(CheckFlags(WorkerFlags{.job = {}, .rank = 2}, job).error().code, ErrorCode::kBadUsage);
  EXPECT_TRUE(CheckFlags(ServerFlags{.job = {}, .index = 2}, job).ok());
  EXPECT_TRUE(CheckFlags(ServerFlags{.job = {}, .index = 3}, job).ok());
}

}  // namespace
}  // namespace shardmill
