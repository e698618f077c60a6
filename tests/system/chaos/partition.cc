// A network that is not whole: some processes are cut off from all others, both ways or one way
// only, a fifth of what is sent is lost, or connections end. In some trials another process takes
// the rank of a worker that is cut off. Once through a proxy, where whole messages are lost, and
// others doubled, late and out of order; and once between hosts, where frames are, the system's own
// TCP is in between, and a host may lose its power, so that nobody is told that its process has
// ended. And a network that is cut between two servers alone, so that the coordinator hears of
// both: the shards of either must give up the replica that they do not reach.
#include <algorithm>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

enum class Trouble : uint8_t { kApart, kOneWay, kLoss, kResets, kCount };
enum class Whom : uint8_t { kServer, kCoordinator, kWorker, kAnotherWorker, kCount };

constexpr double kLoss = 0.2;

// Who is cut off.
struct Island {
  int process = 0;
  Life* worker = nullptr;  // If it is one.
};

// What the weather is without trouble: none, or much of what a network may do.
Weather DrawUsual(Rng& rng) {
  if (rng.Chance(0.4)) return {};
  return {.dropped = rng.Chance(0.5) ? 0 : 0.05 * rng.Uniform(),
          .doubled = 0.5 * rng.Uniform(),
          .delayed = 0.5 * rng.Uniform(),
          .delay_max = milliseconds(1 + rng.Below(40))};
}

Island DrawIsland(Rng& rng, Cluster& cluster) {
  const auto whom = static_cast<Whom>(rng.Below(static_cast<uint64_t>(Whom::kCount)));
  if (whom == Whom::kCoordinator) return {cluster.coordinator().pid()};
  if (whom == Whom::kServer) {
    return {cluster.server(rng.Below(cluster.plan().servers)).pid()};
  }
  Life& life = *cluster.lives()[rng.Below(cluster.lives().size())];
  return {life.child->pid(), life.ended ? nullptr : &life};
}

milliseconds DrawTime(Rng& rng, const ClusterPlan& plan) {
  const auto lease = static_cast<uint64_t>(plan.lease.count());
  return milliseconds(rng.Chance(0.4) ? 20 + rng.Below(lease) : lease + rng.Below(4 * lease));
}

// Lets the time pass; where a worker cannot keep its rank, another may come for it.
void LetBeApart(Rng& rng, Cluster& cluster, const Island& island, milliseconds time) {
  const bool beyond = time > 2 * cluster.plan().lease;
  if (island.worker != nullptr && beyond && rng.Chance(0.5)) {
    const uint32_t rank = island.worker->rank;
    const std::vector<const Life*> holders = cluster.HoldersOf(rank);
    const bool holds = !holders.empty() && holders.back() == island.worker;
    if (holds && !cluster.Finished(rank)) cluster.StartWorker(rank);
  }
  LetPass(cluster, time);
}

// Of a trial: a proxy between all processes, or hosts.
class Net final {
 public:
  Net(Cluster& cluster, const Weather& usual) : cluster_(cluster), usual_(usual) { Mend(); }

  void Mend() {
    if (cluster_.plan().apart) return cluster_.Lose({});
    cluster_.proxy().Set([usual = usual_](const Route&) { return usual; });
  }

  void LoseSome() {
    if (cluster_.plan().apart) return cluster_.Lose({{.part = kLoss}});
    Weather loss = usual_;
    loss.dropped = kLoss;
    cluster_.proxy().Set([loss](const Route&) { return loss; });
  }

  void ResetSome(Rng& rng) {
    const double part = rng.Uniform();
    if (!cluster_.plan().apart) {
      return cluster_.proxy().Reset([&](const Route&) { return rng.Chance(part); });
    }
    if (rng.Chance(part)) cluster_.Reset(cluster_.HostOf(DrawIsland(rng, cluster_).process));
  }

  void Cut(int process, bool hears, bool speaks) {
    if (cluster_.plan().apart) {
      const size_t host = cluster_.HostOf(process);
      std::vector<Hosts::Loss> losses;
      if (!hears) losses.push_back({.to = host});
      if (!speaks) losses.push_back({.from = host});
      return cluster_.Lose(losses);
    }
    cluster_.proxy().Set([=, usual = usual_](const Route& route) {
      Weather weather = usual;
      weather.cut = (route.From(process) && !speaks) || (route.To(process) && !hears);
      return weather;
    });
  }

 private:
  Cluster& cluster_;
  Weather usual_;
};

void MakeTrouble(Rng& rng, Cluster& cluster, Net& net) {
  const auto trouble = static_cast<Trouble>(rng.Below(static_cast<uint64_t>(Trouble::kCount)));
  const milliseconds time = DrawTime(rng, cluster.plan());
  if (trouble == Trouble::kLoss) {
    net.LoseSome();
    LetPass(cluster, time);
  } else if (trouble == Trouble::kResets) {
    for (uint64_t times = 1 + rng.Below(5); times > 0; --times) {
      net.ResetSome(rng);
      LetPass(cluster, time / 5);
    }
  } else {
    const Island island = DrawIsland(rng, cluster);
    const bool hears = trouble == Trouble::kOneWay && rng.Chance(0.5);
    const bool speaks = trouble == Trouble::kOneWay && !hears;
    net.Cut(island.process, hears, speaks);
    LetBeApart(rng, cluster, island, time);
  }
  net.Mend();
}

// The host of a server has no power any more, and another comes.
void SwitchOffServer(Rng& rng, Cluster& cluster, Net& net) {
  const ClusterPlan& plan = cluster.plan();
  AwaitCopies(cluster);
  if (IsOver(cluster, cluster.Status())) return;
  const uint64_t index = rng.Below(plan.servers);
  const int process = cluster.server(index).pid();
  const auto lease_ns = static_cast<uint64_t>(std::chrono::nanoseconds(plan.lease).count());
  const uint64_t missed_ns = MonotonicNs() + lease_ns;
  net.Cut(process, false, false);
  cluster.KillServer(index);
  cluster.Remove(cluster.HostOf(process));
  const bool goes_on = plan.min_in_sync < plan.replicas;
  if (goes_on) AwaitNextAcks(cluster, missed_ns, plan.lease + kAdvanceLimit, true);
  const uint64_t back_ns = MonotonicNs();
  cluster.ReplaceServer(index);
  if (!goes_on) AwaitNextAcks(cluster, back_ns, kAdvanceLimit, false);
}

void SwitchOffWorker(Rng& rng, Cluster& cluster, Net& net) {
  const auto rank = static_cast<uint32_t>(rng.Below(cluster.plan().workers));
  if (cluster.Finished(rank)) return;
  for (const auto& life : cluster.lives()) {
    if (life->rank != rank || life->ended) continue;
    const int process = life->child->pid();
    net.Cut(process, false, false);
    cluster.Kill(*life);
    cluster.Remove(cluster.HostOf(process));
  }
  cluster.StartWorker(rank);
}

// Its host has power again, and the same address.
void SwitchOffCoordinator(Rng& rng, Cluster& cluster, Net& net) {
  net.Cut(cluster.coordinator().pid(), false, false);
  cluster.KillCoordinator();
  LetPass(cluster, DrawTime(rng, cluster.plan()));
  net.Mend();
  cluster.RestartCoordinator();
  cluster.AwaitCoordinator();
}

void SwitchOff(Rng& rng, Cluster& cluster, Net& net) {
  const auto whom = static_cast<Whom>(rng.Below(static_cast<uint64_t>(Whom::kCount)));
  if (whom == Whom::kCoordinator) {
    SwitchOffCoordinator(rng, cluster, net);
  } else if (whom == Whom::kServer && cluster.plan().replicas > 0) {
    SwitchOffServer(rng, cluster, net);
  } else {
    SwitchOffWorker(rng, cluster, net);
  }
  net.Mend();
}

void Run(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  Net net(cluster, plan.apart ? Weather{} : DrawUsual(rng));
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  for (uint64_t times = 1 + rng.Below(3); times > 0; --times) {
    const auto rank = static_cast<uint32_t>(rng.Below(plan.workers));
    cluster.AwaitStep(rank, rng.Below(plan.steps * 3 / 4));
    if (plan.apart && rng.Chance(0.4)) {
      SwitchOff(rng, cluster, net);
    } else {
      MakeTrouble(rng, cluster, net);
    }
    for (uint32_t one = 0; one < plan.workers; ++one) cluster.Healed(one);
  }
}

void Shape(Rng& rng, ClusterPlan& plan) {
  plan.proxied = true;
  plan.shared_memory = false;  // Nothing is between those who share it.
  plan.steps += 40;
  plan.think_us = 2000 + rng.Below(6000);
  if (rng.Chance(0.5)) return;
  plan.replicas = 1;
  plan.servers = static_cast<uint32_t>(2 + rng.Below(2));
}

void ShapeHosts(Rng& rng, ClusterPlan& plan) {
  Shape(rng, plan);
  plan.proxied = false;
  plan.apart = true;
  plan.keeps_state = true;
}

void RunSplit(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  for (uint64_t times = 1 + rng.Below(2); times > 0; --times) {
    AwaitMoment(rng, cluster, false);
    if (IsOver(cluster, cluster.Status())) return;
    const uint64_t first = rng.Below(plan.servers);
    const uint64_t second = (first + 1 + rng.Below(plan.servers - 1)) % plan.servers;
    const int one = cluster.server(first).pid();
    const int other = cluster.server(second).pid();
    cluster.proxy().Set([=](const Route& route) {
      Weather weather;
      weather.cut = (route.From(one) && route.To(other)) || (route.From(other) && route.To(one));
      return weather;
    });
    AwaitNextAcks(cluster, MonotonicNs(), kAdvanceLimit, true);
    cluster.proxy().Set([](const Route&) { return Weather{}; });
    for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.Healed(rank);
  }
}

void ShapeSplit(Rng& rng, ClusterPlan& plan) {
  Shape(rng, plan);
  plan.replicas = 2;
  plan.min_in_sync = 1;
  plan.servers = static_cast<uint32_t>(3 + rng.Below(2));
}

}  // namespace

const Scenario kPartition{"partition", Shape, Run};
const Scenario kHosts{"hosts", ShapeHosts, Run, nullptr, true};
const Scenario kSplit{"split", ShapeSplit, RunSplit};

}  // namespace shardmill::chaos
