// Runs the launcher over shell scripts that behave, or misbehave, as daemons do.
#include "cli/local_cluster.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "cli/run_folder.h"
#include "common/job/job.h"
#include "common/process/announce.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPatience{20000};

// Each writes its arguments to its log first.
constexpr const char* kHead = "#!/bin/sh\ntrap 'exit 0' INT TERM\necho \"$@\"\n";
constexpr const char* kServe = "while :; do sleep 0.02; done\n";
constexpr const char* kAnnounce =
    "for last; do :; done\n"
    "echo '{\"address\":\"tcp://127.0.0.1:7\",\"http\":\"127.0.0.1:8\"}' >/proc/self/fd/$last\n";

struct Scripts {
  std::string coordinator = std::string(kAnnounce) + kServe;
  std::string server = kServe;
  std::string worker = kServe;
};

LocalClusterOptions Options(const Scripts& scripts) {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  LocalClusterOptions options;
  options.folder = testing::TempDir() + "/" + test->name();
  fs::create_directories(options.folder);
  const auto write = [&](const char* name, const std::string& script) {
    std::string path = options.folder + "/" + name;
    EXPECT_TRUE(WriteTextFile(path, kHead + script).ok());
    fs::permissions(path, fs::perms::owner_all);
    return path;
  };
  options.programs.coordinator = write("c", scripts.coordinator);
  options.programs.server = write("s", scripts.server);
  options.programs.worker = write("w", scripts.worker);
  options.job = {.file = "a.toml", .sets = {"job.seed=3"}};
  options.servers = 1;
  options.workers = 2;
  return options;
}

Result<> CheckUntilWrong(LocalCluster* cluster) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  Result<> checked = cluster->Check();
  while (checked.ok() && std::chrono::steady_clock::now() < end) checked = cluster->Check();
  return checked;
}

// A script that is asked to end before it has begun does not know how.
void AwaitWord(const LocalClusterOptions& options, const std::string& process,
               const std::string& word) {
  const std::string log = options.folder + "/" + process + ".log";
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (LastLines(log, 100).find(word) == std::string::npos) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << process << " does not say " << word;
  }
}

TEST(LocalClusterTest, TellsEveryProcessWhereTheCoordinatorIs) {
  const LocalClusterOptions options = Options({.worker = "exit 0\n"});
  StopSource stop;
  LocalCluster cluster(options);
  const Result<> started = cluster.Start(stop);
  ASSERT_TRUE(started.ok()) << started.error().message;
  EXPECT_EQ(cluster.coordinator().http, "127.0.0.1:8");
  const Result<> done = cluster.AwaitWorkers(kPatience, stop);
  EXPECT_TRUE(done.ok()) << done.error().message;
  AwaitWord(options, "server-0", "a.toml");
  const Result<> stopped = cluster.Stop(kPatience);
  EXPECT_TRUE(stopped.ok()) << stopped.error().message;
  EXPECT_EQ(LastLines(options.folder + "/worker-1.log", 1),
            "  a.toml --set job.seed=3 --set http.port=0 --set cluster.host=127.0.0.1 --set "
            "cluster.server_port=0 --set cluster.coordinator=tcp://127.0.0.1:7 --rank 1\n");
}

TEST(LocalClusterTest, NamesTheProcessThatEndedAndPassesItsCodeOn) {
  StopSource stop;
  LocalCluster cluster(Options({.worker = "echo no data set >&2; exit 4\n"}));
  ASSERT_TRUE(cluster.Start(stop).ok());
  const Result<> checked = CheckUntilWrong(&cluster);
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().code, ErrorCode::kUnavailable);
  const std::string& words = checked.error().message;
  EXPECT_NE(words.find("ended with exit code 4"), std::string::npos) << words;
  EXPECT_NE(words.find("\n  no data set"), std::string::npos) << words;
  EXPECT_TRUE(words.starts_with("worker-")) << words;
}

TEST(LocalClusterTest, TakesAServerThatEndsWithoutBeingAskedForAFailure) {
  StopSource stop;
  LocalCluster cluster(Options({.server = "exit 0\n"}));
  ASSERT_TRUE(cluster.Start(stop).ok());
  const Result<> checked = CheckUntilWrong(&cluster);
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().message.substr(0, 28), "server-0 ended with exit cod");
}

TEST(LocalClusterTest, TellsWhatACoordinatorSaidThatDidNotStart) {
  StopSource stop;
  LocalCluster cluster(Options({.coordinator = "echo the port is in use; exit 2\n"}));
  const Result<> started = cluster.Start(stop);
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code, ErrorCode::kBadUsage);
  EXPECT_NE(started.error().message.find("the port is in use"), std::string::npos);
}

TEST(LocalClusterTest, KillsWhatDoesNotEndWhenAsked) {
  StopSource stop;
  const LocalClusterOptions options =
      Options({.worker = "trap '' TERM\necho up\nwhile :; do sleep 0.02; done\n"});
  LocalCluster cluster(options);
  ASSERT_TRUE(cluster.Start(stop).ok());
  AwaitWord(options, "worker-0", "up");
  const Result<> stopped = cluster.Stop(std::chrono::milliseconds(200));
  ASSERT_FALSE(stopped.ok());
  EXPECT_NE(stopped.error().message.find("worker-0 ended with signal"), std::string::npos)
      << stopped.error().message;
}

TEST(LocalClusterTest, NamesTheProcessThatTakesItsTimeToEnd) {
  StopSource stop;
  const LocalClusterOptions options =
      Options({.server = "trap '' INT TERM\necho up\nwhile :; do sleep 0.02; done\n",
               .worker = "exit 0\n"});
  LocalCluster cluster(options);
  ASSERT_TRUE(cluster.Start(stop).ok());
  AwaitWord(options, "server-0", "up");
  std::string told;
  EXPECT_FALSE(
      cluster
          .Stop(std::chrono::milliseconds(2500), [&told](const std::string& slow) { told += slow; })
          .ok());
  EXPECT_EQ(told.find("server-0 does not end and will be killed in "), 0U) << told;
}

TEST(LocalClusterTest, LeavesTheOptionsOutOfWhatAProcessSaid) {
  StopSource stop;
  LocalCluster cluster(
      Options({.worker = "echo '[log]'; echo 'level = \"info\"'; echo '" +
                         std::string(kOptionsEnd) + "'; echo no data set >&2; exit 4\n"}));
  ASSERT_TRUE(cluster.Start(stop).ok());
  const Result<> checked = CheckUntilWrong(&cluster);
  ASSERT_FALSE(checked.ok());
  const std::string& words = checked.error().message;
  EXPECT_TRUE(words.ends_with(".log:\n  no data set")) << words;
}

TEST(LocalClusterTest, TellsWhichKeysItSetsOtherwise) {
  const auto words = [](std::vector<std::string> sets) {
    const Result<Job> job = ParseJob("a.toml", "", {.sets = std::move(sets)});
    EXPECT_TRUE(job.ok()) << job.error().message;
    return job.ok() ? OverriddenWords(job.value().listing) : "";
  };
  EXPECT_EQ(words({"cluster.workers=3"}), "");
  EXPECT_EQ(
      words({"cluster.server_port=7700", "cluster.coordinator=a:1", "security.insecure=true"}),
      "train runs every process on this machine, at addresses of its own choice: not used: "
      "cluster.coordinator = \"a:1\", cluster.server_port = 7700");
  EXPECT_NE(words({"http.enabled=false"}).find("in spite of http.enabled"), std::string::npos);
  EXPECT_NE(words({"http.port=80"}).find("http.port is the coordinator's alone"),
            std::string::npos);
}

TEST(LocalClusterTest, GivesUpWhenTheUserDoes) {
  StopSource stop;
  stop.Request(StopReason::kInterrupt);
  LocalCluster cluster(Options({.coordinator = kServe}));
  const Result<> started = cluster.Start(stop);
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code, ErrorCode::kStopped);
}

}  // namespace
}  // namespace shardmill
