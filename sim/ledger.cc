#include "sim/ledger.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <utility>

#include "common/rng.h"

namespace shardmill::sim {
namespace {

std::string Name(WorkerId rank) { return "worker " + std::to_string(rank.value); }

std::string Name(const Contribution& made, ShardId shard) {
  return "step " + std::to_string(made.step) + " of " + Name(made.rank) + " on shard " +
         std::to_string(shard.value);
}

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

// Sees what one process does with a shard.
class Ledger::Observer final : public ShardObserver {
 public:
  Observer(Ledger& ledger, ShardId shard, BootId process)
      : ledger_(ledger), shard_(shard), process_(process) {}

  // What the process did with its copy, one after the other: an entry, or a view.
  struct Item {
    uint64_t version = 0;
    std::vector<Contribution> made = {};
    std::optional<View> view = {};
  };
  const std::vector<Item>& items() const { return items_; }

  void TookView(JobId job, const View& view) override {
    if (view.generation != generation_) items_.clear();
    generation_ = view.generation;
    if (ledger_.promotions_) items_.push_back({version_, {}, view});
    if (!Counts()) return;
    Life& life = ledger_.LifeOf(generation_);
    Shadow& shadow = life.shards[shard_.value].shadow;
    shadow.TookView(view);
    ledger_.SawView(life, shard_, view);
    ledger_.cuts_.try_emplace({job, view.number, shard_}, shadow);
    ledger_.Keep(life, shard_, version_);
  }
  void Restored(uint64_t /*version*/, const std::vector<RankState>& /*ranks*/) override {}
  void Applied(const LogEntry& entry) override {
    version_ = entry.version;
    // Who begins anew with what another has drops what it had.
    while (!items_.empty() && items_.back().version >= entry.version) items_.pop_back();
    if (ledger_.promotions_) items_.push_back({version_, entry.made});
    if (!Counts()) return;
    Life& life = ledger_.LifeOf(generation_);
    ledger_.SawApplied(life, shard_, entry);
    ledger_.Keep(life, shard_, entry);
  }
  void Promoted(uint64_t version) { version_ = version; }
  void Served(const Pull& pull, BootId reader, const Pulled& answer) override {
    if (Counts()) ledger_.SawServed(ledger_.LifeOf(generation_), shard_, answer);
    ledger_.served_.insert({shard_.value, reader.value, pull.pull, Checksum(answer)});
  }

 private:
  bool Counts() const { return ledger_.primaries_[shard_.value] == process_; }

  Ledger& ledger_;
  ShardId shard_;
  BootId process_;
  Generation generation_;  // That the shard is in.
  uint64_t version_ = 0;
  std::vector<Item> items_;
};

Ledger::Ledger(const ProbeModel& model, const Policy& policy, bool promotions)
    : model_(model), policy_(policy), promotions_(promotions), primaries_(model.shards()) {
  BeginAnew(nullptr, model.workers());
}

Ledger::~Ledger() = default;

ShardObserver* Ledger::ObserverOf(ShardId shard, BootId process) {
  auto& observer = observers_[process];
  if (observer == nullptr) observer = std::make_unique<Observer>(*this, shard, process);
  return observer.get();
}

void Ledger::Keep(Life& life, ShardId shard, uint64_t version) {
  if (!promotions_) return;
  life.past_shards[shard.value].insert_or_assign(version, Past{life.shards[shard.value]});
}

void Ledger::Keep(Life& life, ShardId shard, const LogEntry& entry) {
  if (!promotions_) return;
  life.past_shards[shard.value].insert_or_assign(
      entry.version, Past{std::nullopt, entry.made, life.shards[shard.value].closed});
}

Ledger::OnShard Ledger::LastOf(const std::map<uint64_t, Past>& past) {
  auto from = std::prev(past.end());
  while (!from->second.whole) --from;
  OnShard shard = *from->second.whole;
  for (++from; from != past.end(); ++from) {
    for (const Contribution& made : from->second.made) {
      shard.applied[made.rank.value] = made.step;
      shard.used[made.rank.value] = made.used;
    }
    shard.shadow.TakeAgain(from->second.made);
    shard.closed = from->second.closed;
  }
  return shard;
}

void Ledger::Promoted(ShardId shard, BootId process, uint64_t version) {
  primaries_[shard.value] = process;
  observers_.at(process)->Promoted(version);
  Life& life = lives_.rbegin()->second;
  auto& past = life.past_shards[shard.value];
  past.erase(past.upper_bound(version), past.end());
  if (past.empty()) return;
  const OnShard before = std::exchange(life.shards[shard.value], LastOf(past));
  life.shards[shard.value].shadow.ForgetCounts();
  for (const auto& [worker, last] : before.applied) {
    for (Step step = life.shards[shard.value].applied[worker] + 1; step <= last; ++step) {
      const auto has = [&](OnShard& other) { return other.applied[worker] >= step; };
      if (std::ranges::any_of(life.shards, has)) continue;
      Made& made = At(life, worker, step);
      if (made.fate == Fate::kDiscarded) --life.discarded;
      made = Made{};
    }
  }
  TakeOver(life, shard, *observers_.at(process), version);
}

// Who replaces a primary before a view has it may be ahead of that one, by what the primary before
// it did meanwhile.
void Ledger::TakeOver(Life& life, ShardId shard, const Observer& by, uint64_t version) {
  OnShard& here = life.shards[shard.value];
  auto& past = life.past_shards[shard.value];
  for (const Observer::Item& item : by.items()) {
    const uint64_t last = past.rbegin()->first;
    if (item.version > version) continue;
    if (item.view && item.version == last && item.view->number > here.view.number) {
      here.shadow.TookView(*item.view);
      SawView(life, shard, *item.view);
      Keep(life, shard, last);
    }
    if (item.view || item.version != last + 1) continue;
    for (const Contribution& made : item.made) static_cast<void>(SawMade(life, shard, made));
    here.shadow.TakeAgain(item.made);
    past.insert_or_assign(item.version, Past{std::nullopt, item.made, here.closed});
  }
}

bool Ledger::Counts(const Life& life, uint32_t worker, Step step) const {
  const std::vector<Made>& steps = life.made[worker];
  const Made* made = step > steps.size() ? nullptr : &steps[step - 1];
  if (model_.leased()) {
    return made != nullptr && made->fate == Fate::kApplied && made->samples > 0;
  }
  const bool discarded = made != nullptr && made->fate == Fate::kDiscarded;
  return !discarded && model_.Contributes(WorkerId{worker}, step);
}

Ledger::Made& Ledger::At(Life& life, uint32_t worker, Step step) {
  std::vector<Made>& made = life.made[worker];
  if (made.size() < step) made.resize(step);
  return made[step - 1];
}

void Ledger::BeginAnew(const Manifest* from, uint32_t ranks) {
  if (from == nullptr) {
    lives_.clear();
  } else {
    lives_.erase(lives_.upper_bound(from->view.generation), lives_.end());
  }
  rejected_.clear();
  served_.clear();
  RollBack(from == nullptr ? Generation{1} : from->view.generation.Next(), from, ranks);
}

void Ledger::RollBack(Generation generation, const Manifest* from, uint32_t ranks) {
  Life life;
  life.attempted.resize(model_.workers());
  life.made.resize(model_.workers());
  life.past.resize(model_.workers());
  if (from != nullptr) {
    const Life& before = LifeOf(from->view.generation);
    life.made = before.made;
    life.past = before.past;
    for (const RankState& state : from->cut) life.attempted[state.rank.value] = state.ended;
  }
  for (uint32_t w = 0; w < model_.workers(); ++w) {
    std::vector<Made>& made = life.made[w];
    made.resize(life.attempted[w]);
    if (w >= ranks) {
      life.past[w].insert(life.past[w].end(), made.begin(), made.end());
      made.clear();
      life.attempted[w] = 0;
    }
    for (const Made& step : made) life.discarded += step.fate == Fate::kDiscarded ? 1 : 0;
  }
  life.past_shards.resize(model_.shards());
  for (uint32_t i = 0; i < model_.shards(); ++i) {
    const auto found =
        from == nullptr ? cuts_.end() : cuts_.find({from->job, from->view.number, ShardId{i}});
    OnShard& shard = life.shards.emplace_back(
        OnShard{found == cuts_.end() ? Shadow(model_, policy_, i) : found->second, {}, {}, {}, {}});
    shard.shadow.ForgetCounts();
    for (uint32_t w = 0; w < model_.workers(); ++w) shard.applied[w] = life.attempted[w];
    for (const RankState& state : from == nullptr ? std::vector<RankState>{} : from->cut) {
      if (state.rank.value < ranks) shard.used[state.rank.value] = state.used;
    }
    Keep(life, ShardId{i}, 0);
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
  const std::string words = life.shards[shard.value].shadow.Take(entry);
  if (words.empty()) return;
  const Contribution& first = entry.made.front();
  Violation("the entry with step " + std::to_string(first.step) + " of " + Name(first.rank) +
            " on shard " + std::to_string(shard.value) + " " + words);
}

// False where nothing more can be said of it.
bool Ledger::SawMade(Life& life, ShardId shard, const Contribution& made) {
  OnShard& here = life.shards[shard.value];
  Step& last = here.applied[made.rank.value];
  if (made.step != last + 1 || (made.step > model_.steps() && !model_.leased())) {
    Violation(Name(made, shard) + " comes after step " + std::to_string(last));
    return false;
  }
  last = made.step;
  here.used[made.rank.value] = made.used;
  if (model_.leased()) {
    SawLeased(life, shard, made);
    return true;
  }
  Fate& fate = At(life, made.rank.value, made.step).fate;
  if (fate == Fate::kOpen) {
    fate = made.discarded ? Fate::kDiscarded : Fate::kApplied;
    if (made.discarded) ++life.discarded;
  }
  if ((fate == Fate::kDiscarded) != made.discarded)
    Violation(Name(made, shard) + " counts, and not everywhere");
  if (made.discarded) return true;
  const double samples =
      model_.Contributes(made.rank, made.step) ? model_.Samples(made.rank, made.step) : 0;
  if (made.samples != samples)
    Violation(Name(made, shard) + " weighs " + std::to_string(made.samples));
  if (model_.Rejected(made.rank, made.step)) Violation(Name(made, shard) + " was to be rejected");
  return true;
}

void Ledger::SawView(Life& life, ShardId shard, const View& view) {
  OnShard& here = life.shards[shard.value];
  here.view = view;
  here.at_view.clear();
  for (uint32_t w = 0; w < model_.workers(); ++w) {
    here.at_view[WorkerId{w}] = {here.applied[w], here.used[w]};
  }
  for (const Member& member : view.members) {
    life.bases[{member.rank, member.incarnation}] = member.base;
  }
}

// What the step weighs, and what data it used, is what the life of the rank took that made it.
void Ledger::SawLeased(Life& life, ShardId shard, const Contribution& made) {
  const Member* member = life.shards[shard.value].view.FindMember(made.rank);
  if (member == nullptr) {
    Violation(Name(made, shard) + " is of nobody who is a member");
    return;
  }
  Made now{Fate::kApplied, made.samples, static_cast<int64_t>(made.step) - member->base, {}};
  const auto taken = life.taken.find({made.rank, member->incarnation, made.step});
  if (taken != life.taken.end()) now.data = taken->second;
  double samples = 0;
  for (const DataRange& range : now.data) samples += static_cast<double>(range.size());
  if (made.samples != samples)
    Violation(Name(made, shard) + " weighs " + std::to_string(made.samples));
  const uint64_t closed = life.shards[shard.value].closed;
  if (now.round <= static_cast<int64_t>(closed)) {
    Violation(Name(made, shard) + " belongs to round " + std::to_string(now.round) +
              ", and round " + std::to_string(closed) + " is closed");
  }
  Made& known = At(life, made.rank.value, made.step);
  if (known.fate == Fate::kOpen) {
    known = std::move(now);
  } else if (known.samples != now.samples || known.round != now.round || known.data != now.data) {
    Violation(Name(made, shard) + " is another than elsewhere");
  }
}

void Ledger::SawServed(Life& life, ShardId shard, const Pulled& answer) {
  uint64_t& closed = life.shards[shard.value].closed;
  if (answer.closed < closed) {
    Violation("shard " + std::to_string(shard.value) + " says that " +
              std::to_string(answer.closed) + " rounds are closed, after " +
              std::to_string(closed));
  }
  closed = answer.closed;
}

void Ledger::SawData(uint64_t epochs, uint64_t rows) {
  std::vector<uint32_t> used(epochs * rows);
  for (const auto* made : {&Last().made, &Last().past}) {
    for (const std::vector<Made>& steps : *made) {
      for (const Made& step : steps) {
        for (const DataRange& range : step.data) {
          for (uint64_t at = range.begin; at < range.end; ++at) ++used.at(range.epoch * rows + at);
        }
      }
    }
  }
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i] == 1) continue;
    Violation("sample " + std::to_string(i % rows) + " of epoch " + std::to_string(i / rows) +
              " was used " + std::to_string(used[i]) + " times");
    return;
  }
}

void Ledger::Attempt(Generation generation, const Sender& sender, Step step,
                     std::vector<DataRange> data) {
  Life& life = LifeOf(generation);
  Step& most = life.attempted[sender.rank.value];
  most = std::max(most, step);
  if (model_.leased()) life.taken[{sender.rank, sender.incarnation, step}] = std::move(data);
}

void Ledger::Rejected(WorkerId rank, Step step) {
  rejected_.emplace(rank, step);
  if (model_.Rejected(rank, step)) return;
  Violation(Name(rank) + " may not push in step " + std::to_string(step));
}

void Ledger::Ack(Generation generation, const Sender& sender, Step step, bool counted) {
  ++acks_;
  Life& life = LifeOf(generation);
  const Fate wanted = counted ? Fate::kApplied : Fate::kDiscarded;
  if (At(life, sender.rank.value, step).fate != wanted) {
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

std::pair<uint64_t, uint64_t> Ledger::Bounds(const Life& life, uint32_t worker, uint32_t shard,
                                             const Sender& reader, Step step) const {
  const bool own = worker == reader.rank.value;
  if (!model_.leased()) {
    const uint64_t round = step - 1;
    const uint64_t old = round > policy_.staleness ? round - policy_.staleness : 0;
    const uint64_t most = CountUpTo(life, worker, life.attempted[worker], shard);
    const uint64_t least = own ? CountUpTo(life, worker, round, shard) : 0;
    return {policy_.bounded ? std::max(least, CountUpTo(life, worker, old, shard)) : least, most};
  }
  const auto base = life.bases.find({reader.rank, reader.incarnation});
  const int64_t offset = base == life.bases.end() ? 0 : base->second;
  const int64_t old =
      static_cast<int64_t>(step) - 1 - offset - static_cast<int64_t>(policy_.staleness);
  uint64_t least = 0;
  uint64_t most = 0;
  for (Step at = 1; at <= life.made[worker].size(); ++at) {
    if (!Counts(life, worker, at) || !model_.Touches(WorkerId{worker}, at, shard)) continue;
    ++most;
    const bool closed = policy_.bounded && life.made[worker][at - 1].round <= old;
    least += closed || (own && at < step) ? 1 : 0;
  }
  // What a rank did before it began anew.
  for (const Made& made : life.past[worker]) most += made.samples > 0 ? 1 : 0;
  return {least, most};
}

void Ledger::SawPull(Generation generation, const Sender& sender, Step step,
                     std::span<const float> probe, uint64_t staleness) {
  const WorkerId rank = sender.rank;
  if (policy_.bounded && staleness > policy_.staleness) {
    Violation(Name(rank) + " was served with staleness " + std::to_string(staleness));
  }
  const Life& life = LifeOf(generation);
  for (uint32_t worker = 0; worker < model_.workers(); ++worker) {
    for (uint32_t shard = 0; shard < model_.shards(); ++shard) {
      const auto [least, most] = Bounds(life, worker, shard, sender, step);
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

void Ledger::SawCut(ShardId shard, BootId process, const std::vector<RankState>& cut,
                    const std::vector<RankState>& states) {
  if (primaries_[shard.value] != process) return;
  auto& at_view = lives_.rbegin()->second.shards[shard.value].at_view;
  for (const RankState& want : cut) {
    for (const RankState& have : states) {
      if (have.rank != want.rank) continue;
      const auto [ended, used] = at_view[want.rank];
      const bool owes = ended < want.ended && want.whole;
      if ((used != want.used && !owes) || (have.ended == ended && have.used != used)) {
        Violation("after a cut shard " + std::to_string(shard.value) + " does not know what data " +
                  Name(want.rank) + " has used");
      }
      // A new primary may owe a step that its worker brings again.
      const bool owed = want.whole && ended >= *want.whole && ended < want.ended;
      if ((ended == want.ended || owed) && have.ended >= ended) continue;
      Violation("after a cut " + Name(want.rank) + " stands at step " + std::to_string(ended) +
                " on shard " + std::to_string(shard.value) + ", and the cut is " +
                std::to_string(want.ended));
    }
  }
}

void Ledger::SawEnd(ShardId shard, const Shard& state, bool done) {
  Life& life = LifeOf(state.view().generation);
  const std::string words = life.shards[shard.value].shadow.Differs(state);
  if (!words.empty()) Violation("at rest shard " + std::to_string(shard.value) + " " + words);
  for (const RankState& rank : state.States()) {
    const bool known = done && !model_.leased();
    const Step last = known ? model_.steps() : life.shards[shard.value].applied[rank.rank.value];
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
