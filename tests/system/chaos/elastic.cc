// Workers that lease their rows and come and go while the job runs: by SIGKILL, by goodbye, by
// SIGSTOP beyond their lease, also while the coordinator is killed and started again. Each row must
// have been used once in each epoch.
#include <algorithm>
#include <csignal>
#include <optional>
#include <vector>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

enum class Trouble : uint8_t { kKill, kJoin, kLeave, kStop, kCoordinator, kCount };

constexpr uint64_t kSettledNs = 500'000'000;

// Who stands still, and what the coordinator says of the rank when it is another's or nobody's.
struct Zombie {
  Life* life = nullptr;
  uint64_t incarnation = 0;
};

// One trial's trouble. Lives for it, one thread.
class Unrest final {
 public:
  Unrest(Rng& rng, Cluster& cluster) : rng_(rng), cluster_(cluster), plan_(cluster.plan()) {}

  void Run();

 private:
  void Make(Trouble trouble);
  void Kill();
  void Join();
  void Leave();
  void Stop();
  void Continue();
  void RestartCoordinator();
  void KeepGoing();
  void Start(uint32_t rank);
  bool Trains(const Life& life) const;
  Life* Victim();
  uint64_t Staying() const;
  bool Began() const;
  bool Over() const;
  std::optional<JobStatus::Worker> StatusOf(uint32_t rank) const;
  milliseconds UpTo(uint64_t limit_ms) { return milliseconds(rng_.Below(limit_ms)); }

  Rng& rng_;
  Cluster& cluster_;
  const ClusterPlan& plan_;
  std::optional<Zombie> zombie_ = {};
};

bool Unrest::Trains(const Life& life) const {
  return life.Stays() && life.Find(Event::kGranted) != nullptr &&
         life.Find(Event::kFinal) == nullptr;
}

uint64_t Unrest::Staying() const {
  return static_cast<uint64_t>(
      std::ranges::count_if(cluster_.lives(), [](const auto& life) { return life->Stays(); }));
}

bool Unrest::Began() const {
  return std::ranges::any_of(
      cluster_.lives(), [](const auto& life) { return life->Find(Event::kGranted) != nullptr; });
}

bool Unrest::Over() const {
  return std::ranges::any_of(cluster_.lives(), [](const auto& life) {
    return life->Find(Event::kFinal) != nullptr || life->Find(Event::kDone) != nullptr;
  });
}

std::optional<JobStatus::Worker> Unrest::StatusOf(uint32_t rank) const {
  const std::optional<JobStatus> status = cluster_.Status();
  if (!status) return {};
  const auto found = std::ranges::find(status->workers, rank, &JobStatus::Worker::rank);
  return found == status->workers.end() ? std::nullopt : std::optional(*found);
}

// One that trains; often that of the lowest rank. Or null.
Life* Unrest::Victim() {
  std::vector<Life*> training;
  for (const auto& life : cluster_.lives()) {
    if (Trains(*life)) training.push_back(life.get());
  }
  if (training.empty()) return nullptr;
  if (rng_.Chance(0.4)) return *std::ranges::min_element(training, {}, &Life::rank);
  return training[rng_.Below(training.size())];
}

// Some end themselves at some phase of a step.
void Unrest::Start(uint32_t rank) {
  Aim aim;
  if (rng_.Chance(0.2)) {
    aim = DrawAim(rng_, plan_, SIGKILL);
    aim.hit = 1 + rng_.Below(3);
  }
  cluster_.StartWorker(rank, aim);
}

// The job begins when so many are there; later one is enough.
void Unrest::KeepGoing() {
  while (!Over() && Staying() < (Began() ? 1 : plan_.workers)) {
    cluster_.StartAnyWorker();
    cluster_.HealedForAny();
  }
}

void Unrest::Kill() {
  Life* victim = Victim();
  if (victim == nullptr) return;
  const uint32_t rank = victim->rank;
  cluster_.Kill(*victim);
  if (rng_.Chance(0.6)) {
    LetPass(cluster_, UpTo(200));
    Start(rng_.Chance(0.5) ? rank : Cluster::kAnyRank);
  }
  KeepGoing();
  cluster_.HealedForAny();
}

void Unrest::Join() {
  // Sometimes one too many: it waits until a rank is free, or the job is over.
  if (Staying() >= plan_.workers_max && !rng_.Chance(0.2)) return;
  const bool any = !Began() || rng_.Chance(0.6);
  Start(any ? Cluster::kAnyRank : static_cast<uint32_t>(rng_.Below(plan_.workers_max)));
  cluster_.HealedForAny();
}

void Unrest::Leave() {
  Life* victim = Victim();
  if (victim == nullptr) return;
  victim->leaving = true;
  victim->child->Terminate();
  if (rng_.Chance(0.4)) Start(rng_.Chance(0.5) ? victim->rank : Cluster::kAnyRank);
  KeepGoing();
  cluster_.HealedForAny();
}

void Unrest::Stop() {
  if (zombie_) return Continue();
  Life* victim = Victim();
  if (victim == nullptr) return;
  // The coordinator tells ten times a second how things are.
  const uint64_t settled_ns = victim->Find(Event::kGranted)->at_ns + kSettledNs;
  cluster_.Await("the rank is seen as granted", kTroubleLimit,
                 [settled_ns] { return MonotonicNs() >= settled_ns; });
  const auto before = StatusOf(victim->rank);
  if (!before || !Trains(*victim)) return;
  cluster_.Stop(*victim->child);
  // It may have come to its end meanwhile, and keeps the rank then.
  LetPass(cluster_, milliseconds(5));
  if (!Trains(*victim)) return cluster_.Continue(*victim->child);
  victim->lost = true;
  zombie_ = {victim, before->incarnation};
  if (rng_.Chance(0.5)) Start(rng_.Chance(0.5) ? victim->rank : Cluster::kAnyRank);
  KeepGoing();
  if (rng_.Chance(0.6)) Continue();
}

// When the rank is surely not its own any more.
void Unrest::Continue() {
  const Zombie zombie = *zombie_;
  zombie_.reset();
  using State = JobStatus::Worker::State;
  cluster_.Await("who stands still loses its rank", kAdvanceLimit, [&] {
    const auto is = StatusOf(zombie.life->rank);
    return is && (is->incarnation > zombie.incarnation || is->state == State::kAbsent);
  });
  LetPass(cluster_, UpTo(200));
  cluster_.Continue(*zombie.life->child);
  cluster_.HealedForAny();
}

void Unrest::RestartCoordinator() {
  if (!cluster_.Status()) return cluster_.Fail("the coordinator does not say how the job is");
  cluster_.KillCoordinator();
  LetPass(cluster_, UpTo(2 * static_cast<uint64_t>(plan_.lease.count())));
  if (rng_.Chance(0.3)) Kill();
  if (rng_.Chance(0.2)) Join();
  cluster_.RestartCoordinator();
  if (!cluster_.AwaitCoordinator()) return;
  cluster_.HealedForAny();
}

void Unrest::Make(Trouble trouble) {
  switch (trouble) {
    case Trouble::kKill:
      return Kill();
    case Trouble::kJoin:
      return Join();
    case Trouble::kLeave:
      return Leave();
    case Trouble::kStop:
      return Stop();
    case Trouble::kCoordinator:
      return plan_.keeps_state ? RestartCoordinator() : Kill();
    case Trouble::kCount:
      break;
  }
}

void Unrest::Run() {
  for (uint32_t i = 0; i < plan_.workers; ++i) Start(rng_.Chance(0.5) ? Cluster::kAnyRank : i);
  const uint64_t troubles = 2 + rng_.Below(6);
  for (uint64_t i = 0; i < troubles && cluster_.violations().empty(); ++i) {
    LetPass(cluster_, UpTo(350));
    KeepGoing();
    if (Over()) break;
    Make(static_cast<Trouble>(rng_.Below(static_cast<uint64_t>(Trouble::kCount))));
  }
  if (zombie_) Continue();
  cluster_.Await("all rows are used", kTroubleLimit, [this] {
    KeepGoing();
    return Over();
  });
}

void Run(Rng& rng, Cluster& cluster) { Unrest(rng, cluster).Run(); }

void Shape(Rng& rng, ClusterPlan& plan) {
  LeaseData(rng, plan);
  plan.keeps_state = rng.Chance(0.4);
  plan.think_us = 6000 + rng.Below(10'000);  // So that there is time for trouble.
}

}  // namespace

const Scenario kElastic{"elastic", Shape, Run};

}  // namespace shardmill::chaos
