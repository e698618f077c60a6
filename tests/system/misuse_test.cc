// What a newcomer does wrong: each has words that say how to mend it, and an exit code.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
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

// The same for a line of the shell.
Outcome TryShell(const std::string& line) {
  ChildOptions options;
  options.name = "it";
  options.argv = {"/bin/sh", "-c", line};
  options.log_path = TestFolder() + "/it.out";
  Result<std::unique_ptr<Child>> child = Child::Spawn(options);
  EXPECT_TRUE(child.ok()) << child.error().message;
  const std::optional<ExitStatus> status = child.value()->Wait(kPatience);
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

TEST(MisuseTest, MissingDataSetIsFoundBeforeAnyProcessStarts) {
  const std::string job = WriteJob(1);
  const Outcome outcome = Try("cli/shardmill", {"train", job, "--set", "data.folder=/none"});
  EXPECT_TRUE(Ends(outcome, 4, "/none/train-images-idx3-ubyte"));
  EXPECT_NE(outcome.said.find("dataset-fashion-mnist"), std::string::npos) << outcome.said;
  EXPECT_FALSE(std::filesystem::exists(TestFolder() + "/runs"));
}

TEST(MisuseTest, DamagedLabelIsNamedWithItsFileAndPlace) {
  const std::string job = WriteJob(1);
  const std::string labels = TestFolder() + "/train-labels-idx1-ubyte";
  std::fstream file(labels, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(8 + 17);
  file.put('\xC8');
  file.close();
  EXPECT_TRUE(Ends(Try("worker/shardmill-worker", {job, "--rank", "0"}), 2,
                   "the greatest label is 200 (" + labels + ", label 17, counted from 0)"));
}

TEST(MisuseTest, BatchLargerThanAWorkersPartIsWarnedOf) {
  const std::string job = WriteJob(1);
  EXPECT_TRUE(Ends(Try("worker/shardmill-worker",
                       {job, "--rank", "0", "--set", "cluster.start_timeout=500ms", "--set",
                        "cluster.coordinator=127.0.0.1:9", "--set", "data.batch_size=1001"}),
                   4, "batch_is_never_full data.batch_size=1001 samples_of_this_rank=1000"));
  EXPECT_TRUE(Ends(Try("worker/shardmill-worker",
                       {job, "--rank", "0", "--set", "cluster.start_timeout=500ms", "--set",
                        "cluster.coordinator=127.0.0.1:9", "--set", "cluster.workers=2001"}),
                   4, "rank_has_no_samples cluster.workers=2001"));
}

TEST(MisuseTest, ResultThatCannotBeWrittenIsAFailure) {
  const std::string job = WriteJob(1);
  for (const std::string& command : {"config print " + job, "train --quiet --json " + job}) {
    EXPECT_TRUE(
        Ends(TryShell("cli/shardmill " + command + " >/dev/full"), 1, "stdout cannot be written"));
  }
  EXPECT_EQ(TryShell("cli/shardmill --help >/dev/full").status, (ExitStatus{.code = 1}));
}

TEST(MisuseTest, AddressesThatTrainDoesNotUseAreNamed) {
  EXPECT_TRUE(
      Ends(Try("cli/shardmill", {"train", WriteJob(1), "--set", "cluster.host=nosuch.invalid",
                                 "--set", "security.insecure=true"}),
           0, "not used: cluster.host = \"nosuch.invalid\""));
}

TEST(MisuseTest, ARankOutOfRangeIsRefused) {
  const std::string job = WriteJob(1);
  const Outcome worker = Try("worker/shardmill-worker", {job, "--rank", "2"});
  EXPECT_TRUE(Ends(worker, 2, "--rank 2 is out of range"));
  EXPECT_EQ(std::count(worker.said.begin(), worker.said.end(), '\n'), 1) << worker.said;
}

TEST(MisuseTest, WorkerWithoutACoordinatorWaitsForAnAnnouncedTime) {
  const std::string job = WriteJob(1);
  const Outcome outcome =
      Try("worker/shardmill-worker", {job, "--rank", "0", "--set", "cluster.start_timeout=500ms",
                                      "--set", "cluster.coordinator=127.0.0.1:9"});
  EXPECT_TRUE(Ends(outcome, 4, "the coordinator is expected at 127.0.0.1:9"));
  EXPECT_TRUE(Ends(outcome, 4,
                   "waiting_for_the_coordinator at=127.0.0.1:9 up_to=500ms "
                   "key=cluster.start_timeout"));
  EXPECT_TRUE(Ends(outcome, 4, "worker_starts rank=0 http=127.0.0.1:"));
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
           4, "the coordinator is expected at " + other->address()));
}

TEST(MisuseTest, UnknownFlagsAndCommandsAreRefused) {
  EXPECT_TRUE(Ends(Try("cli/shardmill", {"trian"}), 2, "there is no command \"trian\""));
  EXPECT_TRUE(Ends(Try("server/shardmill-ps", {"--indx", "1"}), 2, "shardmill-ps --help"));
}

}  // namespace
}  // namespace shardmill
