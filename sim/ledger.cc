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
    ledger_.shadows_[shard_.value]->TookView(view);
    ledger_.cuts_.try_emplace({job, view.number, shard_}, *ledger_.shadows_[shard_.value]);
  }
  void Applied(const LogEntry& entry) override { ledger_.SawApplied(shard_, entry); }
  void Served(const Pull& pull, BootId reader, const Pulled& answer) override {
    ledger_.served_.insert({shard_.value, reader.value, pull.pull, Checksum(answer)});
  }

 private:
  Ledger& ledger_;
  ShardId shard_;
};

Ledger::Ledger(const ProbeModel& model, const Policy& policy)
    : model_(model),
      policy_(policy),
      attempted_(model.workers()),
      fates_(model.workers() * model.steps()) {
  for (uint32_t i = 0; i < model.shards(); ++i) {
    shadows_.push_back(std::make_unique<Shadow>(model, policy, i));
    observers_.push_back(std::make_unique<Observer>(*this, ShardId{i}));
  }
}

Ledger::~Ledger() = default;

ShardObserver* Ledger::ObserverOf(ShardId shard) { return observers_[shard.value].get(); }

bool Ledger::Counts(uint32_t worker, Step step) const {
  return model_.Contributes(WorkerId{worker}, step) &&
         fates_[worker * model_.steps() + step - 1] != Fate::kDiscarded;
}

void Ledger::RollBack(JobId job, ViewNumber view, const std::vector<RankState>& cut) {
  std::vector<Step> ended(model_.workers());
  for (const RankState& state : cut) ended[state.rank.value] = state.ended;
  for (uint32_t i = 0; i < model_.shards(); ++i) {
    const auto found = cuts_.find({job, view, ShardId{i}});
    shadows_[i] =
        std::make_unique<Shadow>(found == cuts_.end() ? Shadow(model_, policy_, i) : found->second);
    shadows_[i]->ForgetCounts();
    for (uint32_t w = 0; w < model_.workers(); ++w) applied_[{i, w}] = ended[w];
  }
  discarded_ = 0;
  for (uint32_t w = 0; w < model_.workers(); ++w) {
    attempted_[w] = ended[w];
    for (Step step = 1; step <= model_.steps(); ++step) {
      if (step > ended[w]) FateOf(w, step) = Fate::kOpen;
      discarded_ += FateOf(w, step) == Fate::kDiscarded ? 1 : 0;
    }
  }
  acked_.clear();
  begun_.clear();
  rejected_.clear();
  served_.clear();
}

uint64_t Ledger::CountUpTo(uint32_t worker, Step step, uint32_t shard) const {
  uint64_t count = 0;
  for (Step at = 1; at <= step; ++at) {
    count += Counts(worker, at) && model_.Touches(WorkerId{worker}, at, shard) ? 1 : 0;
  }
  return count;
}

void Ledger::SawApplied(ShardId shard, const LogEntry& entry) {
  for (const Contribution& made : entry.made) {
    if (!SawMade(shard, made)) return;
  }
  const std::string words = shadows_[shard.value]->Take(entry);
  if (words.empty()) return;
  const Contribution& first = entry.made.front();
  Violation("the entry with step " + std::to_string(first.step) + " of " + Name(first.rank) +
            " on shard " + std::to_string(shard.value) + " " + words);
}

// False where nothing more can be said of it.
bool Ledger::SawMade(ShardId shard, const Contribution& made) {
  const std::string what = "step " + std::to_string(made.step) + " of " + Name(made.rank) +
                           " on shard " + std::to_string(shard.value);
  Step& last = applied_[{shard.value, made.rank.value}];
  if (made.step != last + 1 || made.step > model_.steps()) {
    Violation(what + " comes after step " + std::to_string(last));
    return false;
  }
  last = made.step;
  Fate& fate = FateOf(made.rank.value, made.step);
  if (fate == Fate::kOpen) {
    fate = made.discarded ? Fate::kDiscarded : Fate::kApplied;
    if (made.discarded) ++discarded_;
  }
  if ((fate == Fate::kDiscarded) != made.discarded) Violation(what + " counts, and not everywhere");
  if (made.discarded) return true;
  const double samples =
      model_.Contributes(made.rank, made.step) ? model_.Samples(made.rank, made.step) : 0;
  if (made.samples != samples) Violation(what + " weighs " + std::to_string(made.samples));
  if (model_.Rejected(made.rank, made.step)) Violation(what + " was to be rejected");
  return true;
}

void Ledger::Attempt(WorkerId rank, Step step) {
  Step& most = attempted_[rank.value];
  most = std::max(most, step);
}

void Ledger::Rejected(WorkerId rank, Step step) {
  rejected_.emplace(rank, step);
  if (model_.Rejected(rank, step)) return;
  Violation(Name(rank) + " may not push in step " + std::to_string(step));
}

void Ledger::Ack(const Sender& sender, Step step, bool counted) {
  const Fate wanted = counted ? Fate::kApplied : Fate::kDiscarded;
  if (FateOf(sender.rank.value, step) != wanted) {
    Violation(Name(sender.rank) + " was told that step " + std::to_string(step) +
              (counted ? " counts" : " was discarded") + ", which is not so");
  }
  Step& last = acked_[{sender.rank, sender.incarnation}];
  last = std::max(last, step);
  for (const auto& [who, first] : begun_) {
    if (who.first != sender.rank || who.second <= sender.incarnation || first > step) continue;
    Violation(Name(sender.rank) + " was acked step " + std::to_string(step) +
              ", which a later incarnation makes again");
  }
}

void Ledger::Begin(const Sender& sender, Step step) {
  begun_[{sender.rank, sender.incarnation}] = step;
  for (const auto& [who, last] : acked_) {
    if (who.first != sender.rank || who.second >= sender.incarnation || last < step) continue;
    Violation(Name(sender.rank) + " begins at step " + std::to_string(step) + ", but step " +
              std::to_string(last) + " was acked");
  }
}

void Ledger::SawPull(WorkerId rank, Step step, std::span<const float> probe, uint64_t staleness) {
  const uint64_t round = step - 1;
  if (policy_.bounded && staleness > policy_.staleness) {
    Violation(Name(rank) + " was served with staleness " + std::to_string(staleness));
  }
  const uint64_t old = round > policy_.staleness ? round - policy_.staleness : 0;
  for (uint32_t worker = 0; worker < model_.workers(); ++worker) {
    for (uint32_t shard = 0; shard < model_.shards(); ++shard) {
      const uint64_t most = CountUpTo(worker, attempted_[worker], shard);
      const uint64_t own = worker == rank.value ? CountUpTo(worker, round, shard) : 0;
      const uint64_t least = policy_.bounded ? std::max(own, CountUpTo(worker, old, shard)) : own;
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
  const std::string words = shadows_[shard.value]->Differs(state);
  if (!words.empty()) Violation("at rest shard " + std::to_string(shard.value) + " " + words);
  for (const RankState& rank : state.States()) {
    const Step last = done ? model_.steps() : applied_[{shard.value, rank.rank.value}];
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
