// Daemons that have keys, and strangers at their doors.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "client/session.h"
#include "common/http/http_client.h"
#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

constexpr std::chrono::milliseconds kPatience{60000};

int EndOf(Child& process) {
  const std::optional<ExitStatus> status = process.Wait(kPatience);
  EXPECT_TRUE(status && status->signal == 0) << OutputOf(process.name());
  return status ? status->code : -1;
}

bool Says(const std::string& name, const std::string& words) {
  return OutputOf(name).find(words) != std::string::npos;
}

// `shardmill keys ...` in the test's folder. Returns the exit code.
int Keys(Arguments arguments, const std::string& folder = TestFolder() + "/keys") {
  arguments.insert(arguments.begin(), "keys");
  arguments.insert(arguments.end(), {"--folder", folder});
  return EndOf(*Launch("keys", "cli/shardmill", std::move(arguments)));
}

std::string MakeKeys() {
  EXPECT_EQ(Keys({"gen"}), 0) << OutputOf("keys");
  return TestFolder() + "/keys";
}

// A copy, as another machine has it.
std::string CopyOf(const std::string& keys, const std::string& name) {
  const std::string copy = TestFolder() + "/" + name;
  fs::copy(keys, copy, fs::copy_options::recursive);
  return copy;
}

Arguments Sets(Arguments settings) {
  Arguments arguments;
  for (std::string& one : settings) arguments.insert(arguments.end(), {"--set", std::move(one)});
  return arguments;
}

// One job of which every process is started by hand, with keys.
class KeyedJob final {
 public:
  KeyedJob(std::string keys, uint32_t epochs, Arguments settings = {})
      : keys_(std::move(keys)), job_(WriteJob(epochs)), settings_(std::move(settings)) {
    settings_.insert(settings_.end(), {"cluster.lease=500ms"});
    coordinator_ =
        Start("coordinator", "server/shardmill-coordinator", keys_, {"--listen", "127.0.0.1:0"});
    settings_.push_back("cluster.coordinator=" + coordinator_.where.address);
  }

  Daemon StartServer() const {
    return Start("server", "server/shardmill-ps", keys_, {"--index", "0"});
  }
  Daemon StartWorker(uint32_t rank, const std::string& keys, Arguments more = {}) const {
    more.insert(more.end(), {"--rank", std::to_string(rank)});
    return Start("worker-" + std::to_string(rank), "worker/shardmill-worker", keys,
                 std::move(more));
  }
  Daemon StartWorker(uint32_t rank) const { return StartWorker(rank, keys_); }

  const Daemon& coordinator() const { return coordinator_; }
  JobStatus Status() const {
    const auto text = HttpGetBody(coordinator_.where.http, "/status", kPatience);
    EXPECT_TRUE(text.ok());
    return text.ok() ? ParseJobStatus(text.value()).value() : JobStatus{};
  }

 private:
  Daemon Start(const std::string& name, const std::string& program, const std::string& keys,
               Arguments more) const {
    Arguments arguments = Sets(settings_);
    arguments.insert(arguments.begin(), job_);
    arguments.insert(arguments.end(), {"--set", "security.keys=" + keys});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return LaunchDaemon(name, program, std::move(arguments));
  }

  std::string keys_;
  std::string job_;
  Arguments settings_;
  Daemon coordinator_;
};

// A counter of a daemon's, with its labels.
uint64_t CountOf(const Daemon& daemon, const std::string& series) {
  const auto text = HttpGetBody(daemon.where.http, "/metrics", kPatience);
  std::istringstream lines(text.ok() ? text.value() : "");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series + " ")) return std::stoull(line.substr(line.rfind(' ')));
  }
  ADD_FAILURE() << "no count of " << series;
  return 0;
}

int ConnectTo(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  const int file = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(connect(file, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  return file;
}

double Checksum(const Arguments& arguments) {
  const auto train = LaunchTrain(WriteJob(1), arguments);
  EXPECT_EQ(EndOf(*train), 0) << OutputOf("train");
  const Result<JsonValue> json = ParseJson(LastLineOf("train"));
  const JsonValue* metrics = json.ok() ? json.value().Find("metrics") : nullptr;
  const JsonValue* sum = metrics == nullptr ? nullptr : metrics->Find("weights_crc32");
  EXPECT_NE(sum, nullptr) << OutputOf("train");
  return sum == nullptr ? 0 : sum->number;
}

TEST(SecurityTest, KeysChangeNothingButWhoMayTakePart) {
  const std::string keys = MakeKeys();
  const Arguments common{"--json", "--quiet"};
  Arguments with = common;
  with.insert(with.end(), {"--set", "security.keys=" + keys});
  const double weights = Checksum(common);
  EXPECT_EQ(Checksum(with), weights);
  with.insert(with.end(), {"--set", "network.shared_memory=false"});
  EXPECT_EQ(Checksum(with), weights);
  // Without the secrets nobody takes part.
  fs::remove_all(keys + "/secret");
  EXPECT_EQ(EndOf(*LaunchTrain(WriteJob(1), with)), 2);
  EXPECT_TRUE(Says("train", "cannot read the key")) << OutputOf("train");
}

TEST(SecurityTest, HandshakeTimeoutEndsConnectionsThatProveNothing) {
  const KeyedJob job(MakeKeys(), 1, {"security.handshake_timeout=300ms"});
  const int file = ConnectTo(job.coordinator().where.address);
  const timeval limit{20, 0};
  setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  char bytes[64];
  ssize_t got = 1;
  while ((got = recv(file, bytes, sizeof(bytes), 0)) > 0) {  // Its greeting.
  }
  EXPECT_EQ(got, 0) << "the connection stays";
  close(file);
  EXPECT_TRUE(Await([&] {
    return CountOf(job.coordinator(), "shardmill_strangers_total{why=\"handshake\"}") == 1;
  }));
  EXPECT_TRUE(Says("coordinator", "stranger from=127.0.0.1:")) << OutputOf("coordinator");
}

TEST(SecurityTest, AKeyIsHeldToItsRankAndARankToItsKey) {
  const std::string keys = MakeKeys();
  ASSERT_EQ(Keys({"gen", "--role", "worker", "--rank", "1"}), 0);
  const KeyedJob job(keys, 1);
  const Daemon server = job.StartServer();
  // Rank 1's key in the place of everybody's.
  const std::string thief = CopyOf(keys, "thief");
  fs::rename(thief + "/secret/worker-1.key", thief + "/secret/worker.key");
  const Daemon zero = job.StartWorker(0, thief);
  EXPECT_EQ(EndOf(*zero.process), 2);
  EXPECT_TRUE(Says("worker-0", "is bound to rank 1 and may not hold rank 0"))
      << OutputOf("worker-0");
  // Everybody's key for rank 1.
  const std::string other = CopyOf(keys, "other");
  fs::remove(other + "/secret/worker-1.key");
  const Daemon one = job.StartWorker(1, other);
  EXPECT_EQ(EndOf(*one.process), 2);
  EXPECT_TRUE(Says("worker-1", "rank 1 is bound to a key of its own")) << OutputOf("worker-1");
  EXPECT_TRUE(Await([&] { return CountOf(job.coordinator(), "shardmill_forbidden_total") >= 2; }));
  EXPECT_TRUE(Says("coordinator", "forbidden peer="));
  // Those with the right ones train.
  const Daemon right_zero = job.StartWorker(0);
  const Daemon right_one = job.StartWorker(1);
  EXPECT_EQ(EndOf(*right_zero.process), 0) << OutputOf("worker-0");
  EXPECT_EQ(EndOf(*right_one.process), 0) << OutputOf("worker-1");
}

TEST(SecurityTest, AKeyThatIsNotOnTheListIsNamedOnBothSides) {
  const std::string keys = MakeKeys();
  const KeyedJob job(keys, 1);
  const std::string foreign = TestFolder() + "/foreign";
  ASSERT_EQ(Keys({"gen"}, foreign), 0);
  fs::copy(keys + "/public/coordinator.pub", foreign + "/public/coordinator.pub",
           fs::copy_options::overwrite_existing);
  const Daemon worker = job.StartWorker(0, foreign, {"--set", "cluster.start_timeout=1500ms"});
  EXPECT_EQ(EndOf(*worker.process), 4);
  EXPECT_TRUE(Says("worker-0", "does not let this process's key in")) << OutputOf("worker-0");
  EXPECT_TRUE(Says("coordinator", "is not on the list")) << OutputOf("coordinator");
  EXPECT_GE(CountOf(job.coordinator(), "shardmill_strangers_total{why=\"key\"}"), 1U);
}

TEST(SecurityTest, WhoHasNoKeysIsToldThatItIsNotUnderstood) {
  const KeyedJob job(MakeKeys(), 1);
  SessionOptions options;
  options.coordinator = job.coordinator().where.address.substr(6);
  options.open_timeout = std::chrono::milliseconds(1000);
  const auto session = Session::Open(options);
  ASSERT_FALSE(session.ok());
  EXPECT_EQ(session.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(session.error().message.find("does not speak this protocol"), std::string::npos)
      << session.error().message;
}

TEST(SecurityTest, AKeyThatIsTakenBackIsCutOffAtOnce) {
  constexpr uint32_t kEndless = 100000;
  const std::string keys = MakeKeys();
  ASSERT_EQ(Keys({"gen", "--role", "worker", "--rank", "1"}), 0);
  const KeyedJob job(keys, kEndless);
  const Daemon server = job.StartServer();
  const std::string elsewhere = CopyOf(keys, "elsewhere");
  const Daemon zero = job.StartWorker(0);
  const Daemon one = job.StartWorker(1, elsewhere);
  ASSERT_TRUE(Await([&] { return job.Status().state == JobStatus::State::kTraining; }));
  ASSERT_EQ(Keys({"revoke", "worker-1"}), 0);
  EXPECT_TRUE(Await([&] {
    return CountOf(job.coordinator(), "shardmill_strangers_total{why=\"revoked\"}") > 0;
  }));
  // The rank's lease ends as if its process had gone.
  EXPECT_TRUE(Await([&] {
    return job.Status().workers[1].state == JobStatus::Worker::State::kSilent;
  })) << ToJson(job.Status());
  EXPECT_TRUE(Says("coordinator", "was taken off the list")) << OutputOf("coordinator");
}

TEST(SecurityTest, ListensWhereOthersReachItOnlyWithKeysOrWhenToldTo) {
  const std::string job = WriteJob(1);
  const Arguments open{job, "--listen", "0.0.0.0:0"};
  const auto refused = Launch("refused", "server/shardmill-coordinator", open);
  EXPECT_EQ(EndOf(*refused), 2);
  EXPECT_TRUE(Says("refused", "there are no keys")) << OutputOf("refused");
  Arguments insecure = open;
  insecure.emplace_back("--insecure");
  const Daemon daemon = LaunchDaemon("insecure", "server/shardmill-coordinator", insecure);
  EXPECT_TRUE(daemon.where.address.starts_with("tcp://0.0.0.0:")) << OutputOf("insecure");
  EXPECT_TRUE(Says("insecure", "warning shardmill-coordinator insecure endpoint="))
      << OutputOf("insecure");
  Arguments keyed = open;
  keyed.insert(keyed.end(), {"--set", "security.keys=" + MakeKeys()});
  const Daemon safe = LaunchDaemon("keyed", "server/shardmill-coordinator", keyed);
  EXPECT_TRUE(safe.where.address.starts_with("tcp://0.0.0.0:")) << OutputOf("keyed");
}

TEST(SecurityTest, ThePageForMonitorsOnlyReads) {
  const KeyedJob job(MakeKeys(), 1);
  const std::string before =
      HttpGetBody(job.coordinator().where.http, "/status", kPatience).value();
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"}) {
    const int file = ConnectTo(job.coordinator().where.http);
    const std::string request =
        std::string(method) + " /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    ASSERT_EQ(send(file, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    char bytes[256];
    std::string answer;
    for (ssize_t got = 0; (got = recv(file, bytes, sizeof(bytes), 0)) > 0;) {
      answer.append(bytes, static_cast<size_t>(got));
    }
    close(file);
    EXPECT_TRUE(answer.empty() || answer.find(" 40") < 16) << method << ": " << answer;
  }
}

TEST(SecurityTest, KeysAreMadeOnceListedAndNeverShown) {
  const std::string keys = MakeKeys();
  EXPECT_EQ(Keys({"gen"}), 2);
  EXPECT_TRUE(Says("keys", "is there already; --replace writes over it")) << OutputOf("keys");
  EXPECT_EQ(Keys({"gen", "--role", "server", "--rank", "1"}), 2);
  EXPECT_EQ(Keys({"gen", "--role", "worker", "--name", "../worker"}), 2);
  EXPECT_EQ(Keys({"gen", "--role", "worker", "--name", "worker-blue", "--rank", "2"}), 0);
  EXPECT_EQ(Keys({"revoke", "worker"}), 0);
  EXPECT_EQ(Keys({"revoke", "worker"}), 2);
  EXPECT_EQ(Keys({"ls", "--json"}), 0);
  const Result<JsonValue> listed = ParseJson(LastLineOf("keys"));
  ASSERT_TRUE(listed.ok()) << OutputOf("keys");
  EXPECT_EQ(listed.value().items.size(), 5U);
  EXPECT_EQ(Keys({"ls"}), 0);
  EXPECT_TRUE(Says("keys", "no: revoked")) << OutputOf("keys");
  EXPECT_TRUE(Says("keys", "worker-blue")) << OutputOf("keys");
  EXPECT_FALSE(Says("keys", "secret ="));
}

}  // namespace
}  // namespace shardmill
