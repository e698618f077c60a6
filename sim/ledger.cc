#include "sim/ledger.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/rng.h"

namespace shardmill::sim {
namespace {

std::string Name(WorkerId rank) { return "worker " + std::to_string(rank.value); }

uint64_t Checksum(const Pulled& pulled) {
  uint64_t sum = 0;
  for (const Frame& frame : pulled.values) {
    for (const float value : frame.floats()) {
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof(bits));
      sum = Mix(sum ^ bits);
    }
  }
  return sum;
}

}  // namespace

// Sees what one shard does.
class Ledger::Observer final : public ShardObserver {
 public:
  Observer(Ledger& ledger, ShardId shard) : ledger_(ledger), shard_(shard) {}

  void TookView(JobId job, const View& view) override {
    generation_ = view.generation;
    Shadow& shadow = *ledger_.LifeOf(generation_).shadows[shard_.value];
    shadow.TookView(view);
    ledger_.cuts_.try_emplace({job, view.number, shard_}, shadow);
  }
  void Applied(const LogEntry& entry) override {
    ledger_.SawApplied(ledger_.LifeOf(generation_), shard_, entry);
  }
  void Served(const Pull& pull, BootId reader, const Pulled& answer) override {
    ledger_.served_.insert({shard_.value, reader.value, pull.pull, Checksum(answer)});
  }

 private:
  Ledger& ledger_;
  ShardId shard_;
  Generation generation_;  // That the shard is in.
};

Ledger::Ledger(const ProbeModel& model, const Policy& policy) : model_(model), policy_(policy) {
  BeginAnew(nullptr);
  for (uint32_t i = 0; i < model.shards(); ++i) {
    observers_.push_back(std::make_unique<Observer>(*this, ShardId{i}));
  }
}

Ledger::~Ledger() = default;

ShardObserver* Ledger::ObserverOf(ShardId shard) { return observers_[shard.value].get(); }

bool Ledger::Counts(const Life& life, uint32_t worker, Step step) const {
  return model_.Contributes(WorkerId{worker}, step) &&
         life.fates[worker * model_.steps() + step - 1] != Fate::kDiscarded;
}

void Ledger::BeginAnew(const Manifest* from) {
  if (from == nullptr) {
    lives_.clear();
  } else {
    lives_.erase(lives_.upper_bound(from->view.generation), lives_.end());
  }
  rejected_.clear();
  served_.clear();
  RollBack(from == nullptr ? Generation{1} : from->view.generation.Next(), from);
}

void Ledger::RollBack(Generation generation, const Manifest* from) {
  Life life;
  life.attempted.resize(model_.workers());
  life.fates.resize(model_.workers() * model_.steps());
  if (from != nullptr) {
    life.fates = LifeOf(from->view.generation).fates;
    for (const RankState& state : from->cut) life.attempted[state.rank.value] = state.ended;
  }
  for (uint32_t i = 0; i < model_.shards(); ++i) {
    Shadow shadow(model_, policy_, i);
    if (from != nullptr) {
      const auto found = cuts_.find({from->job, from->view.number, ShardId{i}});
      if (found != cuts_.end()) {
        life.shadows.push_back(std::make_unique<Shadow>(found->second));
      }
    }
    if (life.shadows.size() == i) life.shadows.push_back(std::make_unique<Shadow>(shadow));
    life.shadows.back()->ForgetCounts();
    for (uint32_t w = 0; w < model_.workers(); ++w) life.applied[{i, w}] = life.attempted[w];
  }
  for (uint32_t w = 0; w < model_.workers(); ++w) {
    for (Step step = 1; step <= model_.steps(); ++step) {
      if (step > life.attempted[w]) FateOf(life, w, step) = Fate::kOpen;
      life.discarded += FateOf(life, w, step) == Fate::kDiscarded ? 1 : 0;
    }
  }
  lives_[generation] = std::move(life);
}

uint64_t Ledger::CountUpTo(const Life& life, uint32_t worker, Step step, uint32_t shard) const {
  uint64_t count = 0;
  for (Step at = 1; at <= step; ++at) {
    count += Counts(life, worker, at) && model_.Touches(WorkerId{worker}, at, shard) ? 1 : 0;
  }
  return count;
}

void Ledger::SawApplied(Life& life, ShardId shard, const LogEntry& entry) {
  for (const Contribution& made : entry.made) {
    if (!SawMade(life, shard, made)) return;
  }
  const std::string words = life.shadows[shard.value]->Take(entry);
  if (words.empty()) return;
  const Contribution& first = entry.made.front();
  Violation("the entry with step " + std::to_string(first.step) + " of " + Name(first.rank) +
            " on shard " + std::to_string(shard.value) + " " + words);
}

// False where nothing more can be said of it.
bool Ledger::SawMade(Life& life, ShardId shard, const Contribution& made) {
  const std::string what = "step " + std::to_string(made.step) + " of " + Name(made.rank) +
                           " on shard " + std::to_string(shard.value);
  Step& last = life.applied[{shard.value, made.rank.value}];
  if (made.step != last + 1 || made.step > model_.steps()) {
    Violation(what + " comes after step " + std::to_string(last));
    return false;
  }
  last = made.step;
  Fate& fate = FateOf(life, made.rank.value, made.step);
  if (fate == Fate::kOpen) {
    fate = made.discarded ? Fate::kDiscarded : Fate::kApplied;
    if (made.discarded) ++life.discarded;
  }
  if ((fate == Fate::kDiscarded) != made.discarded) Violation(what + " counts, and not everywhere");
  if (made.discarded) return true;
  const double samples =
      model_.Contributes(made.rank, made.step) ? model_.Samples(made.rank, made.step) : 0;
  if (made.samples != samples) Violation(what + " weighs " + std::to_string(made.samples));
  if (model_.Rejected(made.rank, made.step)) Violation(what + " was to be rejected");
  return true;
}

void Ledger::Attempt(Generation generation, WorkerId rank, Step step) {
  Step& most = LifeOf(generation).attempted[rank.value];
  most = std::max(most, step);
}

void Ledger::Rejected(WorkerId rank, Step step) {
  rejected_.emplace(rank, step);
  if (model_.Rejected(rank, step)) return;
  Violation(Name(rank) + " may not push in step " + std::to_string(step));
}

void Ledger::Ack(Generation generation, const Sender& sender, Step step, bool counted) {
  Life& life = LifeOf(generation);
  const Fate wanted = counted ? Fate::kApplied : Fate::kDiscarded;
  if (FateOf(life, sender.rank.value, step) != wanted) {
    Violation(Name(sender.rank) + " was told that step " + std::to_string(step) +
              (counted ? " counts" : " was discarded") + ", which is not so");
  }
  Step& last = life.acked[{sender.rank, sender.incarnation}];
  last = std::max(last, step);
  for (const auto& [who, first] : life.begun) {
    if (who.first != sender.rank || who.second <= sender.incarnation || first > step) continue;
    Violation(Name(sender.rank) + " was acked step " + std::to_string(step) +
              ", which a later incarnation makes again");
  }
}

void Ledger::Begin(Generation generation, const Sender& sender, Step step) {
  Life& life = LifeOf(generation);
  life.begun[{sender.rank, sender.incarnation}] = step;
  for (const auto& [who, last] : life.acked) {
    if (who.first != sender.rank || who.second >= sender.incarnation || last < step) continue;
    Violation(Name(sender.rank) + " begins at step " + std::to_string(step) + ", but step " +
              std::to_string(last) + " was acked");
  }
}

void Ledger::SawStep(BootId process, Generation generation, Step step) {
  const std::pair now(generation, step);
  auto& last = steps_.try_emplace(process, now).first->second;
  if (now < last) {
    Violation("process " + std::to_string(process.value) + " goes back to step " +
              std::to_string(step) + " from step " + std::to_string(last.second));
  }
  last = now;
}

void Ledger::SawPull(Generation generation, WorkerId rank, Step step, std::span<const float> probe,
                     uint64_t staleness) {
  const uint64_t round = step - 1;
  if (policy_.bounded && staleness > policy_.staleness) {
    Violation(Name(rank) + " was served with staleness " + std::to_string(staleness));
  }
  const Life& life = LifeOf(generation);
  const uint64_t old = round > policy_.staleness ? round - policy_.staleness : 0;
  for (uint32_t worker = 0; worker < model_.workers(); ++worker) {
    for (uint32_t shard = 0; shard < model_.shards(); ++shard) {
      const uint64_t most = CountUpTo(life, worker, life.attempted[worker], shard);
      const uint64_t own = worker == rank.value ? CountUpTo(life, worker, round, shard) : 0;
      const uint64_t least =
          policy_.bounded ? std::max(own, CountUpTo(life, worker, old, shard)) : own;
      const float value = probe[ProbeModel::ProbeIndex(shard, worker)];
      const auto n = static_cast<uint64_t>(std::lround(std::max(value, 0.0F)));
      if (n >= least && n <= most && static_cast<float>(n) == value) continue;
      Violation("n[" + std::to_string(worker) + "] = " + std::to_string(value) + " on shard " +
                std::to_string(shard) + ", read by " + Name(rank) + " for step " +
                std::to_string(step) + ", is not from " + std::to_string(least) + " to " +
                std::to_string(most));
    }
  }
}

void Ledger::SawAnswer(ShardId shard, BootId reader, const Pulled& pulled) {
  if (served_.contains({shard.value, reader.value, pulled.pull, Checksum(pulled)})) return;
  Violation("what shard " + std::to_string(shard.value) + " answered has changed on its way");
}

void Ledger::SawCut(ShardId shard, const std::vector<RankState>& cut,
                    const std::vector<RankState>& states) {
  for (const RankState& want : cut) {
    for (const RankState& have : states) {
      if (have.rank != want.rank || have.ended == want.ended) continue;
      Violation("after a cut " + Name(want.rank) + " stands at step " + std::to_string(have.ended) +
                " on shard " + std::to_string(shard.value) + ", and the cut is " +
                std::to_string(want.ended));
    }
  }
}

void Ledger::SawEnd(ShardId shard, const Shard& state, bool done) {
  Life& life = LifeOf(state.view().generation);
  const std::string words = life.shadows[shard.value]->Differs(state);
  if (!words.empty()) Violation("at rest shard " + std::to_string(shard.value) + " " + words);
  for (const RankState& rank : state.States()) {
    const Step last = done ? model_.steps() : life.applied[{shard.value, rank.rank.value}];
    if (rank.ended == last && rank.applied + rank.discarded == last) continue;
    Violation("at rest shard " + std::to_string(shard.value) + " says that " + Name(rank.rank) +
              " has ended step " + std::to_string(rank.ended) + ", which should be " +
              std::to_string(last));
  }
}

void Ledger::SawFailure(const std::string& words) {
  for (const auto& [rank, step] : rejected_) {
    const std::string at = " step " + std::to_string(step) + " ";
    const bool named = (words + " ").find(at) != std::string::npos;
    if (words.starts_with(Name(rank) + ": ") && named) return;
  }
  Violation("the job has failed: " + words);
}

}  // namespace shardmill::sim
