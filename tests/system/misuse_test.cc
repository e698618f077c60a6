// What a newcomer does wrong: each has words that say how to mend it, and an exit code.
#include <gtest/gtest.h>

#include <string>

#include "common/http/http_server.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{60000};

struct Outcome {
  ExitStatus status;
  std::string said;
};

Outcome Try(const std::string& program, std::vector<std::string> arguments) {
  const auto child = Launch("it", program, std::move(arguments));
  const std::optional<ExitStatus> status = child->Wait(kPatience);
  EXPECT_TRUE(status) << "it hangs";
  return {status.value_or(ExitStatus{}), OutputOf("it")};
}

testing::AssertionResult Ends(const Outcome& outcome, int code, const std::string& words) {
  const bool as_expected =
      outcome.status == ExitStatus{.code = code} && outcome.said.find(words) != std::string::npos;
  if (as_expected) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "it ended with " << ExitWords(outcome.status) << ", wanted "
                                     << code << " and \"" << words << "\"; it said:\n"
                                     << outcome.said;
}

// A port on loopback that somebody holds who speaks another protocol.
std::unique_ptr<HttpServer> HoldPort() {
  auto server = HttpServer::Start({}, {});
  EXPECT_TRUE(server.ok()) << server.error().message;
  return std::move(server).value();
}

TEST(MisuseTest, MisspeltKeyIsNamedWithItsPlace) {
  const std::string job = WriteJob(1);
  EXPECT_TRUE(Ends(Try("cli/shardmill", {"train", job, "--set", "policy.mdoe=sync"}), 2,
                   "did you mean \"policy.mode\""));
}

TEST(MisuseTest, MissingJobFileIsNamed) {
  EXPECT_TRUE(Ends(Try("cli/shardmill", {"train", "/none.toml"}), 2, "/none.toml: cannot be read"));
}

TEST(MisuseTest, MissingDataSetEndsAWholeJobWithItsCode) {
  const std::string job = WriteJob(1);
  const Outcome outcome = Try("cli/shardmill", {"train", job, "--set", "data.folder=/none"});
  EXPECT_TRUE(Ends(outcome, 4, "/none/train-images-idx3-ubyte"));
  EXPECT_NE(outcome.said.find("shardmill: worker-"), std::string::npos) << outcome.said;
}

TEST(MisuseTest, RankAndIndexOutOfRangeAreRefused) {
  const std::string job = WriteJob(1);
  EXPECT_TRUE(
      Ends(Try("worker/shardmill-worker", {job, "--rank", "2"}), 2, "--rank 2 is out of range"));
  EXPECT_TRUE(
      Ends(Try("server/shardmill-ps", {job, "--index", "1"}), 2, "--index 1 is out of range"));
}

TEST(MisuseTest, WorkerWithoutACoordinatorWaitsForAnAnnouncedTime) {
  const std::string job = WriteJob(1);
  EXPECT_TRUE(Ends(
      Try("worker/shardmill-worker", {job, "--rank", "0", "--set", "cluster.start_timeout=500ms",
                                      "--set", "cluster.coordinator=127.0.0.1:9"}),
      4, "127.0.0.1:9"));
}

TEST(MisuseTest, PortInUseIsNamed) {
  const std::string job = WriteJob(1);
  const auto holder = HoldPort();
  const Outcome peers = Try("server/shardmill-coordinator",
                            {job, "--set", "cluster.coordinator=" + holder->address()});
  EXPECT_NE(peers.status.code, 0);
  EXPECT_NE(peers.said.find("in use"), std::string::npos) << peers.said;
  const std::string port = holder->address().substr(holder->address().rfind(':') + 1);
  const Outcome http = Try("server/shardmill-coordinator",
                           {job, "--listen", "127.0.0.1:0", "--set", "http.port=" + port});
  EXPECT_EQ(http.status, peers.status) << "one mistake, one code";
  EXPECT_NE(http.said.find("in use"), std::string::npos) << http.said;
}

TEST(MisuseTest, PeerThatSpeaksAnotherProtocolIsNamed) {
  const std::string job = WriteJob(1);
  const auto other = HoldPort();
  EXPECT_TRUE(
      Ends(Try("worker/shardmill-worker", {job, "--rank", "0", "--set", "cluster.start_timeout=2s",
                                           "--set", "cluster.coordinator=" + other->address()}),
           4, other->address()));
}

TEST(MisuseTest, UnknownFlagsAndCommandsAreRefused) {
  EXPECT_TRUE(Ends(Try("cli/shardmill", {"trian"}), 2, "shardmill --help"));
  EXPECT_TRUE(Ends(Try("server/shardmill-ps", {"--indx", "1"}), 2, "shardmill-ps --help"));
}

}  // namespace
}  // namespace shardmill
