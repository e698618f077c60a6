#include "bench/cluster.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/config/environment.h"
#include "common/job/job.h"
#include "common/keys/key_file.h"
#include "common/net/curve.h"
#include "common/process/announce.h"
#include "common/process/nobody.h"
#include "worker/session_options.h"

namespace shardmill::bench {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::minutes kRunMax{5};
constexpr std::chrono::milliseconds kSpin{100};

// Where more is said, and what was said last.
std::string LogWords(const std::string& path) {
  std::ifstream log(path);
  std::string last;
  for (std::string line; std::getline(log, line);) last = line;
  return " (see " + path + "): " + last;
}

// A key for each role.
Result<> MakeKeys(const std::string& folder) {
  for (const Role role : {Role::kCoordinator, Role::kServer, Role::kWorker}) {
    KeyPair pair = MakeKeyPair();
    pair.certificate.name = DefaultKeyName(role, std::nullopt);
    pair.certificate.role = role;
    SM_TRY(WriteKeyPair(folder, pair, true));
  }
  return {};
}

// A folder that was not there.
std::string NewFolder(const std::string& in) {
  for (int i = 1;; ++i) {
    std::string folder = in + "/cluster-" + std::to_string(i);
    if (std::filesystem::create_directory(folder)) return folder;
  }
}

}  // namespace

Result<std::string> SpawnAnnounced(const std::string& scratch, const std::string& name,
                                   const std::vector<std::string>& argv,
                                   std::unique_ptr<Child>* child) {
  ChildOptions options;
  options.name = name;
  options.argv = argv;
  options.log_path = scratch + "/" + name + ".log";
  options.announces = true;
  *child = SM_TRY(Child::Spawn(options));
  Result<std::optional<Announcement>> read =
      AnnouncementReader((*child)->announce_fd()).Read(kPatience);
  if (read.ok() && read.value()) return read.value()->address;
  return Error{ErrorCode::kUnavailable,
               name + " does not say where it is" + LogWords(options.log_path)};
}

Result<std::string> RunForOutput(const std::string& scratch, const std::string& name,
                                 const std::vector<std::string>& argv) {
  ChildOptions options;
  options.name = name;
  options.argv = argv;
  options.log_path = scratch + "/" + name + ".log";
  const std::unique_ptr<Child> child = SM_TRY(Child::Spawn(options));
  const std::optional<ExitStatus> status = child->Wait(kRunMax);
  std::ostringstream text;
  if (status && status->ok()) {
    text << std::ifstream(options.log_path).rdbuf();
    return text.str();
  }
  return Error{ErrorCode::kFailed,
               name + (status ? " ended with " + ExitWords(*status) : " does not end") +
                   LogWords(options.log_path)};
}

Result<std::string> RunForWord(const std::string& scratch, const std::string& name,
                               const std::vector<std::string>& argv, const std::string& key) {
  const std::string text = SM_TRY(RunForOutput(scratch, name, argv));
  std::istringstream words(text);
  for (std::string word, value; words >> word;) {
    if (word == key && words >> value) return value;
  }
  return Error{ErrorCode::kFailed,
               name + " says no " + key + LogWords(scratch + "/" + name + ".log")};
}

Result<double> RunForNumber(const std::string& scratch, const std::string& name,
                            const std::vector<std::string>& argv, const std::string& key) {
  const std::string word = SM_TRY(RunForWord(scratch, name, argv, key));
  double number = 0;
  if (std::istringstream(word) >> number) return number;
  return Error{ErrorCode::kFailed, name + " says " + word + " after " + key};
}

Result<std::unique_ptr<Cluster>> Cluster::Start(const Programs& programs,
                                                const ClusterOptions& options) {
  std::unique_ptr<Cluster> cluster(new Cluster(options));
  cluster->folder_ = NewFolder(programs.scratch);
  SM_TRY(cluster->WriteJob());
  const std::string& job = cluster->job_;
  const std::string address =
      SM_TRY(cluster->Spawn("coordinator", {programs.coordinator, job, "--listen", "127.0.0.1:0"}));
  cluster->address_ = address.substr(std::string("tcp://").size());
  for (uint32_t i = 0; i < options.servers; ++i) {
    const std::string index = std::to_string(i);
    std::vector<std::string> argv{programs.server, job,
                                  "--index",       index,
                                  "--set",         "cluster.coordinator=" + cluster->address_};
    if (options.spins) {
      argv.insert(argv.end(), {"--set", "network.spin=" + std::to_string(kSpin.count()) + "ms"});
    }
    if (options.apart && i > 0) argv = AsNobody(std::move(argv));
    SM_TRY(cluster->Spawn("server-" + index, std::move(argv)));
  }
  return cluster;
}

// Its workers are no programs of ours, so it needs no data and no model.
Result<> Cluster::WriteJob() {
  job_ = folder_ + "/job.toml";
  std::ofstream job(job_);
  job << "[cluster]\nservers = " << options_.servers
      << "\nshards_per_server = 1\nworkers = " << options_.workers;
  if (options_.logs) job << "\nstate = \"" << folder_ << "/state\"";
  job << "\n[policy]\nmode = \"" << options_.policy
      << "\"\n[optimizer]\nlearning_rate = 0.01\n[log]\nlevel = \"warn\"\n";
  if (options_.keys) {
    const std::string keys = folder_ + "/keys";
    SM_TRY(MakeKeys(keys));
    job << "[security]\nkeys = \"" << keys << "\"\n";
  }
  if (!options_.snapshots.empty()) {
    job << "[snapshot]\nto = \"" << options_.snapshots << "\"\nevery = \"1ms\"\nkeep = 1\n";
  }
  if (options_.replicas > 0) {
    job << "[replication]\nreplicas = " << options_.replicas
        << "\nmin_in_sync = " << options_.replicas << "\n";
  }
  if (options_.logs) job << "[replication]\nlog = \"" << folder_ << "/logs\"\n";
  return {};
}

Result<std::string> Cluster::Spawn(const std::string& name, std::vector<std::string> argv) {
  std::unique_ptr<Child> child;
  std::string address = SM_TRY(SpawnAnnounced(folder_, name, argv, &child));
  children_.push_back(std::move(child));
  return address;
}

Result<SessionOptions> WorkerOptionsOf(const std::string& job, const std::string& address,
                                       uint32_t rank) {
  const Job loaded =
      SM_TRY(LoadJob(job, {{"cluster.coordinator=" + address}, config::ProcessEnvironment()}));
  return SessionOptionsOf(loaded.options, rank);
}

Result<SessionOptions> Cluster::WorkerOptions(uint32_t rank) const {
  SessionOptions options = SM_TRY(WorkerOptionsOf(job_, address_, rank));
  options.shared_memory = options_.shared_memory;
  if (options_.spins) options.spin = kSpin;
  return options;
}

}  // namespace shardmill::bench
