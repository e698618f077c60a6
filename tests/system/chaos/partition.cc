// A network that is not whole: some processes are cut off from all others, both ways or one way
// only, a fifth of all messages is lost, or connections end, while messages are doubled, late and
// out of order. In some trials another process takes the rank of a worker that is cut off. And a
// network that is cut between two servers alone, so that the coordinator hears of both: the shards
// of either must give up the replica that they do not reach.
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

void MakeTrouble(Rng& rng, Cluster& cluster, const Weather& usual) {
  const auto trouble = static_cast<Trouble>(rng.Below(static_cast<uint64_t>(Trouble::kCount)));
  const milliseconds time = DrawTime(rng, cluster.plan());
  MessageProxy& proxy = cluster.proxy();
  if (trouble == Trouble::kLoss) {
    Weather loss = usual;
    loss.dropped = kLoss;
    proxy.Set([loss](const Route&) { return loss; });
    LetPass(cluster, time);
  } else if (trouble == Trouble::kResets) {
    for (uint64_t times = 1 + rng.Below(5); times > 0; --times) {
      const double part = rng.Uniform();
      proxy.Reset([&](const Route&) { return rng.Chance(part); });
      LetPass(cluster, time / 5);
    }
  } else {
    const Island island = DrawIsland(rng, cluster);
    const bool hears = trouble == Trouble::kOneWay && rng.Chance(0.5);
    const bool speaks = trouble == Trouble::kOneWay && !hears;
    proxy.Set([=](const Route& route) {
      Weather weather = usual;
      weather.cut = (route.From(island.process) && !speaks) || (route.To(island.process) && !hears);
      return weather;
    });
    LetBeApart(rng, cluster, island, time);
  }
  proxy.Set([usual](const Route&) { return usual; });
}

void Run(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  const Weather usual = DrawUsual(rng);
  cluster.proxy().Set([usual](const Route&) { return usual; });
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  for (uint64_t times = 1 + rng.Below(3); times > 0; --times) {
    const auto rank = static_cast<uint32_t>(rng.Below(plan.workers));
    cluster.AwaitStep(rank, rng.Below(plan.steps * 3 / 4));
    MakeTrouble(rng, cluster, usual);
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
const Scenario kSplit{"split", ShapeSplit, RunSplit};

}  // namespace shardmill::chaos
