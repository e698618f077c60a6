// The part of Coordinator that knows who has which shard, and takes the job back to its last
// snapshot where one is lost.

#include <algorithm>
#include <utility>

#include "common/mutation.h"
#include "server/coordinator.h"

namespace shardmill {
namespace {

// The last snapshot of this generation, or the one that it began from.
std::optional<Manifest> LastOf(const std::vector<Manifest>& kept, const CoordinatorState& state) {
  std::optional<Manifest> last;
  for (const Manifest& one : kept) {
    const bool own = one.job == state.job && one.view.generation == state.decided.view.generation;
    if ((own || one.number == state.base) && one.number > 0) last = one;
  }
  return last;
}

}  // namespace

void Coordinator::FindLastSnapshot(const CoordinatorState& before) {
  base_ = before.base;
  rollbacks_ = before.rollbacks;
  last_ = LastOf(options_.kept, before);
}

void Coordinator::On(const Register& request, TimePoint now, const Envelope& from, Outbox& outbox) {
  const std::string name = "shard " + std::to_string(request.shard.value);
  const auto refuse = [&](Refusal code, std::string words) {
    Refuse(code, request.shard.value, std::move(words), from, outbox);
  };
  if (request.shard.value >= options_.shards) {
    refuse(Refusal::kBadRank,
           "there is no " + name + "; the job has " + std::to_string(options_.shards));
    return;
  }
  ShardStatus& shard = shards_[request.shard.value];
  std::vector<ShardStatus>& replicas = copies_[request.shard.value].replicas;
  const auto is_sender = [&](const ShardStatus& one) {
    return one.registered && one.boot == from.stamp.from;
  };
  if (state_ == JobState::kDone && !is_sender(shard) && std::ranges::none_of(replicas, is_sender)) {
    refuse(Refusal::kDone, "the job is done");
    return;
  }
  for (ShardStatus& replica : replicas) {
    if (replica.copy != request.copy) continue;
    RegisterReplica(request, replica, now, from, outbox);
    return;
  }
  if (request.copy != shard.copy) {
    // Its server hears of that, too, and ends it.
    refuse(Refusal::kRankHeld, name + " has no copy " + std::to_string(request.copy) + " any more");
    return;
  }
  if (shard.registered && shard.boot != from.stamp.from) {
    if (!Silent(shard, now)) {
      // A second process must not cost the job the one that works.
      refuse(Refusal::kRankHeld,
             "another process holds " + name + "; it is free when that one's lease ends");
      return;
    }
    if (Promote(request.shard, now)) {
      On(request, now, from, outbox);  // As a replica.
      return;
    }
    if (!Restore(request, now)) {
      if (state_ == JobState::kFailed) {
        refuse(Refusal::kFailed, words_);
        return;
      }
      const std::string awaited = AwaitedWords(request, now);
      if (!awaited.empty()) {
        refuse(Refusal::kRankHeld, name + awaited);
        return;
      }
      Lose(name, LostWords(request), now);
      if (state_ == JobState::kFailed) {
        refuse(Refusal::kFailed, words_);
        return;
      }
      shard.beat = {};
    }
  }
  shard.registered = true;
  shard.leaves_at = shard.log_missed_at = {};
  shard.peer = from.peer;
  shard.boot = from.stamp.from;
  shard.endpoint = request.endpoint;
  HeardOf(shard, now);
  Send(from.peer, shard.boot, Registered{request.shard}, outbox);
}

void Coordinator::On(const Beat& beat, TimePoint now, const Envelope& from, Outbox& outbox) {
  if (TakeBeatOfReplica(beat, now, from, outbox)) {
    if (state_ == JobState::kFailed)
      Refuse(Refusal::kFailed, beat.shard.value, words_, from, outbox);
    return;
  }
  ShardId id;
  ShardStatus* shard = FindShard(from, now, &id);
  if (beat.shard.value >= options_.shards || (shard != nullptr && beat.shard != id)) return;
  if (beat.view > decided().number) {
    outdated_ = Error{ErrorCode::kBadUsage,
                      "shard " + std::to_string(beat.shard.value) + " has view " +
                          std::to_string(beat.view.value) +
                          " of this job, which this coordinator has never heard of: its log is not "
                          "the latest; start it on the folder that the last one wrote"};
    return;
  }
  if (shard == nullptr) {
    // It has registered with the process before this one; or it has lost its place.
    const bool fresh = beat.view.value == 0;
    if (!fresh && !HasPlace(beat.shard, beat.copy)) {
      // Its server hears of that.
      if (beat.leaving)
        Refuse(Refusal::kFenced, beat.shard.value, "this process may stop", from, outbox);
      return;
    }
    Refuse(fresh ? Refusal::kNotReady : Refusal::kFenced, beat.shard.value,
           fresh ? "who is this? register first"
                 : "another process holds shard " + std::to_string(beat.shard.value),
           from, outbox);
    return;
  }
  shard->beat = beat;
  // What follows it now follows what it was before the job went back.
  if (from.stamp.generation < decided().generation) shard->beat.in_sync.clear();
  if (!unclaimed_.empty()) {
    // Once steps are made, nobody says any more how the snapshot's tables go on.
    const Manifest& began = *options_.resume;
    const uint64_t closed = options_.data.leased ? ClosedOf(began) : ClosedAt(began.cut);
    if (beat.closed > closed) unclaimed_.clear();
  }
  TakeInSync(id, now, outbox);
  LetLeave(id, now, outbox);
  if (state_ == JobState::kFailed) Refuse(Refusal::kFailed, id.value, words_, from, outbox);
}

// A shard that has connected anew is still the same.
ShardStatus* Coordinator::FindShard(const Envelope& from, TimePoint now, ShardId* id) {
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    ShardStatus& shard = shards_[i];
    if (!shard.registered || shard.boot != from.stamp.from) continue;
    if (!Mutated(Mutation::kForgetNewLink)) shard.peer = from.peer;
    HeardOf(shard, now);
    *id = ShardId{i};
    return &shard;
  }
  return nullptr;
}

// What `name` had is gone, as in a shard in whose place a new process stands, and the job goes
// back.
void Coordinator::Lose(const std::string& name, const std::string& how, TimePoint now) {
  if (state_ == JobState::kDone || state_ == JobState::kFailed) return;
  if (decided().number.value == 0) {
    phase_ = Phase::kIdle;  // There is nothing to lose yet: the first cut begins anew.
    return;
  }
  if (!options_.snapshots.enabled) {
    Fail(name + how);
    return;
  }
  if (base_ != 0 && !last_) {
    Fail(name + how + ", and snapshot " + std::to_string(base_) +
         ", to which the job would go back, is not there any more");
    return;
  }
  const bool first = !going_back_;
  if (first) going_back_ = now;
  changed_ = true;
  rollback_words_ = first ? name + " was lost" : name + " was lost, " + rollback_words_;
  if (!saving_) return;
  ++snapshots_.given_up;
  snapshots_.under_way = 0;
  snapshots_.problem =
      "snapshot " + std::to_string(saving_->manifest.number) + ": " + rollback_words_;
  saving_.reset();
  to_write_.reset();
}

// Where several shards are lost at once, all must be there again: who was not heard of since may be
// gone as well.
bool Coordinator::AllShardsAreBack(TimePoint now) const {
  return std::ranges::all_of(shards_, [&](const ShardStatus& shard) {
    return shard.heard_at >= *going_back_ && !Silent(shard, now);
  });
}

std::string Coordinator::GoingBackWords() const {
  std::string names;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].heard_at >= *going_back_) continue;
    names += (names.empty() ? "shard " : ", shard ") + std::to_string(i);
  }
  return "waiting for " + names + " to be there, to go back to the last snapshot";
}

// The next generation begins where the last snapshot was made, or from nothing. Tables that were
// made since are made anew: they keep their ids, by which workers know them.
void Coordinator::GoBack(TimePoint now, Outbox& outbox) {
  going_back_.reset();
  View next = decided();
  next.generation = next.generation.Next();
  next.number = next.number.Next();
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    next.shards[i] = {ShardId{i}, copies_[i].term, shards_[i].boot, shards_[i].endpoint};
    // What they follow now is another stream.
    for (ShardStatus& replica : copies_[i].replicas) Strike(ShardId{i}, replica);
    SendReplicas(ShardId{i}, outbox);
  }
  for (Member& member : next.members) {
    const Member* then = last_ ? last_->view.FindMember(member.rank) : nullptr;
    member.base = then != nullptr ? then->base : 0;
  }
  cut_ = last_ ? last_->cut : std::vector<RankState>{};
  std::erase_if(cut_, [this](const RankState& s) { return s.rank.value >= options_.ranks(); });
  if (options_.data.leased) GoBackWithData(next);
  next_ = decided_ = std::move(next);
  promotion_ = false;
  LetRetire(outbox);
  base_ = last_ ? last_->number : 0;
  install_restore_ = base_;
  install_snapshot_ = 0;
  for (RankStatus& rank : ranks_) {
    rank.acked = 0;
    rank.report = {};
    if (rank.state != RankStatus::State::kDone) continue;
    rank.state = RankStatus::State::kTraining;  // It has steps to make again.
  }
  snapshot_at_ = now;
  snapshot_closed_ = ClosedAt(cut_);
  snapshot_epoch_ = last_epoch_;
  recut_ = false;
  final_cut_ = false;
  final_saved_ = false;
  final_tries_ = 0;
  audit_ = {};
  ++rollbacks_;
  frozen_.clear();
  installed_.clear();
  phase_ = Phase::kInstalling;
  changed_ = true;
  SendCut(now, outbox);
}

uint64_t Coordinator::ClosedAt(const std::vector<RankState>& cut) {
  uint64_t closed = cut.empty() ? 0 : ~uint64_t{0};
  for (const RankState& state : cut) closed = std::min(closed, state.ended);
  return closed;
}

// Whether what this message says is of before the job went back: then its sender is told, once
// there is something to tell.
bool Coordinator::IsOfBefore(const RankStatus& rank, WorkerId id, const Envelope& from,
                             Outbox& outbox) const {
  if (from.stamp.generation >= decided().generation) return false;
  if (view_.generation == decided().generation) Grant(rank, id, outbox);
  return true;
}

// Who has made all its steps stays until the job is over, where it can go back: it would have to
// make some of them again.
void Coordinator::TellOfEnd(const Envelope& from, Outbox& outbox) const {
  using State = RankStatus::State;
  const auto other = std::ranges::find_if(ranks_, [this](const RankStatus& r) {
    return r.state != State::kDone && !(options_.elastic() && r.state == State::kAbsent);
  });
  std::string words = "the end of the job";
  bool alive = true;
  if (other != ranks_.end()) {
    alive = other->state == State::kTraining || other->state == State::kWaiting;
    words += ": worker " + std::to_string(other - ranks_.begin()) +
             (alive ? " has made " : ", which is not heard of, has made ") +
             std::to_string(other->report.step) + " steps";
  } else if (!words_.empty()) {
    words += ": it is " + words_;
  }
  Refuse(alive ? Refusal::kBusy : Refusal::kNotReady, 0, std::move(words), from, outbox);
}

void Coordinator::SayFarewell(Outbox& outbox) {
  farewell_said_ = true;
  for (uint32_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].state != RankStatus::State::kDone || !ranks_[i].granted) continue;
    Send(ranks_[i].peer, ranks_[i].boot, Farewell{WorkerId{i}}, outbox);
  }
}

}  // namespace shardmill
