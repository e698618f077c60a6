// All troubles for as long as it is told: a kill each half minute, of a worker, a server or the
// coordinator, and between them a network that loses, doubles and delays, cuts and resets, disks
// that are full, and clocks that jump. Memory and open files of the daemons may not grow.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

constexpr uint64_t kStepsASecond = 12;  // Of each worker, with all that it waits for.
constexpr milliseconds kKillEvery{30'000};
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
    for (size_t i = 0; i < cluster.plan().servers; ++i) LookAt(cluster, cluster.server(i));
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

void KillOne(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  const uint64_t whom = rng.Below(3);
  if (whom == 0) {
    cluster.KillCoordinator();
    LetPass(cluster, milliseconds(rng.Below(500)));
    cluster.RestartCoordinator();
    cluster.AwaitCoordinator();
  } else if (whom == 1) {
    const size_t index = rng.Below(plan.servers);
    cluster.KillServer(index);
    LetPass(cluster, milliseconds(rng.Below(500)));
    cluster.ReplaceServer(index);
  } else {
    const auto rank = static_cast<uint32_t>(rng.Below(plan.workers));
    const auto& lives = cluster.lives();
    const auto life = std::ranges::find_if(
        lives, [rank](const auto& one) { return one->rank == rank && !one->ended; });
    if (life == lives.end() || cluster.Finished(rank)) return;
    cluster.Kill(**life);
    cluster.StartWorker(rank);
  }
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.Healed(rank);
}

void MakeSmallTrouble(Rng& rng, Cluster& cluster) {
  const milliseconds time(rng.Below(1000));
  switch (rng.Below(5)) {
    case 0:
      cluster.faults().SetClock((static_cast<int64_t>(rng.Below(5)) - 2) * kDay);
      return;
    case 1:
      cluster.faults().SetDisk(static_cast<DiskFault>(1 + rng.Below(3)),
                               cluster.folder() + "/kept");
      LetPass(cluster, time);
      cluster.faults().SetDisk(DiskFault::kNone, "");
      return;
    case 2:
      cluster.proxy().Reset([&rng](const Route&) { return rng.Chance(0.5); });
      return;
    default:
      break;
  }
  const Weather usual{.dropped = 0.02 * rng.Uniform(),
                      .doubled = 0.2 * rng.Uniform(),
                      .delayed = 0.2 * rng.Uniform(),
                      .delay_max = milliseconds(1 + rng.Below(20))};
  if (rng.Chance(0.5)) {
    const int cut = cluster.server(rng.Below(cluster.plan().servers)).pid();
    cluster.proxy().Set([=](const Route& route) {
      Weather weather = usual;
      weather.cut = route.From(cut) || route.To(cut);
      return weather;
    });
    LetPass(cluster, time);
  }
  cluster.proxy().Set([usual](const Route&) { return usual; });
}

void Run(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  Watch watch;
  uint64_t kills = 0;
  uint64_t troubles = 0;
  const uint64_t begin_ns = MonotonicNs();
  const auto every_ns = static_cast<uint64_t>(kKillEvery.count()) * 1'000'000;
  uint64_t next_kill_ns = begin_ns - every_ns / 2;
  while (cluster.violations().empty() && !IsOver(cluster, {})) {
    next_kill_ns += every_ns;
    while (cluster.violations().empty() && MonotonicNs() < next_kill_ns && !IsOver(cluster, {})) {
      LetPass(cluster, kSmallEvery / 2 + milliseconds(rng.Below(kSmallEvery.count())));
      MakeSmallTrouble(rng, cluster);
      ++troubles;
      watch.Look(cluster);
    }
    if (IsOver(cluster, {})) break;
    KillOne(rng, cluster);
    ++kills;
  }
  cluster.proxy().Set([](const Route&) { return Weather{}; });
  const MessageProxy::Counts counts = cluster.proxy().counts();
  const std::optional<JobStatus> status = cluster.Status();
  uint64_t steps = 0;
  for (uint32_t rank = 0; rank < plan.workers; ++rank) steps += cluster.Acked(rank);
  std::fprintf(
      stderr,
      "soak: %.1f minutes, %llu kills, %llu other troubles; %llu steps, %llu times back to a "
      "snapshot; %llu messages, %llu lost, %llu doubled, %llu late, %llu connections reset; grown "
      "by at most %llu "
      "KiB and %llu files\n",
      static_cast<double>(MonotonicNs() - begin_ns) / 60e9, static_cast<unsigned long long>(kills),
      static_cast<unsigned long long>(troubles), static_cast<unsigned long long>(steps),
      static_cast<unsigned long long>(status ? status->rollbacks : 0),
      static_cast<unsigned long long>(counts.passed),
      static_cast<unsigned long long>(counts.dropped),
      static_cast<unsigned long long>(counts.doubled),
      static_cast<unsigned long long>(counts.delayed),
      static_cast<unsigned long long>(counts.reset),
      static_cast<unsigned long long>(watch.most().memory_kib),
      static_cast<unsigned long long>(watch.most().files));
}

void Shape(Rng& rng, ClusterPlan& plan) {
  plan.servers = 2;
  plan.replicas = 1;
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
