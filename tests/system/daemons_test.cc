// The life of daemons that an operator starts, stops, kills and doubles by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "common/http/http_client.h"
#include "common/json/json.h"
#include "common/rng.h"
#include "tests/sanitized.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

using State = JobStatus::State;
using WorkerState = JobStatus::Worker::State;

constexpr std::chrono::milliseconds kPatience{180000};
constexpr std::chrono::milliseconds kPromptly{5000};  // Ends of what has nothing left to do.
constexpr std::chrono::milliseconds kHttpPatience{5000};
constexpr uint32_t kStepsPerEpoch = 50;  // Of WriteJob's data set.
constexpr uint32_t kEpochs = 150;        // Long enough to be disturbed on the way.
constexpr uint32_t kEndless = 100000;

// One job of which every process is started by hand. Lives for one test, on its thread.
class HandMadeJob final {
 public:
  explicit HandMadeJob(uint32_t epochs, std::vector<std::string> sets = {})
      : job_(WriteJob(epochs)), epochs_(epochs), sets_(std::move(sets)) {
    sets_.insert(sets_.begin(), "cluster.lease=500ms");
    coordinator_ =
        Start("coordinator", "server/shardmill-coordinator", {"--listen", "127.0.0.1:0"});
    sets_.push_back("cluster.coordinator=" + coordinator_.where.address);
  }

  Daemon StartServer(const std::string& name = "server") const {
    return Start(name, "server/shardmill-ps", {"--index", "0"});
  }
  Daemon StartWorker(uint32_t rank, const std::string& name,
                     std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.end(), {"--rank", std::to_string(rank)});
    return Start(name, "worker/shardmill-worker", std::move(arguments));
  }
  Daemon StartWorker(uint32_t rank) const {
    return StartWorker(rank, "worker-" + std::to_string(rank));
  }

  const Daemon& coordinator() const { return coordinator_; }

  JobStatus Status() const {
    const auto text = HttpGetBody(coordinator_.where.http, "/status", kHttpPatience);
    EXPECT_TRUE(text.ok()) << text.error().message;
    if (!text.ok()) return {};
    Result<JobStatus> status = ParseJobStatus(text.value());
    EXPECT_TRUE(status.ok()) << status.error().message;
    return status.ok() ? std::move(status).value() : JobStatus{};
  }

  JobStatus::Worker Rank(uint32_t rank) const {
    const JobStatus status = Status();
    return status.workers.size() > rank ? status.workers[rank] : JobStatus::Worker{};
  }

  // Waits until the rank has reported that many steps more than it has now. Returns its last.
  uint64_t AwaitSteps(uint32_t rank, uint64_t more) const {
    uint64_t step = Rank(rank).step;
    const uint64_t wanted = step + more;
    EXPECT_TRUE(Await([&] { return (step = Rank(rank).step) >= wanted; }))
        << "rank " << rank << " stands still at step " << step;
    return step;
  }

  void AwaitIncarnation(uint32_t rank, uint64_t incarnation) const {
    EXPECT_TRUE(Await([&] {
      const JobStatus::Worker worker = Rank(rank);
      return worker.incarnation == incarnation && worker.state == WorkerState::kTraining;
    })) << "nobody takes over rank "
        << rank << ": " << ToJson(Status());
  }

  // Every step of both ranks was made, once, on every shard.
  void ExpectDone() const {
    EXPECT_TRUE(Await([this] { return Status().state == State::kDone; })) << ToJson(Status());
    const JobStatus status = Status();
    EXPECT_EQ(status.lost, 0U);
    EXPECT_EQ(status.duplicated, 0U);
    const uint64_t steps = uint64_t{epochs_} * kStepsPerEpoch;
    for (const JobStatus::Worker& worker : status.workers) EXPECT_EQ(worker.acked, steps);
    for (const JobStatus::Shard& shard : status.shards) EXPECT_EQ(shard.closed, steps);
    const auto ask =
        Launch("status", "cli/shardmill", {"status", "--json", "--http", coordinator_.where.http});
    EXPECT_EQ(ask->Wait(kPatience), ExitStatus{}) << OutputOf("status");
    const Result<JobStatus> told = ParseJobStatus(OutputOf("status"));
    ASSERT_TRUE(told.ok()) << told.error().message;
    EXPECT_EQ(told.value().state, State::kDone);
    EXPECT_EQ(told.value().lost + told.value().duplicated, 0U);
  }

 private:
  Daemon Start(const std::string& name, const std::string& program,
               std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), job_);
    for (const std::string& set : sets_) arguments.insert(arguments.end(), {"--set", set});
    return LaunchDaemon(name, program, std::move(arguments));
  }

  std::string job_;
  uint32_t epochs_;
  std::vector<std::string> sets_;
  Daemon coordinator_;
};

void ExpectEnd(const Daemon& daemon, int code, std::chrono::milliseconds limit = kPatience) {
  const std::string& name = daemon.process->name();
  const std::optional<ExitStatus> status = daemon.process->Wait(limit);
  ASSERT_TRUE(status) << name << " does not end: " << OutputOf(name);
  EXPECT_EQ(*status, ExitStatus{.code = code})
      << name << " ended with " << ExitWords(*status) << ": " << OutputOf(name);
}

void ExpectKilled(const Daemon& daemon) {
  daemon.process->Kill();
  EXPECT_EQ(daemon.process->Wait(kPatience), (ExitStatus{.signal = SIGKILL}));
}

void ExpectStops(const Daemon& daemon) {
  daemon.process->Terminate();
  ExpectEnd(daemon, 0, kPromptly);
}

int HttpStatusOf(const Daemon& daemon, const std::string& path) {
  const Result<HttpResponse> response = HttpGet(daemon.where.http, path, kHttpPatience);
  EXPECT_TRUE(response.ok()) << daemon.process->name() << ": " << response.error().message;
  return response.ok() ? response.value().status : 0;
}

bool IsReady(const Daemon& daemon) { return HttpStatusOf(daemon, "/readyz") == 200; }

// Asks a daemon to end. Returns its exit code, once it has and has left nobody behind.
int EndBy(int signal, const Daemon& daemon) {
  const std::string& name = daemon.process->name();
  const pid_t pid = daemon.process->pid();
  const std::vector<int> children = ChildrenOf(pid);
  EXPECT_EQ(kill(pid, signal), 0) << name << " has ended before: " << OutputOf(name);
  const std::optional<ExitStatus> status = daemon.process->Wait(kPromptly);
  EXPECT_TRUE(status) << name << " does not end: " << OutputOf(name);
  EXPECT_NE(kill(-pid, 0), 0) << "a process of the group of " << name << " is still there";
  for (const int child : children) EXPECT_FALSE(Runs(child)) << name << " has left a child";
  return status && status->signal == 0 ? status->code : -1;
}

testing::AssertionResult IsOneOf(int code, std::initializer_list<int> codes) {
  if (std::ranges::find(codes, code) != codes.end()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "it ended with code " << code;
}

bool Said(const std::string& name, const std::string& words) {
  return OutputOf(name).find(words) != std::string::npos;
}

// "joined rank=1 step=120": the step that a worker begins with.
uint64_t FirstStepOf(const std::string& name) {
  const std::string said = OutputOf(name);
  const std::string words = " step=";
  const size_t joined = said.find(" joined rank=");
  const size_t at = joined == std::string::npos ? joined : said.find(words, joined);
  EXPECT_NE(at, std::string::npos) << said;
  return at == std::string::npos ? 0 : std::stoull(said.substr(at + words.size()));
}

TEST(DaemonsTest, SecondProcessOfARankWaitsAndTakesOverWhenTheFirstIsKilled) {
  const HandMadeJob job(kEpochs);
  const Daemon server = job.StartServer();
  const Daemon other = job.StartWorker(0);
  const Daemon first = job.StartWorker(1);
  job.AwaitSteps(1, 20);
  const Daemon second = job.StartWorker(1, "second");
  EXPECT_TRUE(Await([] { return Said("second", "waits_to_join"); })) << OutputOf("second");
  EXPECT_FALSE(IsReady(second)) << "two processes hold one rank";
  EXPECT_EQ(job.Rank(1).incarnation, 1U);
  EXPECT_FALSE(second.process->Poll()) << OutputOf("second");

  const uint64_t made = job.Rank(1).step;
  ExpectKilled(first);
  job.AwaitIncarnation(1, 2);
  for (const Daemon* worker : {&second, &other}) ExpectEnd(*worker, 0);
  EXPECT_GT(FirstStepOf("second"), made);
  job.ExpectDone();
  for (const Daemon* daemon : {&server, &job.coordinator()}) ExpectStops(*daemon);
}

TEST(DaemonsTest, RankOfAProcessThatIsKilledIsFreeLongBeforeItsLeaseEnds) {
  constexpr std::chrono::seconds kFarFromTheLease(20);
  const HandMadeJob job(kEndless, {"cluster.lease=60s"});
  const Daemon server = job.StartServer();
  const Daemon other = job.StartWorker(0);
  const Daemon first = job.StartWorker(1);
  job.AwaitSteps(1, 20);
  const auto killed = std::chrono::steady_clock::now();
  ExpectKilled(first);
  const Daemon second = job.StartWorker(1, "second");
  job.AwaitIncarnation(1, 2);
  EXPECT_LT(std::chrono::steady_clock::now() - killed, kFarFromTheLease);
}

TEST(DaemonsTest, SecondProcessOfARankThatGivesUpSaysThatItIsHeld) {
  const HandMadeJob job(kEndless);
  const Daemon server = job.StartServer();
  const Daemon other = job.StartWorker(0);
  const Daemon first = job.StartWorker(1);
  job.AwaitSteps(1, 20);
  const Daemon late = job.StartWorker(1, "late", {"--set", "cluster.start_timeout=1s"});
  ExpectEnd(late, 4);
  EXPECT_TRUE(Said("late", "another process holds rank 1")) << OutputOf("late");
  const Daemon stopped = job.StartWorker(1, "stopped");
  EXPECT_TRUE(Await([] { return Said("stopped", "waits_to_join"); })) << OutputOf("stopped");
  kill(stopped.process->pid(), SIGINT);
  ExpectEnd(stopped, 130, kPromptly);
  EXPECT_TRUE(Said("stopped", "another process holds rank 1")) << OutputOf("stopped");
  job.AwaitSteps(1, 20);
}

TEST(DaemonsTest, FirstProcessOfARankThatSleptIsFencedWhenItWakes) {
  const HandMadeJob job(kEpochs);
  const Daemon server = job.StartServer();
  const Daemon other = job.StartWorker(0);
  const Daemon first = job.StartWorker(1);
  job.AwaitSteps(1, 20);
  const Daemon second = job.StartWorker(1, "second");
  kill(first.process->pid(), SIGSTOP);
  job.AwaitIncarnation(1, 2);
  job.AwaitSteps(1, 20);
  kill(first.process->pid(), SIGCONT);
  ExpectEnd(first, 3);
  EXPECT_TRUE(Said("worker-1", "another process holds rank 1")) << OutputOf("worker-1");
  for (const Daemon* worker : {&second, &other}) ExpectEnd(*worker, 0);
  job.ExpectDone();
  for (const Daemon* daemon : {&server, &job.coordinator()}) ExpectStops(*daemon);
}

TEST(DaemonsTest, WorkerThatIsStartedAgainGoesOnFromWhereItWasKilled) {
  const HandMadeJob job(kEpochs);
  const Daemon server = job.StartServer();
  const Daemon other = job.StartWorker(0);
  const Daemon first = job.StartWorker(1);
  const uint64_t made = job.AwaitSteps(1, 100);
  ExpectKilled(first);
  const Daemon again = job.StartWorker(1, "again");
  for (const Daemon* worker : {&again, &other}) ExpectEnd(*worker, 0);
  EXPECT_GT(FirstStepOf("again"), made);
  EXPECT_EQ(job.Rank(1).incarnation, 2U);
  job.ExpectDone();
  for (const Daemon* daemon : {&server, &job.coordinator()}) ExpectStops(*daemon);
}

// Rank 0 stands still and so rank 1 reports no step: nothing but renewals keeps its rank.
TEST(DaemonsTest, LeaseSaysHowLongARankIsKeptForASilentProcess) {
  const HandMadeJob job(kEndless);
  const Daemon server = job.StartServer();
  const Daemon other = job.StartWorker(0);
  const Daemon first = job.StartWorker(1);
  job.AwaitSteps(1, 20);
  kill(other.process->pid(), SIGSTOP);
  // A process that went by the 5 seconds that are the key's default would renew too late.
  const Daemon twin = job.StartWorker(1, "twin", {"--set", "cluster.start_timeout=2s"});
  ExpectEnd(twin, 4);
  EXPECT_EQ(job.Rank(1).incarnation, 1U);
  // And a coordinator that did would not let anybody in so soon.
  ExpectKilled(first);
  const Daemon again = job.StartWorker(1, "again", {"--set", "cluster.start_timeout=3s"});
  job.AwaitIncarnation(1, 2);
}

double WeightsOf(const JobStatus::Worker& worker) {
  for (const auto& [name, value] : worker.metrics) {
    if (name == "weights_crc32") return value;
  }
  ADD_FAILURE() << "rank " << worker.rank << " does not tell its weights";
  return -1;
}

// Of the job from its beginning to its end without a disturbance.
double WeightsOfCleanRun(uint32_t epochs, const std::vector<std::string>& sets) {
  std::vector<std::string> arguments{"--json", "--quiet"};
  for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
  const auto train = LaunchTrain(WriteJob(epochs), std::move(arguments));
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const Result<JsonValue> result = ParseJson(LastLineOf("train"));
  const JsonValue* metrics = result.ok() ? result.value().Find("metrics") : nullptr;
  const JsonValue* weights = metrics != nullptr ? metrics->Find("weights_crc32") : nullptr;
  EXPECT_NE(weights, nullptr) << OutputOf("train");
  return weights != nullptr ? weights->number : -2;
}

// Gradients of 40 units, so that a kill may leave half a step behind. A rank that waits for the
// one that was killed sends its requests again every few milliseconds.
TEST(DaemonsTest, KillsAndRepeatedMessagesDoNotChangeTheWeights) {
  constexpr uint64_t kKills = 12;
  constexpr uint32_t kFewEpochs = kSanitized ? 40 : 400;
  const std::vector<std::string> sets{
      "network.retry_after=10ms", "network.unit_bytes=4KiB", "cluster.lease=200ms",
      "model.layers=[{type='flatten'},{type='affine',units=1000},{type='affine',units=4}]"};
  const HandMadeJob job(kFewEpochs, sets);
  const Daemon server = job.StartServer();
  Daemon workers[] = {job.StartWorker(0), job.StartWorker(1)};
  uint64_t lives[] = {1, 1};
  Rng rng(8);  // Where in a step a kill hits is up to the machine.
  for (uint64_t kills = 1; kills <= kKills; ++kills) {
    const auto rank = static_cast<uint32_t>(rng.Below(2));
    job.AwaitSteps(rank, 1 + rng.Below(60));
    ExpectKilled(workers[rank]);
    workers[rank] = job.StartWorker(rank, "worker-after-kill-" + std::to_string(kills));
    job.AwaitIncarnation(rank, ++lives[rank]);
  }
  for (const Daemon& worker : workers) ExpectEnd(worker, 0);
  job.ExpectDone();
  const double weights = WeightsOf(job.Rank(0));
  for (const Daemon* daemon : {&server, &job.coordinator()}) ExpectStops(*daemon);
  EXPECT_EQ(weights, WeightsOfCleanRun(kFewEpochs, sets));
}

TEST(DaemonsTest, IdleDaemonsEndPromptlyWhenTheyAreAsked) {
  for (const auto& [signal, code] : {std::pair{SIGTERM, 0}, std::pair{SIGINT, 130}}) {
    const HandMadeJob job(kEndless);
    const Daemon server = job.StartServer();
    const Daemon worker = job.StartWorker(0);  // The other one never comes.
    EXPECT_TRUE(Await([&] { return job.Rank(0).state == WorkerState::kWaiting; }));
    EXPECT_TRUE(IsOneOf(EndBy(signal, worker), {code, 130}));
    EXPECT_EQ(EndBy(signal, server), code);
    EXPECT_EQ(EndBy(signal, job.coordinator()), code);
  }
}

TEST(DaemonsTest, DaemonsOfARunningJobEndPromptlyWhenTheyAreAsked) {
  for (const auto& [signal, code] : {std::pair{SIGTERM, 0}, std::pair{SIGINT, 130}}) {
    const HandMadeJob job(kEndless);
    const Daemon server = job.StartServer();
    const Daemon first = job.StartWorker(0);
    const Daemon second = job.StartWorker(1);
    job.AwaitSteps(1, 20);
    EXPECT_TRUE(IsOneOf(EndBy(signal, first), {code, 130}));
    EXPECT_TRUE(Await([&] { return job.Rank(0).state == WorkerState::kAbsent; }))
        << "it did not give its rank back: " << ToJson(job.Status());
    EXPECT_EQ(EndBy(signal, server), code);
    EXPECT_EQ(EndBy(signal, job.coordinator()), code);
    // Nobody is left who could answer its goodbye.
    EXPECT_TRUE(IsOneOf(EndBy(signal, second), {code, 130}));
  }
}

TEST(DaemonsTest, DaemonsAreReadyOnceTheJobHasBegun) {
  const HandMadeJob job(kEndless);
  const Daemon server = job.StartServer();
  const Daemon worker = job.StartWorker(0);
  const auto expect = [&](int code) {
    for (const Daemon* daemon : {&server, &worker}) {
      EXPECT_TRUE(Await([&] { return HttpStatusOf(*daemon, "/readyz") == code; }))
          << daemon->process->name() << " does not answer " << code;
      EXPECT_EQ(HttpStatusOf(*daemon, "/livez"), 200);
      const auto metrics = HttpGetBody(daemon->where.http, "/metrics", kHttpPatience);
      ASSERT_TRUE(metrics.ok()) << metrics.error().message;
      EXPECT_NE(metrics.value().find("\nshardmill_"), std::string::npos) << metrics.value();
    }
  };
  // The server has registered and the worker has asked, and still nobody says that it is ready.
  EXPECT_TRUE(Await([&] { return job.Rank(0).state == WorkerState::kWaiting; }));
  EXPECT_TRUE(Await([&] { return !job.Status().shards.at(1).endpoint.empty(); }));
  expect(503);
  const Daemon last = job.StartWorker(1);
  expect(200);
}

TEST(DaemonsTest, WorkersThatLoseTheirServerNameTheShardAndEnd) {
  const HandMadeJob job(kEndless, {"network.step_timeout=2s"});
  const Daemon server = job.StartServer();
  const Daemon first = job.StartWorker(0);
  const Daemon second = job.StartWorker(1);
  job.AwaitSteps(1, 20);
  ExpectKilled(server);
  for (const Daemon* worker : {&first, &second}) {
    ExpectEnd(*worker, 4);
    EXPECT_TRUE(Said(worker->process->name(), "waiting for shard "))
        << OutputOf(worker->process->name());
  }
}

TEST(DaemonsTest, ServerThatIsStartedAgainEndsTheJobWithTheReason) {
  const HandMadeJob job(kEndless);
  const Daemon server = job.StartServer();
  const Daemon first = job.StartWorker(0);
  const Daemon second = job.StartWorker(1);
  job.AwaitSteps(1, 20);
  ExpectKilled(server);
  const Daemon again = job.StartServer("again");
  for (const Daemon* daemon : {&again, &first, &second}) {
    ExpectEnd(*daemon, 1);
    EXPECT_TRUE(Said(daemon->process->name(), "was started again; its part of the tables is lost"))
        << OutputOf(daemon->process->name());
  }
  EXPECT_EQ(job.Status().state, State::kFailed);
}

TEST(DaemonsTest, SayWhereTheirPagesAreAndWhomAStartWaitsFor) {
  const HandMadeJob job(kEndless);
  const auto ready = HttpGetBody(job.coordinator().where.http, "/readyz?verbose", kHttpPatience);
  ASSERT_TRUE(ready.ok()) << ready.error().message;
  EXPECT_NE(ready.value().find("ok; "), std::string::npos) << ready.value();
  EXPECT_NE(ready.value().find("worker"), std::string::npos) << ready.value();
  const Daemon server = job.StartServer();
  EXPECT_TRUE(Await([&] {
    return OutputOf("server").find("http=" + server.where.http) != std::string::npos;
  })) << OutputOf("server");
}

}  // namespace
}  // namespace shardmill
