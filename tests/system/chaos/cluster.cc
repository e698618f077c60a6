#include "tests/system/chaos/cluster.h"

#include <poll.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <tuple>
#include <utility>

#include "common/rng.h"

namespace shardmill::chaos {
namespace {

constexpr milliseconds kStartLimit{30'000};
constexpr milliseconds kEndLimit{kSanitized ? 120'000 : 30'000};

std::string Name(const Life& life) {
  return "process " + std::to_string(life.number) + " of rank " + std::to_string(life.rank);
}

// Whether the process stands still because of a signal.
bool IsStopped(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');  // "PID (NAME) STATE ...".
  return name_end != std::string::npos && text.size() > name_end + 2 && text[name_end + 2] == 'T';
}

}  // namespace

std::string ClusterPlan::Words() const {
  return mode + (mode == "stale" ? " " + std::to_string(staleness) : "") +
         (backups > 0 ? " with a backup" : "") + ", " + std::to_string(servers) + "x" +
         std::to_string(shards_per_server) + " shards" +
         (replicas > 0 ? " with " + std::to_string(replicas) + " replicas, of which " +
                             std::to_string(min_in_sync) + " must be there"
                       : "") +
         (logs ? " with logs" : "") + ", " + std::to_string(workers) + " workers, " +
         (rows == 0 ? std::to_string(steps) + " steps"
                    : "at most " + std::to_string(workers_max) + ", " + std::to_string(epochs) +
                          " epochs of " + std::to_string(rows) + " rows") +
         ", lease " + std::to_string(lease.count()) + " ms, " +
         (shared_memory ? "shared memory" : "TCP");
}

ClusterPlan DrawCluster(uint64_t seed) {
  Rng rng(Mix(seed) ^ 0xc4a05);
  ClusterPlan plan;
  plan.seed = seed;
  plan.servers = static_cast<uint32_t>(1 + rng.Below(2));
  plan.shards_per_server = static_cast<uint32_t>(1 + rng.Below(2));
  plan.workers = static_cast<uint32_t>(2 + rng.Below(2));
  plan.steps = 60 + rng.Below(60);
  switch (rng.Below(4)) {
    case 0:
      plan.mode = "async";
      break;
    case 1:
      plan.mode = "stale";
      plan.staleness = rng.Below(4);
      break;
    case 2:
      plan.workers = 3;
      plan.backups = 1;
      break;
    default:
      break;
  }
  plan.shared_memory = rng.Chance(0.5);
  plan.lease = milliseconds(200 + rng.Below(300));
  plan.retry = milliseconds(20 + rng.Below(80));
  plan.think_us = rng.Below(6000);
  return plan;
}

const Record* Life::Find(Event event) const {
  const auto found = std::ranges::find(records, event, &Record::event);
  return found == records.end() ? nullptr : &*found;
}

uint64_t Life::LastStep(Event event) const {
  uint64_t last = 0;
  for (const Record& record : records) {
    if (record.event == event) last = std::max(last, record.step);
  }
  return last;
}

Result<std::unique_ptr<Cluster>> Cluster::Start(const ClusterPlan& plan, std::string programs,
                                                std::string folder) {
  std::filesystem::create_directories(folder);
  std::unique_ptr<Cluster> cluster(new Cluster(plan, std::move(programs), std::move(folder)));
  SM_TRY(cluster->WriteJob());
  if (plan.keyed) SM_TRY(cluster->MakeKeys());
  if (plan.faulty) {
    const std::string library = cluster->programs_ + "/tests/system/faults/fault_preload.so";
    cluster->faults_ = SM_TRY(FaultDesk::Make(library, cluster->folder_));
    if (plan.noted) SM_TRY(cluster->faults_->NoteSyncs(cluster->folder_));
  }
  if (plan.proxied) cluster->proxy_ = std::make_unique<MessageProxy>(plan.seed);
  if (plan.apart) cluster->hosts_ = SM_TRY(Hosts::Make(cluster->folder_ + "/hosts.out"));
  cluster->coordinator_host_ = SM_TRY(cluster->AddHost());
  const std::string local = cluster->coordinator_host_
                                ? cluster->hosts_->AddressOf(*cluster->coordinator_host_)
                                : "127.0.0.1";
  SM_TRY(cluster->StartCoordinator(local + ":0"));
  SM_TRY(cluster->FindCoordinator());
  for (uint32_t i = 0; i < plan.servers; ++i) SM_TRY(cluster->StartServer(i));
  return cluster;
}

Result<> Cluster::WriteJob() {
  job_ = folder_ + "/job.toml";
  std::ofstream job(job_);
  const auto quoted = [](milliseconds time) {
    return "\"" + std::to_string(time.count()) + "ms\"";
  };
  job << "# seed " << plan_.seed << ": " << plan_.Words() << "\n"
      << "[cluster]\nservers = " << plan_.servers
      << "\nshards_per_server = " << plan_.shards_per_server << "\nworkers = " << plan_.workers
      << "\nlease = " << quoted(plan_.lease) << "\n";
  if (plan_.keeps_state) job << "state = \"" << folder_ << "/state/job\"\n";
  if (plan_.rows > 0) {
    job << "elastic = true\nworkers_max = " << plan_.workers_max
        << "\n[data]\nscheme = \"leased\"\nchunk = " << plan_.chunk
        << "\n[train]\nepochs = " << plan_.epochs << "\n";
  }
  if (plan_.replicas > 0 || plan_.logs) job << "[replication]\n";
  if (plan_.replicas > 0) {
    job << "replicas = " << plan_.replicas << "\nmin_in_sync = " << plan_.min_in_sync << "\n";
  }
  if (plan_.logs) job << "log = \"" << folder_ << "/logs\"\n";
  if (plan_.snapshot_every.count() > 0) {
    job << "[snapshot]\nto = \"" << folder_ << "/kept\"\nevery = " << quoted(plan_.snapshot_every)
        << "\n";
  }
  if (plan_.keyed)
    job << "[security]\nkeys = \"" << Keys() << "\"\nhandshake_timeout = \"300ms\"\n";
  job << "[policy]\nmode = \"" << plan_.mode << "\"\n";
  if (plan_.mode == "stale") job << "staleness = " << plan_.staleness << "\n";
  if (plan_.backups > 0) job << "backups = " << plan_.backups << "\n";
  job << "[network]\nstep_timeout = \"80s\"\nretry_after = " << quoted(plan_.retry)
      << "\nshared_memory = " << (plan_.shared_memory ? "true" : "false") << "\n";
  job.close();
  if (job.good()) return {};
  return Error{ErrorCode::kFailed, job_ + ": cannot be written"};
}

Result<std::unique_ptr<Child>> Cluster::SpawnOn(Host host, ChildOptions options) {
  if (host) {
    const std::vector<std::string> inside = hosts_->Inside(*host);
    options.argv.insert(options.argv.begin(), inside.begin(), inside.end());
  }
  std::unique_ptr<Child> child = SM_TRY(Child::Spawn(options));
  if (host) host_of_[child->pid()] = *host;
  if (proxy_ != nullptr) proxy_->Know(child->pid());
  return child;
}

Result<> Cluster::SpawnDaemon(Host host, const std::string& name, const std::string& program,
                              std::vector<std::string> arguments, std::unique_ptr<Child>* child) {
  ChildOptions options;
  options.name = name;
  options.argv = {programs_ + "/" + program, job_};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  if (host) {
    const std::string address = hosts_->AddressOf(*host);
    options.argv.insert(options.argv.end(), {"--set", "cluster.host=" + address, "--set",
                                             "http.bind=" + address, "--insecure"});
  }
  if (faults_ != nullptr) {
    options.argv.insert(options.argv.begin(), {"/usr/bin/env", faults_->Preload()});
  }
  options.log_path = folder_ + "/" + name + ".out";
  options.announces = true;
  *child = SM_TRY(SpawnOn(host, std::move(options)));
  return {};
}

Life& Cluster::StartAnyWorker(const Aim& aim) { return StartWorker(kAnyRank, aim); }

Life& Cluster::StartWorker(uint32_t rank, const Aim& aim) {
  Life& life = *lives_.emplace_back(std::make_unique<Life>());
  life.rank = rank;
  life.number = static_cast<uint32_t>(lives_.size());
  const bool any = rank == kAnyRank;
  const std::string name =
      "worker-" + (any ? "any" : std::to_string(rank)) + "-" + std::to_string(life.number);
  life.journal = folder_ + "/" + name + ".journal";
  life.reader = JournalReader(life.journal);
  WorkerPlan plan;
  plan.coordinator = address_;
  plan.journal = life.journal;
  plan.seed = plan_.seed;
  plan.rank = any ? 0 : rank;
  plan.any_rank = any;
  plan.rows = plan_.rows;
  plan.life = life.number;
  plan.workers = plan_.workers;
  plan.shards = plan_.shards();
  plan.epochs = plan_.epochs;
  plan.steps = plan_.steps;
  plan.bounded = plan_.mode != "async";
  plan.staleness = plan_.staleness;
  plan.per_step = plan_.mode == "sync";
  plan.backups = plan_.backups > 0;
  plan.begins_again = plan_.logs;
  plan.shared_memory = plan_.shared_memory;
  plan.lease_ms = static_cast<uint64_t>(plan_.lease.count());
  plan.retry_ms = static_cast<uint64_t>(plan_.retry.count());
  plan.think_us = plan_.think_us;
  plan.table_step = plan_.table_step;
  plan.shard_mib = plan_.shard_mib;
  if (plan_.keyed) plan.keys = Keys();
  plan.aim = aim;
  plan.plant = plan_.plant;
  ChildOptions options;
  options.name = name;
  options.argv = {programs_ + "/tests/system/chaos/worker"};
  for (std::string& argument : plan.ToArguments()) options.argv.push_back(std::move(argument));
  options.log_path = folder_ + "/" + name + ".out";
  const Result<Host> host = AddHost();
  Result<std::unique_ptr<Child>> child =
      host.ok() ? SpawnOn(host.value(), options) : Result<std::unique_ptr<Child>>(host.error());
  if (!child.ok()) {
    Fail(child.error().message);
    life.ended = ExitStatus{};
    return life;
  }
  life.child = std::move(child).value();
  return life;
}

void Cluster::LookAt(Life& life) {
  // First how it ended: then all is read that it wrote.
  const bool over = life.ended.has_value();
  if (!over) life.ended = life.child->Poll();
  if (over) return;
  for (Record& record : life.reader.Read()) {
    if (record.event == Event::kViolation) {
      Violation(Name(life) + ", step " + std::to_string(record.step) + ": " + record.words);
    }
    if (record.event == Event::kGranted && plan_.rows > 0) {
      life.rank = static_cast<uint32_t>(std::stoul(record.words));
    }
    life.records.push_back(std::move(record));
  }
  if (!life.ended || life.killed || life.ended->ok() || life.ended->signal == SIGKILL) return;
  const Record* error = life.Find(Event::kError);
  if (*life.ended == ExitStatus{.code = 3}) return;  // CheckLivesOf says whether it may.
  Fail(Name(life) + " ended with " + ExitWords(*life.ended) +
       (error != nullptr ? ": " + error->words : ""));
}

void Cluster::Fail(std::string words) {
  failed_ = true;
  Violation(std::move(words));
}

void Cluster::Look() {
  for (const auto& life : lives_) LookAt(*life);
  std::vector<Child*> daemons;
  if (!coordinator_away_) daemons.push_back(coordinator_.get());
  for (size_t i = 0; i < servers_.size(); ++i) {
    if (!server_away_[i]) daemons.push_back(servers_[i].get());
  }
  for (Child* daemon : daemons) {
    if (const auto status = daemon->Poll()) Fail(daemon->name() + ": " + ExitWords(*status));
  }
}

bool Cluster::Await(const std::string& what, milliseconds limit,
                    const std::function<bool()>& is_true) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (true) {
    Look();
    if (failed_) return false;
    if (is_true()) return true;
    if (std::chrono::steady_clock::now() >= end) {
      Fail("not within " + std::to_string(limit.count()) + " ms: " + what);
      return false;
    }
    Pass(milliseconds(2));
  }
}

void Cluster::Pass(milliseconds time) { poll(nullptr, 0, static_cast<int>(time.count())); }

uint64_t Cluster::Acked(uint32_t rank) const {
  uint64_t last = 0;
  for (const auto& life : lives_) {
    if (life->rank != rank) continue;
    last = std::max({last, life->LastStep(Event::kCounted), life->LastStep(Event::kDiscarded)});
  }
  return last;
}

bool Cluster::Finished(uint32_t rank) const {
  return std::ranges::any_of(lives_, [rank](const auto& life) {
    return life->rank == rank && life->Find(Event::kDone) != nullptr;
  });
}

void Cluster::Kill(Life& life) {
  life.killed = true;
  life.child->Kill();
  life.child->Wait(kStartLimit);
  LookAt(life);
}

bool Cluster::AwaitStep(uint32_t rank, uint64_t step) {
  return Await("rank " + std::to_string(rank) + " makes step " + std::to_string(step),
               kTroubleLimit, [&] { return Acked(rank) >= step || Finished(rank); });
}

void Cluster::Stop(Child& child) {
  if (child.Poll()) return;
  kill(child.pid(), SIGSTOP);
  Await(child.name() + " stands still", kTroubleLimit,
        [&] { return child.Poll() || IsStopped(child.pid()); });
}

void Cluster::AwaitStop(const Life& life) {
  Await(Name(life) + " stands still", kTroubleLimit,
        [&] { return life.ended.has_value() || IsStopped(life.child->pid()); });
}

void Cluster::Continue(Child& child) {
  if (!child.Poll()) kill(child.pid(), SIGCONT);
}

void Cluster::Healed(uint32_t rank) { heals_.push_back({rank, MonotonicNs()}); }

void Cluster::MeasureRecovery() {
  for (const Heal& heal : heals_) {
    uint64_t first = UINT64_MAX;
    for (const auto& life : lives_) {
      if (life->rank != heal.rank && heal.rank != kAnyRank) continue;
      for (const Record& record : life->records) {
        const bool gets_on = record.event == Event::kCounted || record.event == Event::kDiscarded ||
                             record.event == Event::kFinal || record.event == Event::kDone;
        if (gets_on && record.at_ns >= heal.at_ns) first = std::min(first, record.at_ns);
      }
    }
    if (first == UINT64_MAX) continue;  // It had made all its steps before.
    const double seconds = static_cast<double>(first - heal.at_ns) / 1e9;
    recovery_seconds_.push_back(seconds);
    if (seconds * 1000 <= static_cast<double>(kAdvanceLimit.count())) continue;
    Violation("rank " + std::to_string(heal.rank) + " did not advance for " +
              std::to_string(seconds) + " s after the fault had healed");
  }
}

std::vector<const Life*> Cluster::HoldersOf(uint32_t rank) const {
  std::vector<const Life*> holders;
  for (const auto& life : lives_) {
    if (life->rank == rank && life->Find(Event::kGranted) != nullptr) holders.push_back(life.get());
  }
  // Who was stopped as it joined may read only later that it has had the rank; and be fenced then.
  std::ranges::sort(holders, {}, [](const Life* life) {
    const Record& granted = *life->Find(Event::kGranted);
    return std::tuple(granted.step, life->ended == ExitStatus{}, granted.at_ns);
  });
  return holders;
}

// Of the processes that had the rank, one after the other, all but the last were killed or fenced:
// they ended with exit code 3, and nothing that the later ones do was acknowledged to them.
void Cluster::CheckLivesOf(uint32_t rank) {
  for (const auto& life : lives_) {
    const bool had = life->Find(Event::kGranted) != nullptr;
    const bool killed = life->killed || life->ended == ExitStatus{.signal = SIGKILL};
    // One that only joined is fenced where its answer came when another had the rank already.
    const bool may = life->ended == ExitStatus{} || life->ended == ExitStatus{.code = 3};
    if (life->rank != rank || had || killed || may) continue;
    Violation(Name(*life) + " never had the rank, and ended with " + ExitWords(*life->ended));
  }
  const std::vector<const Life*> holders = HoldersOf(rank);
  for (size_t i = 0; i < holders.size(); ++i) {
    const Life& life = *holders[i];
    const bool last = i + 1 == holders.size();
    const bool killed = life.killed || life.ended == ExitStatus{.signal = SIGKILL};
    const ExitStatus wanted{.code = last ? 0 : 3};
    if (!killed && life.ended != wanted) {
      Violation(Name(life) + " ended with " + ExitWords(*life.ended) +
                (last ? " and had the rank" : " and had lost the rank"));
    }
    if (last) continue;
    const uint64_t next = holders[i + 1]->Find(Event::kGranted)->step;
    const uint64_t acked =
        std::max(life.LastStep(Event::kCounted), life.LastStep(Event::kDiscarded));
    if (acked < next) continue;
    Violation(Name(life) + " was told that step " + std::to_string(acked) + " is made; the next " +
              "process began with step " + std::to_string(next));
  }
}

bool Cluster::AwaitEnd() {
  if (plan_.rows > 0) return AwaitElasticEnd();
  const auto finished = [this] {
    for (uint32_t rank = 0; rank < plan_.workers; ++rank) {
      if (!Finished(rank)) return false;
    }
    return true;
  };
  if (!Await("all ranks make all their steps", kEndLimit, finished)) return false;
  const auto ended = [this] {
    return std::ranges::all_of(lives_, [](const auto& life) { return life->ended.has_value(); });
  };
  if (!Await("all workers end", kEndLimit, ended)) return false;
  for (uint32_t rank = 0; rank < plan_.workers; ++rank) CheckLivesOf(rank);
  MeasureRecovery();
  CheckStatus();
  return true;
}

// The job is done when nobody is left, and only who was killed or lost its rank has ended badly.
bool Cluster::AwaitElasticEnd() {
  const auto ended = [this] {
    return std::ranges::all_of(lives_, [](const auto& life) { return life->ended.has_value(); });
  };
  if (!Await("all workers end", kEndLimit, ended)) return false;
  const auto done = [this] {
    const std::optional<JobStatus> is = Status();
    return is && is->state == JobStatus::State::kDone;
  };
  if (!Await("the job is done", kAdvanceLimit, done)) return false;
  for (const auto& life : lives_) {
    if (life->killed || life->ended == ExitStatus{.signal = SIGKILL}) continue;
    if (life->ended == ExitStatus{.code = life->lost ? 3 : 0}) continue;
    Violation(Name(*life) + " ended with " + ExitWords(*life->ended) +
              (life->lost ? " and had lost the rank" : " and nobody had taken its rank"));
  }
  MeasureRecovery();
  CheckStatus();
  return true;
}

uint64_t Cluster::fenced() const {
  return static_cast<uint64_t>(std::ranges::count_if(
      lives_, [](const auto& life) { return life->ended == ExitStatus{.code = 3}; }));
}

}  // namespace shardmill::chaos
