// The half of Coordinator that changes the view: one cut at a time, and what is noticed by time.

#include <algorithm>
#include <utility>

#include "common/config/text.h"
#include "common/mutation.h"
#include "common/net/endpoint.h"
#include "server/coordinator.h"

namespace shardmill {
namespace {

// Who lives connects anew and is heard of within that time.
constexpr Duration kComesBackWithin = std::chrono::milliseconds(500);
constexpr Duration kReplacedAfter = std::chrono::milliseconds(100);

// A shard's part of a table: near-equal bytes in whole cache lines, or near-equal buckets.
std::vector<uint64_t> CutTable(const TableSpec& spec, uint32_t shards) {
  const uint64_t size = spec.sparse() ? kBuckets : spec.size;
  const uint64_t piece = spec.sparse() ? 1 : 16;
  std::vector<uint64_t> cuts;
  const uint64_t pieces = (size + piece - 1) / piece;
  for (uint64_t i = 0; i <= shards; ++i) {
    const uint64_t at = pieces / shards * i + std::min(i, pieces % shards);
    cuts.push_back(std::min(at * piece, size));
  }
  return cuts;
}

}  // namespace

bool Coordinator::ChangeWanted(TimePoint now) const {
  using State = RankStatus::State;
  const auto waits = [](const RankStatus& rank) { return rank.state == State::kWaiting; };
  if (state_ == JobState::kDone) return false;
  if (recut_ || promotion_) return true;
  if (view_.number.value == 0) {
    // The first view has everybody, so that a job's membership history begins the same every time.
    return std::ranges::count_if(ranks_, waits) >= options_.workers &&
           std::ranges::all_of(shards_, [](const ShardStatus& s) { return s.registered; }) &&
           AllReplicasAreHere();
  }
  // The job's last cut is made when the snapshot before it is over.
  return std::ranges::any_of(ranks_, waits) || !wanted_tables_.empty() || SnapshotDue(now) ||
         SomebodyLeaves() || (AllDone() && !saving_ && now >= final_retry_at_);
}

void Coordinator::BeginCut(TimePoint now, Outbox& outbox) {
  phase_ = Phase::kFreezing;
  recut_ = false;
  frozen_.clear();
  installed_.clear();
  next_ = View{};
  next_.number = decided_.number.Next();
  SendCut(now, outbox);
}

void Coordinator::SendCut(TimePoint now, Outbox& outbox) {
  asked_at_ = now;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const ShardId id{i};
    if (phase_ == Phase::kFreezing && !frozen_.contains(id)) {
      Send(shards_[i].peer, shards_[i].boot, Freeze{next_.number, copies_[i].term}, outbox);
      // A new primary does not know its replicas, and says nothing before it does.
      SendReplicas(id, outbox);
    }
    if (phase_ == Phase::kInstalling && !installed_.contains(id)) {
      Send(shards_[i].peer, shards_[i].boot,
           Install{next_, cut_, install_snapshot_, install_restore_}, outbox);
    }
  }
}

// Steps that a shard lacks, and cannot complete from what it holds, are made again by their
// workers; a worker that comes in their place begins with them.
void Coordinator::MarkOwed(TimePoint now) {
  for (const auto& [shard, answer] : frozen_) {
    if (!answer.owes) continue;
    for (RankState& state : cut_) {
      const auto here = std::ranges::find(answer.ranks, state.rank, &RankState::rank);
      const Step ended = here == answer.ranks.end() ? 0 : here->ended;
      if (ended >= state.ended) continue;
      state.whole = std::min(ended, state.whole.value_or(ended));
      owing_at_ = now;
    }
  }
}

// Whoever comes in a dead worker's place makes the same step from the same data; but where data is
// leased, nobody has the dead one's. Then the job goes back.
bool Coordinator::LosesOwed(TimePoint now) {
  if (!options_.data.leased || Mutated(Mutation::kForgetOwed)) return false;
  for (const RankState& state : cut_) {
    const RankStatus& rank = ranks_[state.rank.value];
    const bool gone = Leaves(rank) || rank.state == RankStatus::State::kWaiting;
    if (!state.whole || !gone) continue;
    Lose("the last step of worker " + std::to_string(state.rank.value),
         " is on some shards alone, and its worker is gone, with the primary of another", now);
    return true;
  }
  return false;
}

// All shards stand still: the cut is each rank's last step on the shard that is furthest.
void Coordinator::FinishFreeze(TimePoint now, Outbox& outbox) {
  std::map<WorkerId, RankState> furthest;
  for (const auto& [shard, answer] : frozen_) {
    for (const RankState& state : answer.ranks) {
      RankState& most = furthest.try_emplace(state.rank, state).first->second;
      if (state.ended > most.ended) most = state;
    }
  }
  cut_.clear();
  for (auto& [rank, state] : furthest) cut_.push_back(state);
  MarkOwed(now);
  if (LosesOwed(now)) return;
  const bool restores = decided_.number.value == 0 && options_.resume;
  if (restores) {
    for (const TablePlace& table : options_.resume->view.tables) {
      unclaimed_.insert(table.spec.name);
    }
    cut_ = options_.resume->cut;
    std::erase_if(cut_, [this](const RankState& s) { return s.rank.value >= options_.ranks(); });
  }
  next_ = NextView();
  LetGo();
  final_cut_ = AllDone();
  if (final_cut_) CountAudit();
  install_snapshot_ = 0;
  install_restore_ = 0;
  if (restores) {
    install_restore_ = options_.resume->number;
  } else if (SnapshotDue(now)) {
    BeginSnapshot(now);
  }
  for (uint32_t i = 0; i < ranks_.size(); ++i) {
    const Member* member = next_.FindMember(WorkerId{i});
    if (member == nullptr || member->incarnation == ranks_[i].incarnation) continue;
    ranks_[i].incarnation = member->incarnation;
    ranks_[i].granted = true;
    ranks_[i].state = RankStatus::State::kTraining;
    ranks_[i].lease_until = now + options_.lease;
  }
  wanted_tables_.clear();
  decided_ = next_;
  promotion_ = false;
  LetRetire(outbox);
  phase_ = Phase::kInstalling;
  changed_ = !Mutated(Mutation::kSpeakBeforeWriting);
  SendCut(now, outbox);
}

View Coordinator::NextView() const {
  View next = decided_;
  next.number = decided_.number.Next();
  if (next.shards.empty()) {
    for (uint32_t i = 0; i < shards_.size(); ++i) {
      next.shards.push_back({ShardId{i}, copies_[i].term, shards_[i].boot, shards_[i].endpoint});
    }
  }
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (next.shards[i].term == copies_[i].term) continue;
    next.shards[i] = {ShardId{i}, copies_[i].term, shards_[i].boot, shards_[i].endpoint};
  }
  std::map<WorkerId, Member> members;
  for (const Member& member : decided_.members) {
    if (!Leaves(ranks_[member.rank.value])) members[member.rank] = member;
  }
  next.closed = ClosedAtCut();
  for (uint32_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].state != RankStatus::State::kWaiting) continue;
    const WorkerId id{i};
    const bool joins = !members.contains(id);
    Member& member = members[id];
    // The next step of who comes in belongs to the first round that is open.
    if (joins && options_.data.leased && !Mutated(Mutation::kJoinAtZero)) {
      member.base = static_cast<int64_t>(EndedAt(id) - next.closed);
    }
    member.rank = id;
    member.incarnation = ranks_[i].incarnation.Next();
    if (Mutated(Mutation::kGrantTwice) && ranks_[i].incarnation.value > 0) {
      member.incarnation = ranks_[i].incarnation;
    }
  }
  if (decided_.number.value == 0 && options_.resume) {
    next.tables = options_.resume->view.tables;
    for (TablePlace& table : next.tables) {
      if (table.spec.update == options_.update) table.spec.update.reset();
      table.cuts = CutTable(table.spec, options_.shards);
    }
  }
  next.members.clear();
  for (const auto& [id, member] : members) next.members.push_back(member);
  for (const auto& [name, spec] : wanted_tables_) {
    const auto there = std::ranges::find(next.tables, name,
                                         [](const TablePlace& table) { return table.spec.name; });
    if (there != next.tables.end() && !Mutated(Mutation::kTableTwice)) {
      there->spec = spec;
      continue;
    }
    const TableId id{static_cast<uint32_t>(next.tables.size() + 1)};
    next.tables.push_back({id, spec, CutTable(spec, options_.shards)});
  }
  return next;
}

void Coordinator::FinishInstall(TimePoint /*now*/, Outbox& outbox) {
  if (state_ == JobState::kFailed) return;
  std::vector<bool> granted(ranks_.size());
  const bool anew = next_.generation != view_.generation;
  for (const Member& member : next_.members) {
    const Member* before = view_.FindMember(member.rank);
    granted[member.rank.value] =
        anew || before == nullptr || before->incarnation != member.incarnation;
  }
  view_ = next_;
  phase_ = Phase::kIdle;
  state_ = JobState::kTraining;
  words_.clear();
  const bool saves = saving_ && saving_->final;
  if (final_cut_ && !saves && (view_.tables.empty() || !FinalSnapshotWanted())) EndJob();
  for (uint32_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].state == RankStatus::State::kAbsent) continue;
    if (granted[i] && ranks_[i].granted) {
      Grant(ranks_[i], WorkerId{i}, outbox);
    } else if (ranks_[i].state != RankStatus::State::kDone) {
      Send(ranks_[i].peer, ranks_[i].boot, ViewIs{view_}, outbox);
    }
  }
  FeedHungry(outbox);
}

void Coordinator::CountAudit() {
  audit_ = {};  // The last cut may be made again.
  for (const auto& [shard, answer] : frozen_) {
    for (const RankState& state : answer.ranks) {
      const Step acked = ranks_[state.rank.value].acked;
      const uint64_t made = state.applied + state.discarded;
      audit_.lost += acked > made ? acked - made : 0;
      audit_.duplicated += made > state.ended ? made - state.ended : 0;
    }
  }
  if (!options_.data.leased) return;
  const uint64_t used = leases_.state().used;
  const uint64_t places = leases_.Places();
  audit_.samples_lost = places > used ? places - used : 0;
  audit_.samples_repeated = used > places ? used - places : 0;
}

std::string Coordinator::MissingWords() const {
  std::string names;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (!shards_[i].registered)
      names += (names.empty() ? "shard " : ", shard ") + std::to_string(i);
    for (const ShardStatus& replica : copies_[i].replicas) {
      if (replica.registered) continue;
      names += (names.empty() ? "copy " : ", copy ") + std::to_string(replica.copy) + " of shard " +
               std::to_string(i);
    }
  }
  if (options_.elastic()) {
    const auto waits = [](const RankStatus& r) { return r.state == RankStatus::State::kWaiting; };
    const auto here = static_cast<uint32_t>(std::ranges::count_if(ranks_, waits));
    if (here < options_.workers) {
      names += (names.empty() ? "" : ", ") + std::to_string(options_.workers - here) + " workers";
    }
    return "waiting for " + names;
  }
  for (uint32_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].state == RankStatus::State::kWaiting) continue;
    names += (names.empty() ? "worker " : ", worker ") + std::to_string(i);
  }
  return "waiting for " + names;
}

// Whom the cut under way waits for.
std::string Coordinator::CutWords() const {
  std::string names;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const ShardId id{i};
    if (phase_ == Phase::kFreezing ? frozen_.contains(id) : installed_.contains(id)) continue;
    names += (names.empty() ? "shard " : ", shard ") + std::to_string(i);
  }
  return "waiting for " + names + " to take a new view";
}

// A shard that is gone takes its part of the tables with it. One that is only silent is named.
void Coordinator::CheckShards(TimePoint now) {
  if (view_.number.value == 0 || state_ == JobState::kDone) return;
  words_ = going_back_ ? GoingBackWords() : phase_ == Phase::kIdle ? SavingWords() : CutWords();
  if (words_.empty() && view_.members.empty()) words_ = "waiting for a worker to join";
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (!Silent(shards_[i], now)) continue;
    const Duration heard_ago = now - std::max(shards_[i].heard_at, awake_since_);
    const auto silent = std::chrono::round<std::chrono::seconds>(heard_ago);
    words_ = "shard " + std::to_string(i) + " at " + Endpoint::Parse(shards_[i].endpoint).tcp +
             " has not been heard of for " + config::FormatDuration(silent) +
             (options_.logs ? "; start it again, and it goes on from its log"
              : options_.snapshots.enabled
                  ? "; start it again, and the job goes back to its last snapshot"
                  : "");
    if (heard_ago > options_.silence_limit) Fail(words_);
    return;
  }
}

void Coordinator::CheckStart(TimePoint now) {
  if (view_.number.value != 0) return;
  words_ = phase_ == Phase::kIdle ? MissingWords() : CutWords();
  if (now - started_ < options_.start_timeout) return;
  const auto limit = std::chrono::round<std::chrono::milliseconds>(options_.start_timeout);
  Fail("the job did not begin within " + config::FormatDuration(limit) +
       " (cluster.start_timeout): " + words_);
  timed_out_ = true;
}

// A coordinator that stood still has heard nobody: that is no reason to take anybody for dead who
// was not silent before.
void Coordinator::ForgiveSilence(TimePoint now) {
  const std::optional<TimePoint> before = std::exchange(ticked_at_, now);
  if (!before || now - *before <= options_.lease / 2) return;
  awake_since_ = now;
  const auto forgive = [&](TimePoint& lease_until, Duration lease) {
    if (lease_until >= *before) lease_until = std::max(lease_until, now + lease);
  };
  const auto forgive_copy = [&](ShardStatus& copy) {
    forgive(copy.lease_until, copy.link_ended ? LeaseWithoutLink() : options_.lease);
  };
  for (RankStatus& rank : ranks_) forgive(rank.lease_until, options_.lease);
  for (auto& [index, host] : hosts_) forgive(host.lease_until, options_.lease);
  std::ranges::for_each(shards_, forgive_copy);
  for (Copies& copies : copies_) std::ranges::for_each(copies.replicas, forgive_copy);
}

void Coordinator::HeardOf(ShardStatus& shard, TimePoint now) const {
  shard.heard_at = now;
  shard.lease_until = now + options_.lease;
  shard.link_ended = false;
}

Duration Coordinator::ComesBackWithin() const {
  return std::min<Duration>(options_.lease / 2, kComesBackWithin);
}

// Where another can take a copy's place there is less to lose by taking it for gone.
Duration Coordinator::LeaseWithoutLink() const {
  return options_.replicas > 0 ? kReplacedAfter : ComesBackWithin();
}

void Coordinator::LinkEnded(TimePoint now, PeerId peer) {
  const TimePoint soon = now + ComesBackWithin();
  for (RankStatus& rank : ranks_) {
    if (rank.lease_peer == peer) rank.lease_until = std::min(rank.lease_until, soon);
  }
  for (auto& [index, host] : hosts_) {
    if (host.peer == peer) host.lease_until = std::min(host.lease_until, soon);
  }
  const auto shorten = [&](ShardStatus& copy) {
    if (copy.peer != peer) return;
    copy.lease_until = std::min(copy.lease_until, now + LeaseWithoutLink());
    copy.link_ended = true;
  };
  std::ranges::for_each(shards_, shorten);
  for (Copies& copies : copies_) std::ranges::for_each(copies.replicas, shorten);
}

void Coordinator::CheckLeases(TimePoint now) {
  using State = RankStatus::State;
  for (RankStatus& rank : ranks_) {
    if (now < rank.lease_until) continue;
    // One that only waits may be forgotten, but not while the view that lets it in is being made:
    // the first view has everybody. One that trains is awaited: its place stays.
    if (rank.state == State::kWaiting && phase_ == Phase::kIdle) rank.state = State::kAbsent;
    if (rank.state == State::kTraining) rank.state = State::kSilent;
  }
}

void Coordinator::Fail(std::string words) {
  if (state_ == JobState::kFailed) return;
  state_ = JobState::kFailed;
  words_ = std::move(words);
  changed_ = true;
}

}  // namespace shardmill
