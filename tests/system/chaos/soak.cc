// All troubles for as long as it is told: a kill each half minute, of a worker, a server or the
// coordinator, and between them a network that loses, doubles and delays, cuts and resets, disks
// that take nothing, processes that stand still, clocks that jump, and shards that move. Where the
// seed is odd each shard has a replica, else a log. Memory and open files of the daemons may not
// grow.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

constexpr uint64_t kStepsASecond = 12;  // Of each worker, with all that it waits for.
constexpr uint64_t kKillEveryNs = 30'000'000'000;
constexpr milliseconds kSmallEvery{3'000};
constexpr uint64_t kWarmNs = 20'000'000'000;  // Before that a process may still grow.
constexpr uint64_t kGrowthKiBMax = 16 << 10;
constexpr uint64_t kFilesMax = 64;  // More than at first.
constexpr int64_t kDay = 86'400;

struct Use {
  uint64_t memory_kib = 0;
  uint64_t files = 0;
};

Use UseOf(int process) {
  const std::string folder = "/proc/" + std::to_string(process);
  std::ifstream status(folder + "/status");
  Use use;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) use.memory_kib = std::stoull(line.substr(6));
  }
  std::error_code gone;
  for (std::filesystem::directory_iterator at(folder + "/fd", gone), end; !gone && at != end;
       at.increment(gone)) {
    ++use.files;
  }
  return use;
}

// What each daemon takes of the machine, against what it took when it was warm.
class Watch final {
 public:
  void Look(Cluster& cluster) {
    LookAt(cluster, cluster.coordinator());
    for (size_t i = 0; i < cluster.servers(); ++i) LookAt(cluster, cluster.server(i));
  }
  Use most() const { return most_; }  // Grown.

 private:
  struct Seen {
    uint64_t since_ns = 0;
    std::optional<Use> warm = {};
  };

  void LookAt(Cluster& cluster, Child& child) {
    if (child.Poll()) return;
    Seen& seen = seen_[child.pid()];
    if (seen.since_ns == 0) seen.since_ns = MonotonicNs();
    if (MonotonicNs() < seen.since_ns + kWarmNs) return;
    const Use now = UseOf(child.pid());
    if (!seen.warm) seen.warm = now;
    const Use grown{now.memory_kib - std::min(now.memory_kib, seen.warm->memory_kib),
                    now.files - std::min(now.files, seen.warm->files)};
    most_ = {std::max(most_.memory_kib, grown.memory_kib), std::max(most_.files, grown.files)};
    if (grown.memory_kib <= kGrowthKiBMax && grown.files <= kFilesMax) return;
    cluster.Violation(child.name() + " has grown by " + std::to_string(grown.memory_kib) +
                      " KiB and " + std::to_string(grown.files) + " files");
  }

  std::map<int, Seen> seen_;
  Use most_;
};

// Makes the troubles, and counts them. Lives for a trial, on its thread.
class Soak final {
 public:
  Soak(Rng& rng, Cluster& cluster) : rng_(rng), cluster_(cluster) {}

  void Run() {
    for (uint32_t rank = 0; rank < plan_.workers; ++rank) cluster_.StartWorker(rank);
    uint64_t next_kill_ns = begin_ns_ + kKillEveryNs / 2;
    while (GoesOn()) {
      LetPass(cluster_, kSmallEvery / 2 + milliseconds(rng_.Below(kSmallEvery.count())));
      if (MonotonicNs() < next_kill_ns) {
        MakeSmallTrouble();
      } else if (GoesOn()) {
        KillOne();
        next_kill_ns += kKillEveryNs;
      }
      watch_.Look(cluster_);
    }
    cluster_.proxy().Set([](const Route&) { return Weather{}; });
    Say();
  }

 private:
  bool GoesOn() const { return cluster_.violations().empty() && !IsOver(cluster_, {}); }

  void HealAll() {
    for (uint32_t rank = 0; rank < plan_.workers; ++rank) cluster_.Healed(rank);
  }

  size_t SomeServer() { return rng_.Below(plan_.servers + (third_ ? 1 : 0)); }
  DiskFault SomeFault() { return static_cast<DiskFault>(1 + rng_.Below(3)); }
  // Null where it has none just now.
  Life* LifeOf(uint32_t rank) {
    const auto life = std::ranges::find_if(
        cluster_.lives(), [rank](const auto& one) { return one->rank == rank && !one->ended; });
    return life == cluster_.lives().end() || cluster_.Finished(rank) ? nullptr : life->get();
  }

  void KillOne() {
    const uint64_t whom = rng_.Below(3);
    if (whom == 0) {
      cluster_.KillCoordinator();
      LetPass(cluster_, milliseconds(rng_.Below(500)));
      cluster_.RestartCoordinator();
      cluster_.AwaitCoordinator();
    } else if (whom == 1) {
      const size_t index = SomeServer();
      cluster_.KillServer(index);
      LetPass(cluster_, milliseconds(rng_.Below(500)));
      cluster_.ReplaceServer(index);
    } else {
      const auto rank = static_cast<uint32_t>(rng_.Below(plan_.workers));
      Life* const life = LifeOf(rank);
      if (life == nullptr) return;
      cluster_.Kill(*life);
      cluster_.StartWorker(rank);
    }
    ++done_["kills"];
    HealAll();
  }

  void MakeSmallTrouble() {
    switch (rng_.Below(8)) {
      case 0:
        ++done_["jumps of the clock"];
        return cluster_.faults().SetClock((static_cast<int64_t>(rng_.Below(5)) - 2) * kDay);
      case 1:
        ++done_["faults of the disk under snapshots"];
        cluster_.faults().SetDisk(SomeFault(), cluster_.folder() + "/kept");
        LetPass(cluster_, milliseconds(rng_.Below(1000)));
        return cluster_.faults().MendDisks();
      case 2:
        return LoseCoordinatorsDisk();
      case 3:
        ++done_["resets"];
        return cluster_.proxy().Reset([this](const Route&) { return rng_.Chance(0.5); });
      case 4:
        return StopOne();
      case 5:
        return plan_.logs ? LoseLogs() : Move();
      default:
        return ChangeWeather();
    }
  }

  void LoseCoordinatorsDisk() {
    const auto rank = static_cast<uint32_t>(rng_.Below(plan_.workers));
    // Who is about to end needs no next process.
    if (LifeOf(rank) == nullptr || cluster_.Acked(rank) + 10 * kStepsASecond > plan_.steps) return;
    ++done_["faults of the disk under the coordinator"];
    LoseCoordinatorLog(rng_, cluster_, SomeFault(), rank);
  }

  // On a calm day: what was logged before is acknowledged at once.
  void LoseLogs() {
    ++done_["faults of the disk under logs"];
    cluster_.proxy().Set([](const Route&) { return Weather{}; });
    LoseShardLogs(rng_, cluster_, SomeFault());
  }

  void StopOne() {
    const uint64_t whom = rng_.Below(3);
    Life* const life = LifeOf(static_cast<uint32_t>(rng_.Below(plan_.workers)));
    if (whom == 2 && life == nullptr) return;
    Child& child = whom == 0   ? cluster_.coordinator()
                   : whom == 1 ? cluster_.server(SomeServer())
                               : *life->child;
    ++done_["stops"];
    cluster_.Stop(child);
    LetPass(cluster_, milliseconds(rng_.Below(static_cast<uint64_t>(2 * plan_.lease.count()))));
    cluster_.Continue(child);
    HealAll();
  }

  // To a server that comes and goes.
  void Move() {
    ++done_["moves"];
    const size_t index = plan_.servers;
    if (third_) {
      DrainServer(rng_, cluster_, index);
      cluster_.StopServer(index);
    } else {
      if (cluster_.servers() == index) {
        cluster_.AddServer();
      } else {
        cluster_.ReplaceServer(index);
      }
      MoveShards(rng_, cluster_, {});
    }
    third_ = !third_;
    HealAll();
  }

  void ChangeWeather() {
    const Weather usual{.dropped = 0.02 * rng_.Uniform(),
                        .doubled = 0.2 * rng_.Uniform(),
                        .delayed = 0.2 * rng_.Uniform(),
                        .delay_max = milliseconds(1 + rng_.Below(20))};
    if (rng_.Chance(0.5)) {
      ++done_["cuts"];
      const int cut = cluster_.server(SomeServer()).pid();
      cluster_.proxy().Set([=](const Route& route) {
        Weather weather = usual;
        weather.cut = route.From(cut) || route.To(cut);
        return weather;
      });
      LetPass(cluster_, milliseconds(rng_.Below(1000)));
    }
    cluster_.proxy().Set([usual](const Route&) { return usual; });
  }

  void Say() {
    const MessageProxy::Counts counts = cluster_.proxy().counts();
    done_["steps"] = AckedByAll(cluster_);
    done_["messages"] = counts.passed;
    done_["messages lost"] = counts.dropped;
    done_["messages doubled"] = counts.doubled;
    done_["messages late"] = counts.delayed;
    done_["connections reset"] = counts.reset;
    const std::optional<JobStatus> status = cluster_.Status();
    if (status) done_["times back to a snapshot"] = status->rollbacks;
    std::string words;
    for (const auto& [what, times] : done_) words += std::to_string(times) + " " + what + ", ";
    std::fprintf(stderr, "soak: %.1f minutes: %sgrown by at most %llu KiB and %llu files\n",
                 static_cast<double>(MonotonicNs() - begin_ns_) / 60e9, words.c_str(),
                 static_cast<unsigned long long>(watch_.most().memory_kib),
                 static_cast<unsigned long long>(watch_.most().files));
  }

  Rng& rng_;
  Cluster& cluster_;
  const ClusterPlan& plan_ = cluster_.plan();
  const uint64_t begin_ns_ = MonotonicNs();
  bool third_ = false;  // There is one server more.
  std::map<std::string, uint64_t> done_;
  Watch watch_;
};

void Run(Rng& rng, Cluster& cluster) { Soak(rng, cluster).Run(); }

void Shape(Rng& rng, ClusterPlan& plan) {
  plan.servers = 2;
  plan.logs = plan.seed % 2 == 0;
  plan.replicas = plan.logs ? 0 : 1;
  plan.proxied = true;
  plan.faulty = true;
  plan.shared_memory = false;
  plan.keeps_state = true;
  plan.lease = milliseconds(1000);
  plan.snapshot_every = milliseconds(200 + rng.Below(800));
  plan.steps = plan.minutes * 60 * kStepsASecond;
  plan.think_us = 80'000;
}

}  // namespace

const Scenario kSoak{"soak", Shape, Run};

}  // namespace shardmill::chaos
