// What a real Prometheus sees of a real job, and whether all that deploy/monitoring and the docs
// ask for is there.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cmath>
#include <csignal>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "common/http/http_client.h"
#include "common/json/json.h"
#include "common/process/file_descriptor.h"
#include "common/process/signals.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{60'000};
constexpr std::chrono::milliseconds kHttpPatience{5'000};
constexpr uint64_t kStepsPerEpoch = 50;  // Of WriteJob's data set.
constexpr uint32_t kEpochs = 80;
constexpr const char* kMonitoring = "deploy/monitoring/";

std::string TextOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

// A program of this system's, run in the test's folder's stead: to its end, which must be a good
// one.
std::unique_ptr<Child> Start(const std::string& name, std::vector<std::string> argv) {
  ChildOptions options;
  options.name = name;
  options.argv = std::move(argv);
  options.log_path = TestFolder() + "/" + name + ".out";
  Result<std::unique_ptr<Child>> child = Child::Spawn(options);
  EXPECT_TRUE(child.ok()) << child.error().message << " (tools/install_deps --tests)";
  return child.ok() ? std::move(child).value() : nullptr;
}

void ExpectGood(const std::string& name, std::vector<std::string> argv) {
  const auto child = Start(name, std::move(argv));
  ASSERT_NE(child, nullptr);
  EXPECT_EQ(child->Wait(kPatience), ExitStatus{}) << OutputOf(name);
}

// One that is free now.
uint16_t FreePort() {
  const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

std::string ForAddress(const std::string& text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    escaped += '%';
    escaped += kHex[byte >> 4];
    escaped += kHex[byte & 15];
  }
  return escaped;
}

// A Prometheus that scrapes the given daemons as one job.
class Prometheus final {
 public:
  explicit Prometheus(const std::vector<std::string>& daemons) {
    const std::string folder = TestFolder();
    std::ofstream config(folder + "/prometheus.yaml");
    config << "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
           << "scrape_configs:\n"
           << "  - {job_name: shardmill, static_configs: [{targets: [";
    for (const std::string& daemon : daemons) config << '"' << daemon << "\", ";
    config << "]}]}\n";
    config.close();
    address_ = "127.0.0.1:" + std::to_string(FreePort());
    process_ =
        Start("prometheus", {"/usr/bin/prometheus", "--config.file=" + folder + "/prometheus.yaml",
                             "--storage.tsdb.path=" + folder + "/tsdb",
                             "--web.listen-address=" + address_, "--log.level=warn"});
    EXPECT_TRUE(Await([&] { return HttpGetBody(address_, "/-/ready", kHttpPatience).ok(); }))
        << OutputOf("prometheus");
  }

  // By the value of a label, or "" where the series have none. Nothing where the query is wrong.
  std::map<std::string, double> Ask(const std::string& query, const std::string& label = "") const {
    const auto body = HttpGet(address_, "/api/v1/query?query=" + ForAddress(query), kHttpPatience);
    EXPECT_TRUE(body.ok()) << query;
    if (!body.ok()) return {};
    EXPECT_EQ(body.value().status, 200) << query << ": " << body.value().body;
    const Result<JsonValue> json = ParseJson(body.value().body);
    const JsonValue* data = json.ok() ? json.value().Find("data") : nullptr;
    const JsonValue* result = data != nullptr ? data->Find("result") : nullptr;
    std::map<std::string, double> values;
    if (result == nullptr) return values;
    for (const JsonValue& series : result->items) {
      if (series.kind != JsonValue::Kind::kObject) continue;  // Of a scalar.
      const JsonValue* name = series.Find("metric")->Find(label);
      values[name != nullptr ? name->text : ""] = std::stod(series.Find("value")->items.at(1).text);
    }
    return values;
  }

  double Number(const std::string& query) const {
    const std::map<std::string, double> values = Ask(query);
    return values.size() == 1 ? values.begin()->second : NAN;
  }

 private:
  std::string address_;
  std::unique_ptr<Child> process_;
};

// A job of which every process is started by hand, and serves its page.
class WatchedJob final {
 public:
  explicit WatchedJob(const std::vector<std::string>& sets = {}) {
    const std::string file = WriteJob(kEpochs);
    const auto start = [&](const std::string& name, const std::string& program,
                           std::vector<std::string> arguments) {
      arguments.insert(
          arguments.begin(),
          {file, "--set", "cluster.lease=400ms", "--set", "train.report_every=10", "--set",
           "snapshot.to=" + TestFolder() + "/snapshots", "--set", "snapshot.every_epochs=10"});
      for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
      if (!coordinator_.empty()) {
        arguments.insert(arguments.end(), {"--set", "cluster.coordinator=" + coordinator_});
      }
      daemons_.push_back(LaunchDaemon(name, program, std::move(arguments)));
    };
    start("coordinator", "server/shardmill-coordinator", {"--listen", "127.0.0.1:0"});
    coordinator_ = daemons_.front().where.address;
    start("server", "server/shardmill-ps", {"--index", "0"});
    for (const std::string rank : {"0", "1"}) {
      start("worker-" + rank, "worker/shardmill-worker", {"--rank", rank});
    }
  }

  std::vector<std::string> pages() const {
    std::vector<std::string> pages;
    for (const Daemon& daemon : daemons_) pages.push_back(daemon.where.http);
    return pages;
  }
  std::string page() const { return daemons_.front().where.http; }
  std::string server_page() const { return daemons_.at(1).where.http; }
  pid_t worker(uint32_t rank) const { return daemons_.at(2 + rank).process->pid(); }

  JobStatus Status() const {
    const auto text = HttpGetBody(page(), "/status", kHttpPatience);
    const Result<JobStatus> status = ParseJobStatus(text.ok() ? text.value() : "");
    EXPECT_TRUE(status.ok());
    return status.ok() ? status.value() : JobStatus{};
  }

 private:
  std::string coordinator_;
  std::vector<Daemon> daemons_;
};

// Lets a process run for a small part of the time.
class Slowdown final {
 public:
  explicit Slowdown(pid_t pid) : pid_(pid), thread_([this] { Run(); }) {}
  ~Slowdown() {
    stop_.Request(StopReason::kTerminate);
    thread_.join();
  }
  Slowdown(const Slowdown&) = delete;
  Slowdown& operator=(const Slowdown&) = delete;

 private:
  static constexpr std::chrono::milliseconds kStopped{195};
  static constexpr std::chrono::milliseconds kRunning{5};

  void Run() const {
    do {
      kill(pid_, SIGSTOP);
      static_cast<void>(stop_.WaitFor(kStopped));
      kill(pid_, SIGCONT);
    } while (!stop_.WaitFor(kRunning));
  }

  pid_t pid_;
  StopSource stop_;
  std::thread thread_;
};

// The metrics that daemons declare, as they say themselves.
std::set<std::string> Declared(const std::vector<std::string>& pages) {
  std::set<std::string> names;
  for (const std::string& page : pages) {
    const auto text = HttpGetBody(page, "/metrics", kHttpPatience);
    EXPECT_TRUE(text.ok()) << page;
    if (!text.ok()) continue;
    std::istringstream lines(text.value());
    for (std::string line; std::getline(lines, line);) {
      constexpr std::string_view kType = "# TYPE ";
      if (line.starts_with(kType)) {
        names.insert(line.substr(kType.size(), line.rfind(' ') - kType.size()));
      }
    }
  }
  return names;
}

// The metrics that a text names.
std::set<std::string> Named(const std::string& text) {
  static const std::regex name("shardmill_[a-z_]+");
  std::set<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), name); at != std::sregex_iterator();
       ++at) {
    std::string found = at->str();
    for (const std::string_view part : {"_seconds_bucket", "_seconds_sum", "_seconds_count"}) {
      if (found.ends_with(part)) found.resize(found.rfind('_'));
    }
    names.insert(found);
  }
  return names;
}

// What panels ask, with the variables of Grafana filled in.
std::vector<std::string> DashboardQueries() {
  const std::string dashboard = TextOf(std::string(kMonitoring) + "dashboard.json");
  const Result<JsonValue> json = ParseJson(dashboard);
  EXPECT_TRUE(json.ok()) << json.error().message;
  std::vector<std::string> queries;
  for (const JsonValue& panel : json.value().Find("panels")->items) {
    const JsonValue* targets = panel.Find("targets");
    if (targets == nullptr) continue;
    for (const JsonValue& target : targets->items) {
      std::string query = target.Find("expr")->text;
      query = std::regex_replace(query, std::regex("\\$__rate_interval"), "10s");
      queries.push_back(std::regex_replace(query, std::regex("\\$job"), "shardmill"));
    }
  }
  return queries;
}

// Rank 1 is, and everybody says so.
void ExpectSlow(const WatchedJob& job, const Prometheus& prometheus) {
  EXPECT_TRUE(Await([&] {
    const auto shares = prometheus.Ask("rate(shardmill_rank_awaited_seconds_total[5s])", "rank");
    return shares.size() == 2 && shares.at("1") > 0.6 && shares.at("0") < 0.3;
  })) << ToJson(job.Status());
  EXPECT_TRUE(Await([&] {
    const auto waits =
        prometheus.Ask("sum by (cause) (rate(shardmill_wait_seconds_total[5s]))", "cause");
    return waits.contains("worker") && waits.at("worker") > 1;  // Of two shards.
  })) << ToJson(job.Status());
  const JobStatus status = job.Status();
  ASSERT_NE(SlowWorker(status), nullptr);
  EXPECT_EQ(SlowWorker(status)->rank, 1U);
}

// A job on its way has something to say to every panel but that of the first snapshot.
void ExpectFullDashboard(const Prometheus& prometheus) {
  for (const std::string& query : DashboardQueries()) {
    const bool said = !prometheus.Ask(query).empty();
    EXPECT_TRUE(said || query.find("snapshot_timestamp") != std::string::npos) << query;
  }
}

TEST(MonitoringTest, PrometheusShowsWhoIsSlowAndCountsAllThatWasTrained) {
  const WatchedJob job;
  EXPECT_TRUE(Await([&] { return job.Status().workers.at(1).step > 0; }));
  auto slowdown = std::make_unique<Slowdown>(job.worker(1));
  const Prometheus prometheus(job.pages());
  ExpectSlow(job, prometheus);
  ExpectFullDashboard(prometheus);
  slowdown.reset();
  EXPECT_TRUE(Await([&] { return prometheus.Number("shardmill_job_state{state=\"done\"}") == 1; }))
      << ToJson(job.Status());
  const JobStatus status = job.Status();
  const double steps = static_cast<double>(kEpochs * kStepsPerEpoch);
  const auto settled = [&] { return prometheus.Number("min(shardmill_rounds_closed)") == steps; };
  EXPECT_TRUE(Await(settled));
  EXPECT_EQ(prometheus.Number("sum(shardmill_rank_step)"), 2 * steps);
  EXPECT_EQ(prometheus.Number("sum(shardmill_entries_total)"), 2 * steps);
  EXPECT_EQ(prometheus.Number("sum(shardmill_units_total)"),
            static_cast<double>(status.shards[0].units + status.shards[1].units));
  EXPECT_GE(prometheus.Number("sum(shardmill_apply_seconds_count)"), steps);
  EXPECT_GE(prometheus.Number("shardmill_snapshots_total"), 1);
  EXPECT_LT(std::abs(prometheus.Number("time() - shardmill_snapshot_timestamp_seconds")), 60);
  EXPECT_EQ(prometheus.Number("shardmill_lost_steps_total + shardmill_duplicated_steps_total"), 0);
}

// The number behind a series on a page; 0 where there is none.
double ValueOn(const std::string& page, const std::string& series) {
  const auto text = HttpGetBody(page, "/metrics", kHttpPatience);
  const size_t at = text.ok() ? text.value().find("\n" + series + " ") : std::string::npos;
  return at == std::string::npos ? 0 : std::stod(text.value().substr(at + series.size() + 2));
}

TEST(MonitoringTest, TellsWhatALogCosts) {
  const WatchedJob job(
      {"replication.log=" + TestFolder() + "/log", "cluster.state=" + TestFolder() + "/state"});
  const std::string page = job.server_page();
  const auto value = [&](const std::string& series) { return ValueOn(page, series); };
  EXPECT_TRUE(Await([&] {
    return value("shardmill_log_write_seconds_count{shard=\"0\"}") > 100 &&
           value("shardmill_log_write_seconds_sum{shard=\"0\"}") > 0 &&
           value("shardmill_wait_seconds_total{shard=\"0\",cause=\"log\"}") > 0 &&
           value("shardmill_log_bytes{shard=\"0\"}") > 0;
  })) << OutputOf("server");
  EXPECT_EQ(value("shardmill_log_failures_total{shard=\"0\"}"), 0);
}

TEST(MonitoringTest, KeepsToTheConventionsOfPrometheus) {
  const WatchedJob job;
  const std::vector<std::string> pages = job.pages();
  for (size_t i = 0; i < pages.size(); ++i) {
    const auto text = HttpGetBody(pages[i], "/metrics", kHttpPatience);
    ASSERT_TRUE(text.ok()) << text.error().message;
    const std::string file = TestFolder() + "/metrics";
    std::ofstream(file) << text.value();
    ExpectGood("promtool-" + std::to_string(i),
               {"/bin/sh", "-c", "/usr/bin/promtool check metrics < " + file});
  }
}

TEST(MonitoringTest, EachMetricThatIsAskedForIsThereAndEachThatIsThereIsExplained) {
  const WatchedJob job;
  EXPECT_TRUE(Await([&] { return job.Status().workers.at(1).incarnation > 0; }));
  EXPECT_TRUE(Await([&] { return Declared(job.pages()).contains("shardmill_rank_step"); }));
  const std::set<std::string> declared = Declared(job.pages());
  const std::string monitoring(kMonitoring);
  for (const char* file : {"dashboard.json", "alerts.yaml", "alerts_test.yaml"}) {
    for (const std::string& name : Named(TextOf(monitoring + file))) {
      EXPECT_TRUE(declared.contains(name)) << file << " asks for " << name;
    }
  }
  EXPECT_EQ(Named(TextOf("docs/operations.md")), declared);
}

TEST(MonitoringTest, AlertsRingWhenTheyShouldAndNotBefore) {
  const std::string monitoring(kMonitoring);
  ExpectGood("rules", {"/usr/bin/promtool", "test", "rules", monitoring + "alerts_test.yaml"});
  const std::string tests = TextOf(monitoring + "alerts_test.yaml");
  const std::string alerts = TextOf(monitoring + "alerts.yaml");
  const std::string docs = TextOf("docs/operations.md");
  const std::regex alert("alert: (\\w+)");
  for (std::sregex_iterator at(alerts.begin(), alerts.end(), alert); at != std::sregex_iterator();
       ++at) {
    const std::string name = (*at)[1];
    EXPECT_NE(tests.find("alertname: " + name + "\n"), std::string::npos) << name;
    EXPECT_NE(docs.find("`" + name + "`"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace shardmill
