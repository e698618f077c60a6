// Shards that go from server to server while workers train: servers come, `shardmill rebalance`
// gives them their share or takes all from one, others are told to stop and hand over what nobody
// else has. Meanwhile the coordinator is killed and started again now and then, or the server to
// which shards are on their way.
#include <algorithm>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

void RestartCoordinator(Rng& rng, Cluster& cluster) {
  cluster.KillCoordinator();
  LetPass(cluster, milliseconds(rng.Below(300)));
  cluster.RestartCoordinator();
  cluster.AwaitCoordinator();
}

bool Holds(const JobStatus& status, size_t server) {
  return std::ranges::any_of(status.shards,
                             [server](const auto& shard) { return shard.host == server; });
}

std::optional<ExitStatus> AwaitEnd(Cluster& cluster, Child& child) {
  std::optional<ExitStatus> status;
  cluster.Await(child.name() + " ends", kTroubleLimit, [&] {
    status = child.Poll();
    return status.has_value();
  });
  return status;
}

}  // namespace

void MoveShards(Rng& rng, Cluster& cluster, const std::vector<size_t>& drained) {
  Result<std::unique_ptr<Child>> command = cluster.Rebalance(drained);
  if (!command.ok()) return cluster.Fail(command.error().message);
  Child& child = *command.value();
  if (rng.Chance(0.3)) {
    LetPass(cluster, milliseconds(rng.Below(600)));
    RestartCoordinator(rng, cluster);
  }
  const std::optional<ExitStatus> status = AwaitEnd(cluster, child);
  if (!status || status->ok() || IsOver(cluster, cluster.Status())) return;
  cluster.Fail(child.name() + " ended with " + ExitWords(*status));
}

void DrainServer(Rng& rng, Cluster& cluster, size_t index) {
  MoveShards(rng, cluster, {index});
  LetPass(cluster, milliseconds(400));  // The coordinator's page is some tenths of a second old.
  const std::optional<JobStatus> status = cluster.Status();
  if (!status || IsOver(cluster, status) || !Holds(*status, index)) return;
  cluster.Violation("server " + std::to_string(index) + " was drained and has a shard");
}

namespace {

// Of the servers that are there.
size_t Choose(Rng& rng, const std::vector<size_t>& servers) {
  return servers[rng.Below(servers.size())];
}

// The one that is drained has nothing any more, and may go; or stays, for the shards to come back.
void Drain(Rng& rng, Cluster& cluster, std::vector<size_t>& servers) {
  const size_t index = Choose(rng, servers);
  DrainServer(rng, cluster, index);
  if (rng.Chance(0.5) || IsOver(cluster, cluster.Status())) return;
  cluster.StopServer(index);
  std::erase(servers, index);
}

// It hands over by itself what it has.
void Stop(Rng& rng, Cluster& cluster, std::vector<size_t>& servers) {
  const size_t index = Choose(rng, servers);
  const uint64_t from_ns = MonotonicNs();
  cluster.StopServer(index);
  std::erase(servers, index);
  AwaitNextAcks(cluster, from_ns, kAdvanceLimit, false);
}

// Shards go to a server that dies on the way: they stay where they are.
void LoseTarget(Rng& rng, Cluster& cluster, std::vector<size_t>& servers) {
  const size_t index = cluster.AddServer();
  Result<std::unique_ptr<Child>> command = cluster.Rebalance({});
  if (!command.ok()) return cluster.Fail(command.error().message);
  LetPass(cluster, milliseconds(rng.Below(500)));
  cluster.KillServer(index);
  LetPass(cluster, milliseconds(rng.Below(500)));
  cluster.ReplaceServer(index);
  servers.push_back(index);
  AwaitEnd(cluster, *command.value());
}

void Run(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  std::vector<size_t> servers;
  for (size_t i = 0; i < plan.servers; ++i) servers.push_back(i);
  const uint64_t turns = 2 + rng.Below(4);
  for (uint64_t i = 0; i < turns; ++i) {
    AwaitMoment(rng, cluster, false);
    if (IsOver(cluster, cluster.Status())) return;
    const uint64_t from_ns = MonotonicNs();
    // What a server has that dies is lost where the job keeps no snapshots.
    const bool may_lose = plan.snapshot_every.count() > 0;
    const bool may_go = servers.size() > plan.replicas + 1;
    const uint64_t what = rng.Below(4);
    if (what == 0 && may_lose) {
      LoseTarget(rng, cluster, servers);
    } else if (what <= 1 || !may_go) {
      servers.push_back(cluster.AddServer());
      MoveShards(rng, cluster, {});
    } else if (what == 2) {
      Drain(rng, cluster, servers);
    } else {
      Stop(rng, cluster, servers);
    }
    AwaitNextAcks(cluster, from_ns, kTroubleLimit, false);
    cluster.HealedForAny();
  }
}

void Shape(Rng& rng, ClusterPlan& plan) {
  plan.replicas = rng.Chance(0.25) ? 1 : 0;
  plan.servers = static_cast<uint32_t>(plan.replicas + 1 + rng.Below(2));
  plan.shards_per_server = static_cast<uint32_t>(1 + rng.Below(3));
  plan.min_in_sync = 0;
  plan.keeps_state = true;
  plan.steps += 150;
  plan.think_us = 4000 + rng.Below(8000);
  if (rng.Chance(0.3)) plan.snapshot_every = milliseconds(50 + rng.Below(300));
  if (rng.Chance(0.5)) plan.table_step = 2 + rng.Below(plan.steps / 3);
}

}  // namespace

const Scenario kRebalance{"rebalance", Shape, Run};

}  // namespace shardmill::chaos
