#include "cli/status_command.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli/run_folder.h"
#include "common/http/http_server.h"

namespace shardmill {
namespace {

JobStatus Example() {
  JobStatus status;
  status.state = JobStatus::State::kTraining;
  status.policy = "stale";
  status.staleness = 3;
  status.view = 2;
  status.generation = 3;
  status.rollbacks = 2;
  JobStatus::Worker worker;
  worker.state = JobStatus::Worker::State::kTraining;
  worker.step = 1200;
  worker.epoch = 2;
  worker.samples = 100000;
  worker.seconds = 2;
  worker.staleness_max = 1;
  worker.awaited_share = 0.05;
  worker.metrics = {{"accuracy", 0.75}, {"train_loss", 0.5}, {"bad_rows", 2}};
  status.workers.push_back(worker);
  worker = {.rank = 1,
            .state = JobStatus::Worker::State::kSilent,
            .silent_seconds = 12.3,
            .awaited_share = 0.824};
  status.workers.push_back(worker);
  status.shards.push_back({.id = 0,
                           .endpoint = "tcp://127.0.0.1:7",
                           .closed = 1199,
                           .version = 2400,
                           .units = 2401,
                           .held_bytes = 4096,
                           .parked_pulls = 2,
                           .staleness_max = 1,
                           .waiting_for = 1});
  return status;
}

struct Screen {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err};
};

std::unique_ptr<HttpServer> Serve() {
  const auto answer = [](const HttpRequest&) { return HttpResponse{.body = ToJson(Example())}; };
  return HttpServer::Start({}, {{"/status", answer}}).value();
}

TEST(StatusCommandTest, SaysInAScreenWhatAJobIsDoing) {
  EXPECT_EQ(
      DescribeStatus(Example()),
      "training\n"
      "policy stale (3), view 2, generation 3, rolled back 2 times\n"
      "rank 1 is slow: shards wait for it 82 % of the time\n"
      "\n"
      "rank  state                       epoch  step   samples/s  awaited  staleness  metrics\n"
      "0     training                    2      1,200  50,000     5 %      1          accuracy "
      "0.75, "
      "train_loss 0.5, bad_rows 2\n"
      "1     silent, not heard for 12 s  0      0      -          82 %     0\n"
      "\n"
      "shard  closed  version  units  held  staleness  waiting for      server  endpoint\n"
      "0      1,199   2,400    2,401  4KiB  1          rank 1 (2 wait)  0       "
      "tcp://127.0.0.1:7\n");
}

TEST(StatusCommandTest, SaysWhatBecameOfSnapshots) {
  JobStatus status = Example();
  EXPECT_EQ(DescribeStatus(status).find("snapshot"), std::string::npos);
  status.snapshots.emplace();
  EXPECT_NE(DescribeStatus(status).find("no snapshot yet"), std::string::npos);
  status.snapshots = JobStatus::Snapshots{.number = 7,
                                          .age_seconds = 12,
                                          .bytes = 8192,
                                          .under_way = 9,
                                          .given_up = 1,
                                          .problem = "snapshot 8: shard 0: no room"};
  EXPECT_NE(DescribeStatus(status).find("snapshot 7, 8KiB, 12 s ago; 9 is written; 1 given up: "
                                        "snapshot 8: shard 0: no room\n"),
            std::string::npos)
      << DescribeStatus(status);
}

TEST(StatusCommandTest, SaysWhichReplicasAreInSyncAndWhyOthersAreNot) {
  JobStatus status = Example();
  status.promotions = 1;
  status.shards[0].copy = 1;
  status.shards[0].replicas = 2;
  status.shards[0].in_sync = 1;
  status.shards[0].degraded = "copy 0 is not there";
  const std::string text = DescribeStatus(status);
  EXPECT_NE(text.find(", replicas promoted 1 times\nshard 0 is degraded: copy 0 is not there\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("shard  in sync  closed"), std::string::npos) << text;
  EXPECT_NE(text.find("0      1 of 2   1,199"), std::string::npos) << text;
}

TEST(StatusCommandTest, AccusesNobodyWhileNobodyWaits) {
  JobStatus status = Example();
  status.policy = "sync";
  status.shards[0].parked_pulls = 0;
  EXPECT_NE(DescribeStatus(status).find("4KiB  1          -            0       tcp"),
            std::string::npos)
      << DescribeStatus(status);
}

TEST(StatusCommandTest, TellsACoordinatorFromAnyOtherPage) {
  const auto html = [](const HttpRequest&) { return HttpResponse{.body = "<html>hello</html>"}; };
  for (const char* path : {"/status", "/other"}) {
    const auto server = HttpServer::Start({}, {{path, html}}).value();
    Screen screen;
    const Result<> ran = RunStatus({.where = {.http = server->address()}}, screen.console);
    ASSERT_FALSE(ran.ok());
    EXPECT_TRUE(
        ran.error().message.starts_with(server->address() + " is no shardmill coordinator: "))
        << ran.error().message;
    EXPECT_EQ(ran.error().message.find("html"), std::string::npos) << ran.error().message;
  }
}

TEST(StatusCommandTest, PassesOverARunWhosePortIsAnothersNow) {
  const auto server = Serve();
  const auto html = [](const HttpRequest&) { return HttpResponse{.body = "<html>"}; };
  const auto other = HttpServer::Start({}, {{"/status", html}}).value();
  const std::string runs = testing::TempDir() + "/taken";
  ASSERT_TRUE(
      WriteRunRecord(MakeRunFolder(runs, "a", "1").value(), {.http = server->address()}).ok());
  ASSERT_TRUE(
      WriteRunRecord(MakeRunFolder(runs, "b", "2").value(), {.http = other->address()}).ok());
  Screen screen;
  const Result<> ran = RunStatus({.where = {.runs = runs}}, screen.console);
  ASSERT_TRUE(ran.ok()) << ran.error().message;
}

TEST(StatusCommandTest, AsksTheCoordinatorThatIsNamed) {
  const auto server = Serve();
  Screen screen;
  const Result<> ran =
      RunStatus({.where = {.http = server->address()}, .json = true}, screen.console);
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(screen.out.str(), ToJson(Example()) + "\n");
}

TEST(StatusCommandTest, FindsTheNewestRunThatAnswers) {
  const auto server = Serve();
  const std::string runs = testing::TempDir() + "/found";
  const std::string folder = MakeRunFolder(runs, "mine", "now").value();
  ASSERT_TRUE(WriteRunRecord(folder, {.http = server->address()}).ok());
  const std::string dead = MakeRunFolder(runs, "dead", "now").value();
  ASSERT_TRUE(WriteRunRecord(dead, {.http = "127.0.0.1:1"}).ok());
  Screen screen;
  const Result<> ran = RunStatus({.where = {.runs = runs}}, screen.console);
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(screen.out.str(), DescribeStatus(Example()));
}

TEST(StatusCommandTest, SaysThatNoJobIsRunning) {
  Screen screen;
  const Result<> ran = RunStatus({.where = {.runs = testing::TempDir() + "/none"}}, screen.console);
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(screen.out.str(), "");
}

TEST(StatusCommandTest, FindsAJobByItsAddressItsNameAndItsFile) {
  const auto server = Serve();
  const std::string folder = testing::TempDir() + "/found";
  ASSERT_TRUE(WriteRunRecord(MakeRunFolder(folder, "ctr", "1").value(),
                             {.name = "ctr", .http = server->address()})
                  .ok());
  const std::string file = folder + "/job.toml";
  ASSERT_TRUE(WriteTextFile(file, "job = { name = \"ctr\", runs = \"" + folder + "\" }\n").ok());
  for (const std::string& job : {server->address(), std::string("ctr"), file}) {
    Screen screen;
    const Result<> ran = RunStatus({.where = {.job = job, .runs = folder}}, screen.console);
    ASSERT_TRUE(ran.ok()) << job << ": " << ran.error().message;
    EXPECT_EQ(screen.out.str(), DescribeStatus(Example()));
  }
  Screen screen;
  const Result<> ran = RunStatus({.where = {.job = "other", .runs = folder}}, screen.console);
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(ran.error().message.starts_with("no run of a job \"other\" under"))
      << ran.error().message;
}

TEST(StatusCommandTest, FindsTheDaemonsOfAJobFileThatNamesTheirPage) {
  const auto server = Serve();
  const std::string port = server->address().substr(server->address().rfind(':') + 1);
  const std::string file = testing::TempDir() + "/daemons.toml";
  ASSERT_TRUE(WriteTextFile(file, "job = { name = \"far\", runs = \"" + testing::TempDir() +
                                      "/norun\" }\nhttp = { port = " + port + " }\n")
                  .ok());
  Screen screen;
  const Result<> ran = RunStatus({.where = {.job = file}}, screen.console);
  ASSERT_TRUE(ran.ok()) << ran.error().message;
}

}  // namespace
}  // namespace shardmill
