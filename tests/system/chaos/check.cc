#include "tests/system/chaos/check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace shardmill::chaos {
namespace {

// What is known of one step of one rank.
struct Known {
  bool attempted = false;
  bool counted = false;
  bool discarded = false;
};

// Holds one reading of all tables against the journals.
class Checker final {
 public:
  Checker(Cluster& cluster, const Probe& probe, const FinalValues& values)
      : cluster_(cluster),
        probe_(probe),
        values_(values),
        applied_(probe.workers() * (probe.steps() + 1)) {
    ReadJournals();
    for (uint32_t rank = 0; rank < probe.workers(); ++rank) {
      holders_.push_back(cluster.HoldersOf(rank));
    }
  }

  Tally Run() {
    for (uint32_t worker = 0; worker < probe_.workers(); ++worker) {
      for (uint64_t step = 1; step <= probe_.steps(); ++step) CheckStep(worker, step);
    }
    for (uint32_t shard = 0; shard < probe_.shards(); ++shard) CheckShard(shard);
    CheckRows();
    return tally_;
  }

 private:
  // In the order in which it was written: what was known of steps before the job went back is void.
  void ReadJournals() {
    std::vector<std::tuple<uint64_t, uint32_t, const Record*>> all;
    for (const auto& life : cluster_.lives()) {
      for (const Record& record : life->records)
        all.emplace_back(record.at_ns, life->rank, &record);
    }
    std::ranges::sort(all);
    std::map<std::string, uint64_t>
        back_to;  // By generation, the lowest step that any went on with.
    for (const auto& [at_ns, rank, entry] : all) {
      if (entry->event != Event::kWentBack) continue;
      const auto found = back_to.try_emplace(entry->words, entry->step).first;
      found->second = std::min(found->second, entry->step);
    }
    for (const auto& [at_ns, rank, entry] : all) {
      const Record& record = *entry;
      if (record.event == Event::kWentBack) {
        known_.erase(known_.lower_bound({rank, record.step}), known_.lower_bound({rank + 1, 0}));
        ForgetAnswers(rank, back_to[record.words]);
      }
      if (record.step == 0 || record.step > probe_.steps()) continue;
      Known& known = known_[{rank, record.step}];
      known.attempted |= record.event == Event::kAttempt;
      known.counted |= record.event == Event::kCounted;
      known.discarded |= record.event == Event::kDiscarded;
    }
  }

  // With backup workers rounds may have closed without this one before it heard that the job had
  // gone back: then it goes on with a later step than the one that it went back to, which is about
  // that of others.
  void ForgetAnswers(uint32_t rank, uint64_t others_step) {
    if (cluster_.plan().backups == 0) return;
    for (auto& [step, known] : known_) {
      if (step.first != rank || step.second + 2 < others_step) continue;
      known.counted = false;
      known.discarded = false;
    }
  }

  // The process that the step is of: the last that was granted the rank at the step or before it.
  // Of two processes one may have made it on some shards and the other on the rest, where all die
  // at once.
  bool MayHaveMade(uint32_t worker, uint64_t step, uint32_t life) const {
    bool may = false;
    for (const Life* holder : holders_[worker]) {
      const uint64_t first = holder->Find(Event::kGranted)->step;
      const bool again = cluster_.plan().logs && first == step;
      if (first <= step) may = holder->number == life || (may && again);
    }
    return may;
  }

  bool& Applied(uint32_t worker, uint64_t step) {
    return applied_[worker * (probe_.steps() + 1) + step].value;
  }

  void CheckStep(uint32_t worker, uint64_t step) {
    const Known known = known_[{worker, step}];
    const std::string what = "step " + std::to_string(step) + " of rank " + std::to_string(worker);
    std::optional<bool> there;
    bool lost = false;
    bool twice = false;
    for (uint32_t shard = 0; shard < probe_.shards(); ++shard) {
      const float value = values_.probe[probe_.Tally(shard, worker, step)];
      const uint32_t times = Probe::TimesOf(value);
      if (!probe_.Touches(worker, step, shard)) {
        if (value != 0) cluster_.Violation(what + " is on a shard that it does not touch");
        continue;
      }
      lost |= known.counted && times == 0;
      twice |= times > 1;
      if (there && *there != (times > 0)) cluster_.Violation(what + " is on some shards only");
      there = times > 0;
      if (times == 1) CheckMaker(worker, step, Probe::LivesOf(value), what);
    }
    tally_.lost += lost ? 1 : 0;
    tally_.duplicated += twice ? 1 : 0;
    const bool backups = cluster_.plan().backups > 0;
    const bool applied = there.value_or(known.counted || !backups);
    if (applied && !known.attempted) cluster_.Violation(what + " counts, and nobody made it");
    if (applied && known.discarded) cluster_.Violation(what + " was discarded, and counts");
    if (!applied && !known.counted && !backups) cluster_.Violation(what + " does not count");
    Applied(worker, step) = applied;
    const bool told = known.counted || known.discarded;
    unknown_ += backups && !there && !told && known.attempted ? 1 : 0;
  }

  void CheckMaker(uint32_t worker, uint64_t step, uint32_t life, const std::string& what) {
    if (MayHaveMade(worker, step, life)) return;
    cluster_.Violation(what + " was made by process " + std::to_string(life) +
                       ", which did not have the rank then");
  }

  void CheckShard(uint32_t shard) {
    float sum = 0;
    for (uint32_t worker = 0; worker < probe_.workers(); ++worker) {
      const float n = values_.probe[probe_.Counter(shard, worker)];
      uint64_t wanted = 0;
      for (uint64_t step = 1; step <= probe_.steps(); ++step) {
        wanted += Applied(worker, step) && probe_.Touches(worker, step, shard) ? 1 : 0;
      }
      sum += n;
      if (n == static_cast<float>(wanted)) continue;
      cluster_.Violation("n[" + std::to_string(worker) + "] on shard " + std::to_string(shard) +
                         " is " + std::to_string(n) + "; " + std::to_string(wanted) +
                         " steps are there");
    }
    const auto begin = values_.bulk.begin() + static_cast<ptrdiff_t>(shard * Probe::kBulk);
    const auto other =
        std::find_if(begin, begin + Probe::kBulk, [sum](float x) { return x != sum; });
    if (other == begin + Probe::kBulk) return;
    cluster_.Violation("\"bulk\" on shard " + std::to_string(shard) + " has " +
                       std::to_string(*other) + " in it, and " + std::to_string(sum) +
                       " pushes were made");
  }

  void CheckRows() {
    const std::vector<uint64_t> keys = probe_.AllKeys();
    std::map<uint64_t, float> wanted;
    for (uint32_t worker = 0; worker < probe_.workers(); ++worker) {
      for (uint64_t step = 1; step <= probe_.steps(); ++step) {
        if (!Applied(worker, step)) continue;
        for (const uint64_t key : probe_.Keys(worker, step)) ++wanted[key];
      }
    }
    // A step that touches no counter, and of which nobody knows whether it counts.
    if (unknown_ > 0) return;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (values_.rows[i] == wanted[keys[i]]) continue;
      cluster_.Violation("row " + std::to_string(i) + " is " + std::to_string(values_.rows[i]) +
                         " and should be " + std::to_string(wanted[keys[i]]));
    }
  }

  struct Flag {
    bool value = false;
  };

  Cluster& cluster_;
  const Probe& probe_;
  const FinalValues& values_;
  std::map<std::pair<uint32_t, uint64_t>, Known> known_;
  std::vector<std::vector<const Life*>> holders_;  // By rank.
  std::vector<Flag> applied_;                      // By rank and step.
  uint64_t unknown_ = 0;
  Tally tally_;
};

// Each row is used once in each epoch.
Tally CheckUses(const std::vector<float>& uses, uint64_t epochs) {
  Tally tally;
  for (const float value : uses) {
    const auto times = static_cast<uint64_t>(value);
    tally.lost += epochs - std::min(times, epochs);
    tally.duplicated += times - std::min(times, epochs);
  }
  return tally;
}

FinalValues SizesOf(const Probe& probe) {
  FinalValues sizes;
  sizes.probe.resize(probe.shards() * probe.Line());
  sizes.bulk.resize(probe.shards() * Probe::kBulk);
  sizes.rows.resize(probe.AllKeys().size());
  return sizes;
}

}  // namespace

Tally CheckValues(Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  const bool elastic = plan.rows > 0;
  const Probe probe(plan.seed, plan.workers, plan.shards(), plan.steps);
  FinalValues sizes = elastic ? FinalValues{} : SizesOf(probe);
  sizes.uses.resize(plan.rows);
  Tally worst;
  uint64_t readers = 0;
  for (const auto& life : cluster.lives()) {
    if (life->Find(Event::kFinal) == nullptr) continue;
    const std::optional<FinalValues> values = ReadFinal(FinalPath(life->journal), sizes);
    if (!values) {
      cluster.Violation("what was read in the end cannot be read: " + life->journal);
      continue;
    }
    ++readers;
    const Tally tally =
        elastic ? CheckUses(values->uses, plan.epochs) : Checker(cluster, probe, *values).Run();
    worst.lost = std::max(worst.lost, tally.lost);
    worst.duplicated = std::max(worst.duplicated, tally.duplicated);
  }
  if (readers == 0) cluster.Violation("nobody has read the end");
  return worst;
}

}  // namespace shardmill::chaos
