// SIGKILL of the coordinator at any phase of a job, once or twice, alone or with a worker, and the
// next process on the same folder and address. Training goes on meanwhile, and nothing is
// forgotten.
#include <algorithm>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

using State = JobStatus::State;
using WorkerState = JobStatus::Worker::State;

enum class When : uint8_t { kBeforeView, kJoining, kTables, kTraining, kEnd, kCount };

milliseconds DrawAway(Rng& rng, const ClusterPlan& plan) {
  const auto lease = static_cast<uint64_t>(plan.lease.count());
  if (rng.Chance(0.4)) return milliseconds(rng.Below(lease / 2));
  return milliseconds(lease + rng.Below(2 * lease));
}

// Who was told something by the first process must not hear other words from the next.
void CheckMemory(Cluster& cluster, const JobStatus& before, const JobStatus& now) {
  for (size_t rank = 0; rank < before.workers.size() && rank < now.workers.size(); ++rank) {
    const JobStatus::Worker& was = before.workers[rank];
    const JobStatus::Worker& is = now.workers[rank];
    const std::string name = "rank " + std::to_string(rank);
    if (is.incarnation < was.incarnation) {
      cluster.Fail(name + " is at incarnation " + std::to_string(is.incarnation) + ", and was at " +
                   std::to_string(was.incarnation));
    }
    if (was.state == WorkerState::kDone && is.state != WorkerState::kDone) {
      cluster.Fail(name + " had made all its steps, and the coordinator has forgotten it");
    }
  }
}

// Kills the coordinator, again or not, and awaits the next one. `meanwhile` is done without it.
void KillAndRestart(Rng& rng, Cluster& cluster, const std::function<void()>& meanwhile) {
  const std::optional<JobStatus> before = cluster.Status();
  if (!before) return cluster.Fail("the coordinator does not say how the job is");
  cluster.KillCoordinator();
  meanwhile();
  if (rng.Chance(0.3)) {
    cluster.RestartCoordinator();
    LetPass(cluster, milliseconds(rng.Below(120)));
    cluster.KillCoordinator();
    LetPass(cluster, milliseconds(rng.Below(200)));
  }
  const uint64_t started_ns = MonotonicNs();
  cluster.RestartCoordinator();
  if (!cluster.AwaitCoordinator()) return;
  std::optional<JobStatus> now;
  // It goes on with a view of its own once all shards have said that they are with it.
  const bool trains = cluster.Await("the coordinator is back", kAdvanceLimit, [&] {
    now = cluster.Status();
    if (now) CheckMemory(cluster, *before, *now);
    if (before->state == State::kDone) return now && now->state == State::kDone;
    return now && (before->view == 0 || now->state == State::kDone || now->view > before->view);
  });
  if (trains && before->view > 0) {
    cluster.Recovered(static_cast<double>(MonotonicNs() - started_ns) / 1e9);
  }
}

void AwaitMoment(Rng& rng, Cluster& cluster, When when, const Life& victim) {
  const ClusterPlan& plan = cluster.plan();
  const auto await = [&](const char* what, Event event) {
    cluster.Await(what, kTroubleLimit, [&] { return victim.Find(event) != nullptr; });
  };
  switch (when) {
    case When::kBeforeView:
      return LetPass(cluster, milliseconds(rng.Below(150)));
    case When::kJoining:
      await("a worker joins", Event::kJoining);
      return cluster.Pass(milliseconds(rng.Below(40)));
    case When::kTables:
      await("a table is made", plan.table_step > 0 ? Event::kLateTable : Event::kTables);
      return cluster.Pass(milliseconds(rng.Below(6)));
    case When::kTraining: {
      const uint64_t step = plan.table_step + 1 + rng.Below(plan.steps / 3);
      for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.AwaitStep(rank, step);
      return cluster.Pass(milliseconds(rng.Below(4)));
    }
    case When::kEnd:
      if (rng.Chance(0.5)) {
        cluster.AwaitStep(victim.rank, plan.steps - rng.Below(4));
      } else {
        await("a worker has read the end", rng.Chance(0.5) ? Event::kFinal : Event::kDone);
      }
      return cluster.Pass(milliseconds(rng.Below(20)));
    case When::kCount:
      break;
  }
}

// The job is over, stays so, and each of its processes had an incarnation of its own.
void CheckEnd(Rng& rng, Cluster& cluster, bool once_more) {
  std::optional<JobStatus> end;
  const auto done = [&] {
    end = cluster.Status();
    return end && end->state == State::kDone;
  };
  if (!cluster.Await("the job is done", kTroubleLimit, done)) return;
  if (once_more) {
    KillAndRestart(rng, cluster, [] {});
    if (!cluster.Await("the job is still done", kAdvanceLimit, done)) return;
  }
  for (const JobStatus::Worker& worker : end->workers) {
    const size_t holders = cluster.HoldersOf(worker.rank).size();
    if (worker.incarnation < holders) {
      cluster.Violation("rank " + std::to_string(worker.rank) + " had " + std::to_string(holders) +
                        " processes under " + std::to_string(worker.incarnation) + " incarnations");
    }
    if (worker.state == WorkerState::kDone) continue;
    cluster.Violation("rank " + std::to_string(worker.rank) + " was not said to be done");
  }
  if (cluster.fenced() > 0) cluster.Violation("the rank of a live worker was given away");
}

void Run(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  const auto when = static_cast<When>(rng.Below(static_cast<uint64_t>(When::kCount)));
  const auto victim = static_cast<uint32_t>(rng.Below(plan.workers));
  const bool held_back = when == When::kBeforeView;
  const bool with_worker = !held_back && when != When::kEnd && rng.Chance(0.3);
  std::vector<Life*> lives;
  for (uint32_t rank = 0; rank < plan.workers; ++rank) {
    lives.push_back(held_back && rank == victim ? nullptr : &cluster.StartWorker(rank));
  }
  const Life& watched = held_back ? *lives[(victim + 1) % plan.workers] : *lives[victim];
  AwaitMoment(rng, cluster, when, watched);
  const milliseconds away = DrawAway(rng, plan);
  bool starts_worker = held_back || with_worker;
  const bool starts_early = rng.Chance(0.5);
  KillAndRestart(rng, cluster, [&] {
    if (with_worker) cluster.Kill(*lives[victim]);
    if (starts_worker && starts_early) cluster.StartWorker(victim);
    if (when == When::kTraining && !with_worker) return ExpectProgress(cluster, away);
    LetPass(cluster, away);
  });
  if (starts_worker && !starts_early) cluster.StartWorker(victim);
  const uint64_t mended_ns = MonotonicNs();
  cluster.Await("all ranks get on", kAdvanceLimit, [&] {
    for (uint32_t rank = 0; rank < plan.workers; ++rank) {
      const bool gets_on = std::ranges::any_of(cluster.lives(), [&](const auto& life) {
        if (life->rank != rank || life->records.empty()) return false;
        const Record& last = life->records.back();
        return last.event == Event::kDone ||
               (last.event != Event::kJoining && last.event != Event::kTables &&
                last.at_ns >= mended_ns);
      });
      if (!gets_on) return false;
    }
    return true;
  });
  CheckEnd(rng, cluster, when == When::kEnd && rng.Chance(0.5));
}

void Shape(Rng& rng, ClusterPlan& plan) {
  plan.keeps_state = true;
  plan.steps += 40;
  plan.think_us = 2000 + rng.Below(6000);  // So that there is something to get on with.
  if (rng.Chance(0.5)) plan.table_step = 2 + rng.Below(plan.steps / 3);
}

}  // namespace

const Scenario kCoordinatorKill{"coordinator-kill", Shape, Run};

}  // namespace shardmill::chaos
