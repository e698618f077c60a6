#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/process/announce.h"
#include "common/process/child.h"
#include "common/status/job_status.h"
#include "tests/sanitized.h"
#include "tests/system/chaos/probe.h"
#include "tests/system/faults/fault_orders.h"
#include "tests/system/faults/hosts.h"
#include "tests/system/faults/message_proxy.h"

namespace shardmill::chaos {

using std::chrono::milliseconds;

// What the cluster of a trial is. Drawn by its seed; a scenario changes what it needs to.
struct ClusterPlan {
  uint64_t seed = 1;
  uint32_t servers = 1;
  uint32_t shards_per_server = 1;
  uint32_t workers = 2;
  uint32_t workers_max = 2;  // Where they come and go.
  uint64_t rows = 0;    // Of a data set that workers lease, who may come and go. 0: they may not.
  uint64_t epochs = 1;  // That each row is used in.
  uint64_t chunk = 16;  // Rows that are leased at once.
  uint64_t steps = 80;  // Of each worker, where its data is not leased.
  std::string mode = "sync";
  uint64_t staleness = 0;
  uint32_t backups = 0;
  bool shared_memory = true;
  milliseconds lease{300};
  milliseconds retry{50};
  uint64_t think_us = 4000;
  uint64_t minutes = 1;            // Of a soak.
  uint64_t shard_mib = 0;          // As in WorkerPlan.
  uint64_t table_step = 0;         // As in WorkerPlan.
  uint32_t replicas = 0;           // Of each shard,
  uint32_t min_in_sync = 1;        // of which so many have what is acknowledged.
  bool logs = false;               // Each shard keeps a log.
  milliseconds snapshot_every{0};  // 0: it keeps none.
  bool keeps_state = false;        // The coordinator has a folder to go on from.
  bool keyed = false;              // The job has keys, and each rank one of its own.
  bool proxied = false;            // All messages go through a proxy.
  bool apart = false;              // Each process is on a host of its own.
  bool faulty = false;             // Disk and clock of the daemons do as the scenario orders.
  bool noted = false;              // What of their files is on disk is noted for a power cut.
  Plant plant = Plant::kNone;

  uint32_t shards() const { return servers * shards_per_server; }
  std::string Words() const;
};
ClusterPlan DrawCluster(uint64_t seed);

// One process of a rank, and what it has written down so far. Owned by its Cluster, one thread.
struct Life {
  uint32_t rank = 0;
  uint32_t number = 0;  // Of all processes of the trial, counted from 1.
  std::string journal = {};
  std::unique_ptr<Child> child = {};
  bool killed = false;   // By the scenario.
  bool leaving = false;  // It was asked to leave.
  bool lost = false;     // Another may have its rank, while it stood still.
  std::optional<ExitStatus> ended = {};
  JournalReader reader{""};
  std::vector<Record> records = {};

  // It is not asked to leave, and its rank is its own.
  bool Stays() const { return !ended && !leaving && !lost; }
  // The first record of the kind, or null.
  const Record* Find(Event event) const;
  uint64_t LastStep(Event event) const;
};

// A cluster of real processes: a coordinator, servers, and workers that write down what they know.
// A scenario disturbs it with the calls below, and says what is not as it should be. Owned by a
// trial, on its thread; all processes end with it.
class Cluster final {
 public:
  // `programs`: the folder of this build's programs. What each process writes goes to `folder`.
  static Result<std::unique_ptr<Cluster>> Start(const ClusterPlan& plan, std::string programs,
                                                std::string folder);

  const ClusterPlan& plan() const { return plan_; }
  Child& coordinator() { return *coordinator_; }
  MessageProxy& proxy() { return *proxy_; }  // Of a plan that is proxied.
  FaultDesk& faults() { return *faults_; }   // Of a plan that is faulty.
  // Of a plan whose processes are apart: the host of one, what becomes of frames, and the end of
  // all connections of one. The host of a process that was killed can be removed.
  size_t HostOf(int process) const { return host_of_.at(process); }
  void Lose(const std::vector<Hosts::Loss>& losses);
  void Reset(size_t host);
  void Remove(size_t host);
  Child& server(size_t index) { return *servers_[index]; }
  const std::string& address() const { return address_; }  // By which the coordinator is found.
  // Where the coordinator, then each server, shows its counters.
  std::vector<std::string> Pages() const;
  std::string Keys() const { return folder_ + "/keys"; }
  const std::string& folder() const { return folder_; }
  const std::vector<std::unique_ptr<Life>>& lives() const { return lives_; }

  // The processes that had the rank, in the order in which they had it.
  std::vector<const Life*> HoldersOf(uint32_t rank) const;

  // Starts a process for a rank.
  Life& StartWorker(uint32_t rank, const Aim& aim = {});
  // For any rank that is free; Life::rank is known when it is granted.
  Life& StartAnyWorker(const Aim& aim = {});

  // Looks at what there is until it is true; false, and a violation that says what was awaited,
  // where it does not become so in time, or where a process has ended that should not.
  bool Await(const std::string& what, milliseconds limit, const std::function<bool()>& is_true);
  void Pass(milliseconds time);  // Lets the cluster run.

  // Waits until a step of the rank, or one after it, was acknowledged, or it needs none any more.
  bool AwaitStep(uint32_t rank, uint64_t step);

  // Of all lives of a rank: the last step that was acknowledged, and whether it has come to its
  // end.
  uint64_t Acked(uint32_t rank) const;
  bool Finished(uint32_t rank) const;

  void Kill(Life& life);
  // The coordinator's end, and its next process on the same folder and address. Until that was
  // awaited nothing is asked of it.
  void KillCoordinator();
  void RestartCoordinator();
  bool AwaitCoordinator();
  // For a coordinator that must end by itself; nothing, and a violation, where it does not.
  std::optional<ExitStatus> AwaitCoordinatorEnd();
  // A server's end, and another process in its place, which may be at another address. Returns the
  // one before it.
  void KillServer(size_t index);
  void StopServer(size_t index);  // By SIGTERM, on which it must end well.
  std::unique_ptr<Child> ReplaceServer(size_t index);
  // One more than there ever were. Returns its index.
  size_t AddServer();
  size_t servers() const { return servers_.size(); }
  // Begins `shardmill rebalance`, which takes all shards from `drained`.
  Result<std::unique_ptr<Child>> Rebalance(const std::vector<size_t>& drained);
  // As the coordinator tells it; nothing where it does not.
  std::optional<JobStatus> Status() const;
  // SIGSTOP, and waits until the process stands still.
  void Stop(Child& child);
  // Waits until a worker stands still by itself, or has ended before it came to that.
  void AwaitStop(const Life& life);
  // SIGCONT, to a process that has not ended.
  void Continue(Child& child);

  // From now on it is awaited that this rank gets on: the time until it does is a recovery.
  void Healed(uint32_t rank);
  // The same, for any rank at all.
  void HealedForAny() { Healed(kAnyRank); }
  static constexpr uint32_t kAnyRank = UINT32_MAX;

  void Recovered(double seconds);  // From a mending that the scenario itself has timed.

  void Fail(std::string words);  // A violation that ends the trial.
  void Violation(std::string words) { violations_.push_back(std::move(words)); }
  const std::vector<std::string>& violations() const { return violations_; }

  // Waits until all ranks have come to their end, then checks that all processes ended as they
  // should, and how long ranks took to get on. True where there are values to check.
  bool AwaitEnd();
  const std::vector<double>& recovery_seconds() const { return recovery_seconds_; }
  // Processes that lost their rank, and said so with their exit code.
  uint64_t fenced() const;

 private:
  struct Heal {
    uint32_t rank = 0;
    uint64_t at_ns = 0;
  };

  Cluster(const ClusterPlan& plan, std::string programs, std::string folder)
      : plan_(plan), programs_(std::move(programs)), folder_(std::move(folder)) {}

  using Host = std::optional<size_t>;  // None where processes are not apart.
  Result<Host> AddHost();
  Result<std::unique_ptr<Child>> SpawnOn(Host host, ChildOptions options);
  Result<> SpawnDaemon(Host host, const std::string& name, const std::string& program,
                       std::vector<std::string> arguments, std::unique_ptr<Child>* child);
  Result<> WriteJob();
  Result<> MakeKeys();
  Result<> FindCoordinator();
  Result<> StartCoordinator(const std::string& listen);
  Result<> StartServer(size_t index);
  void Look();
  void LookAt(Life& life);
  bool AwaitElasticEnd();
  void CheckLivesOf(uint32_t rank);
  void CheckStatus();
  void MeasureRecovery();

  ClusterPlan plan_;
  std::string programs_;
  std::string folder_;
  std::string job_;
  std::unique_ptr<MessageProxy> proxy_;  // None where nothing is between.
  std::unique_ptr<FaultDesk> faults_;    // The same.
  std::unique_ptr<Hosts> hosts_;         // The same.
  std::map<pid_t, size_t> host_of_;
  Host coordinator_host_;  // Of all its processes.
  std::string listens_;    // Where the coordinator does, behind the proxy if there is one.
  std::string address_;
  std::string http_;                      // Of the coordinator's process.
  std::vector<std::string> server_http_;  // By index.
  uint32_t coordinators_ = 0;             // Processes so far.
  bool coordinator_away_ = false;
  std::unique_ptr<Child> coordinator_;
  uint32_t server_starts_ = 0;
  uint32_t rebalances_ = 0;
  std::vector<std::unique_ptr<Child>> servers_;
  std::vector<bool> server_away_;  // By index: it was killed, or another is in its place.
  std::vector<std::unique_ptr<Life>> lives_;
  std::vector<Heal> heals_;
  std::vector<double> recovery_seconds_;
  std::vector<std::string> violations_;
  bool failed_ = false;  // The trial cannot go on.
};

// Where a daemon that was just started can be reached, by its own words.
Result<Announcement> WhereIs(const Child& daemon);

// After a fault has healed all members advance within this: promise D12.
inline constexpr milliseconds kAdvanceLimit{kSanitized ? 40'000 : 10'000};
// How long trouble may last that a trial waits for.
inline constexpr milliseconds kTroubleLimit{90'000};

}  // namespace shardmill::chaos
