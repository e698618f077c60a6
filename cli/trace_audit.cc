#include "cli/trace_audit.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "cli/trace_reader.h"

namespace shardmill {
namespace {

std::string StepWords(Step step, uint32_t rank) {
  return "step " + std::to_string(step) + " of worker " + std::to_string(rank);
}

std::string Stated(const char* what, uint64_t stated, uint64_t real) {
  return ": " + std::string(what) + " is said to be " + std::to_string(stated) + " and is " +
         std::to_string(real);
}

}  // namespace

ShardAudit::ShardAudit(const TraceHead& head) : head_(head) { totals_.id = head.shard.value; }

void ShardAudit::Take(uint64_t line, const TraceEvent& event) {
  line_ = line;
  if (const auto* view = std::get_if<View>(&event)) TakeView(*view);
  if (const auto* restored = std::get_if<TraceRestored>(&event)) TakeRestored(*restored);
  if (const auto* entry = std::get_if<LogEntry>(&event)) TakeEntry(*entry);
  if (const auto* served = std::get_if<TraceServed>(&event)) TakeServed(*served);
}

void ShardAudit::Expect(bool holds, const std::string& words) {
  if (holds) return;
  ++violations_found_;
  if (violations_.size() < kViolationsKeptMax) violations_.push_back({totals_.id, line_, words});
}

ShardAudit::EndedByRank ShardAudit::Ended() const {
  EndedByRank ended;
  for (const auto& [id, rank] : ranks_) ended[id] = rank.ended;
  return ended;
}

uint64_t ShardAudit::RoundAfter(const Rank& rank, Step step) const {
  // Unsigned: a step from a file may be any number, and signed overflow is not defined.
  const uint64_t rounds = step - static_cast<uint64_t>(rank.base);
  return static_cast<int64_t>(rounds) > 0 ? rounds : 0;
}

uint64_t ShardAudit::Closed() const {
  std::optional<uint64_t> fewest;
  for (const auto& [id, rank] : ranks_) {
    if (!rank.member) continue;
    const uint64_t rounds = RoundAfter(rank, rank.ended);
    fewest = std::min(fewest.value_or(rounds), rounds);
  }
  return fewest.value_or(0);
}

void ShardAudit::TakeView(const View& view) {
  Expect(view.number.value > view_,
         "view " + std::to_string(view.number.value) + " after view " + std::to_string(view_));
  view_ = view.number.value;
  for (auto& [id, rank] : ranks_) rank.member = false;
  for (const Member& member : view.members) {
    Rank& rank = ranks_[member.rank.value];
    const std::string who = "worker " + std::to_string(member.rank.value);
    Expect(!rank.member, who + " is a member twice");
    Expect(member.incarnation.value >= rank.incarnation, who + " is of an earlier incarnation");
    rank.member = true;
    rank.incarnation = member.incarnation.value;
    rank.base = member.base;
  }
  at_view_[view_] = Ended();
}

void ShardAudit::TakeRestored(const TraceRestored& restored) {
  version_ = restored.version;
  for (const RankState& state : restored.ranks) {
    Rank& rank = ranks_[state.rank.value];
    rank.ended = state.ended;
    rank.discarded.clear();
  }
  at_view_[view_] = Ended();
}

void ShardAudit::TakeEntry(const LogEntry& entry) {
  ++totals_.applied;
  Expect(entry.version == version_ + 1,
         "version " + std::to_string(entry.version) + " after version " + std::to_string(version_));
  version_ = entry.version;
  Expect(!entry.made.empty(), "an entry without a step");
  const bool alone = head_.policy.apply == ApplyRule::kOnArrival;
  Expect(!alone || entry.made.size() == 1, "several steps in one entry, and none waits for others");
  for (const Contribution& made : entry.made) TakeStep(made);
}

void ShardAudit::TakeStep(const Contribution& made) {
  const std::string step = StepWords(made.step, made.rank.value);
  Rank& rank = ranks_[made.rank.value];
  Expect(rank.member, step + " is made, and that worker is no member");
  if (made.step <= rank.ended) {
    Expect(false, step + " is made twice");
    return;
  }
  Expect(made.step == rank.ended + 1,
         step + " is made after step " + std::to_string(rank.ended) + ": one is left out");
  Expect(!made.discarded || head_.policy.backups > 0,
         step + " is discarded, and there are no backup workers");
  rank.ended = made.step;
  if (made.discarded) rank.discarded.insert(made.step);
}

void ShardAudit::TakeServed(const TraceServed& served) {
  ++totals_.served;
  const Pull& pull = served.pull;
  const uint32_t id = pull.sender.rank.value;
  const Rank& rank = ranks_[id];
  const std::string who = "pull " + std::to_string(pull.pull) + " for " + StepWords(pull.step, id);
  Expect(rank.member, who + ": that worker is no member");
  Expect(pull.sender.incarnation.value == rank.incarnation,
         who + ": that process does not hold the rank");
  const uint64_t round = pull.step == 0 ? 0 : RoundAfter(rank, pull.step - 1);
  const uint64_t closed = Closed();
  const uint64_t staleness = round > closed ? round - closed : 0;
  totals_.staleness_max = std::max(totals_.staleness_max, staleness);
  Expect(served.closed == closed, who + Stated("closed", served.closed, closed));
  Expect(served.version == version_, who + Stated("version", served.version, version_));
  Expect(served.staleness == staleness, who + Stated("staleness", served.staleness, staleness));
  Expect(closed >= pull.closed_min, who + " is served when " + std::to_string(closed) +
                                        " rounds are closed, and it asked for " +
                                        std::to_string(pull.closed_min));
  Expect(!head_.policy.bounded || staleness <= head_.policy.staleness,
         who + " is served too early: for round " + std::to_string(round) + " when " +
             std::to_string(closed) + " are closed, and the bound is " +
             std::to_string(head_.policy.staleness));
  const bool own = head_.policy.apply != ApplyRule::kOnArrival || rank.ended + 1 >= pull.step;
  Expect(own, who + " is served without the reader's own step " + std::to_string(pull.step - 1));
}

// Where the shards may be `apart` by so many steps of a worker.
void ShardAudit::CompareSteps(const ShardAudit& other, const EndedByRank& own,
                              const EndedByRank& others, Step apart, const std::string& when) {
  EndedByRank all = own;
  all.insert(others.begin(), others.end());
  for (const auto& [id, any] : all) {
    const auto at = [rank = id](const EndedByRank& ended) {
      const auto found = ended.find(rank);
      return found == ended.end() ? 0 : found->second;
    };
    const Step here = at(own);
    const Step there = at(others);
    const std::string name = "shard " + std::to_string(other.totals_.id);
    Expect(here + apart >= there,
           when + " it lacks " + StepWords(here + 1, id) + ", which " + name + " has made");
    Expect(there + apart >= here,
           when + " it has made " + StepWords(there + 1, id) + ", which " + name + " lacks");
  }
}

void ShardAudit::CompareWith(const ShardAudit& other) {
  line_ = 0;
  for (const auto& [view, ended] : at_view_) {
    const auto found = other.at_view_.find(view);
    if (found == other.at_view_.end()) continue;
    CompareSteps(other, ended, found->second, 0, "at view " + std::to_string(view));
  }
  // At the end of a run that was stopped a step may be under way: a worker goes on when all shards
  // have ended its step, so it is one at most.
  if (totals_.flaw.empty() && other.totals_.flaw.empty()) {
    CompareSteps(other, Ended(), other.Ended(), 1, "at the end");
  }
  for (const auto& [id, rank] : ranks_) {
    const auto found = other.ranks_.find(id);
    if (found == other.ranks_.end()) continue;
    const Step both = std::min(rank.ended, found->second.ended);
    std::vector<Step> differ;
    std::ranges::set_symmetric_difference(rank.discarded, found->second.discarded,
                                          std::back_inserter(differ));
    for (const Step step : differ) {
      Expect(step > both, StepWords(step, id) + " is discarded here or on shard " +
                              std::to_string(other.totals_.id) + ", and not on both");
    }
  }
}

Result<AuditReport> AuditTraces(const std::vector<std::string>& paths) {
  std::map<uint32_t, std::unique_ptr<ShardAudit>> audits;
  std::optional<TraceHead> first;
  for (const std::string& path : paths) {
    const std::unique_ptr<TraceReader> reader = SM_TRY(TraceReader::Open(path));
    const TraceHead& head = reader->head();
    auto& audit = audits[head.shard.value];
    if (audit != nullptr) {
      return Error{ErrorCode::kBadUsage,
                   path + ": a second trace of shard " + std::to_string(head.shard.value)};
    }
    audit = std::make_unique<ShardAudit>(head);
    if (!first) first = head;
    TraceHead alike = head;
    alike.shard = first->shard;
    if (alike != *first) {
      return Error{ErrorCode::kBadUsage, path + ": the trace is of another run than " + paths[0]};
    }
    while (true) {
      const std::optional<TraceEvent> event = SM_TRY(reader->Next());
      if (!event) break;
      audit->Take(reader->line(), *event);
    }
    audit->SetFlaw(reader->flaw());
  }
  AuditReport report;
  for (auto& [id, audit] : audits) {
    if (audit != audits.begin()->second) audit->CompareWith(*audits.begin()->second);
    report.policy = audit->head().policy;
    report.shards.push_back(audit->totals());
    report.violations_found += audit->violations_found();
    for (const TraceViolation& violation : audit->violations()) {
      if (report.violations.size() < kViolationsKeptMax) report.violations.push_back(violation);
    }
    const std::string& flaw = audit->totals().flaw;
    if (!flaw.empty()) {
      report.notes.push_back("the trace of shard " + std::to_string(id) + ": " + flaw +
                             "; what came after is not proved");
    }
  }
  const uint32_t wanted = first ? first->shards : 0;
  if (audits.size() < wanted) {
    report.notes.push_back("there are traces of " + std::to_string(audits.size()) + " of " +
                           std::to_string(wanted) + " shards; what the others did is not proved");
  }
  return report;
}

}  // namespace shardmill
