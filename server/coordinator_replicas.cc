// The part of Coordinator that knows a shard's copies, its replicas and its log: who counts as in
// sync, and who is primary.

#include <algorithm>
#include <utility>

#include "common/mutation.h"
#include "server/coordinator.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kJustNow{10};

}  // namespace

bool Coordinator::AllReplicasAreHere() const {
  return std::ranges::all_of(copies_, [](const Copies& copies) {
    return std::ranges::all_of(copies.replicas, [](const ShardStatus& r) { return r.registered; });
  });
}

// Whether a replica is there that has not all yet.
bool Coordinator::CopyIsUnderWay() const {
  return std::ranges::any_of(copies_, [](const Copies& copies) {
    const auto lacks = [](const ShardStatus& r) {
      return r.registered && !r.in_sync && !r.retires;
    };
    return std::ranges::any_of(copies.replicas, lacks);
  });
}

void Coordinator::RestoreCopies(const std::vector<ShardCopies>& before, TimePoint now) {
  for (uint32_t i = 0; i < before.size() && i < copies_.size(); ++i) {
    const ShardCopies& from = before[i];
    Copies& to = copies_[i];
    to.term = from.term;
    to.number = from.number;
    to.log = from.log;
    ShardStatus& primary = shards_[i];
    primary.copy = from.copy;
    if (from.boot.value != 0) {
      primary.boot = from.boot;
      primary.endpoint = from.endpoint;
    }
    promotion_ = promotion_ || Unseen(ShardId{i});
    const bool placed = from.given > 0;
    if (placed) {
      to.given = from.given;
      primary.host = from.host;
      to.replicas.assign(from.replicas.size(), ShardStatus{});
    }
    for (size_t k = 0; k < from.replicas.size() && k < to.replicas.size(); ++k) {
      const ReplicaPlace& place = from.replicas[k];
      if (placed) {
        to.replicas[k].host = from.homes[k].host;
        to.replicas[k].replaces = from.homes[k].replaces;
      }
      ShardStatus& replica = to.replicas[k];
      replica.copy = place.copy;
      replica.boot = place.boot;
      replica.endpoint = place.endpoint;
      replica.stream = place.stream;
      replica.in_sync = place.in_sync;
      replica.goes_on = place.goes_on;
      replica.registered = place.boot.value != 0;
      replica.retires = replica.registered && place.stream == 0;
      HeardOf(replica, now);
    }
  }
}

// The process begins anew in the replica's place, whoever was there.
void Coordinator::RegisterReplica(const Register& request, ShardStatus& replica, TimePoint now,
                                  const Envelope& from, Outbox& outbox) {
  const bool same = replica.registered && replica.boot == from.stamp.from;
  if (replica.registered && !same && !Silent(replica, now)) {
    Refuse(Refusal::kRankHeld, request.shard.value,
           "another process holds copy " + std::to_string(request.copy) + " of shard " +
               std::to_string(request.shard.value) + "; it is free when that one's lease ends",
           from, outbox);
    return;
  }
  if (!same) {
    replica.boot = from.stamp.from;
    replica.endpoint = request.endpoint;
    replica.beat = {};
    replica.leaves_at = {};
    replica.registered = true;
    replica.retires = false;
    Strike(request.shard, replica);
    SendReplicas(request.shard, outbox);
  }
  replica.peer = from.peer;
  HeardOf(replica, now);
  Send(from.peer, replica.boot, Registered{request.shard}, outbox);
}

// It counts no more: whatever it has, it gets anew.
void Coordinator::Strike(ShardId id, ShardStatus& replica) {
  replica.in_sync = replica.goes_on = replica.takes_over = false;
  replica.stream = ++streams_;
  ++copies_[id.value].number;
  changed_ = true;
}

void Coordinator::SendReplicas(ShardId id, Outbox& outbox) const {
  const Copies& copies = copies_[id.value];
  if (copies.number == 0 || !shards_[id.value].registered) return;
  Replicas said{id, copies.number, {}, copies.log};
  for (const ShardStatus& replica : copies.replicas) {
    if (!replica.registered || replica.retires) continue;
    said.replicas.push_back({replica.copy, replica.boot, replica.endpoint, replica.stream,
                             replica.in_sync, replica.goes_on});
  }
  Send(shards_[id.value].peer, shards_[id.value].boot, std::move(said), outbox);
}

// Whether the beat is a replica's.
bool Coordinator::TakeBeatOfReplica(const Beat& beat, TimePoint now, const Envelope& from,
                                    Outbox& outbox) {
  if (beat.shard.value >= copies_.size()) return false;
  for (ShardStatus& replica : copies_[beat.shard.value].replicas) {
    if (!replica.registered || replica.boot != from.stamp.from) continue;
    replica.peer = from.peer;
    replica.beat = beat;
    HeardOf(replica, now);
    LetLeave(beat.shard, now, outbox);
    return true;
  }
  return false;
}

// Whom a primary waits for may be promoted, and counts when the primary has heard that this is on
// disk.
void Coordinator::TakeInSync(ShardId id, TimePoint now, Outbox& outbox) {
  Copies& copies = copies_[id.value];
  Beat& beat = shards_[id.value].beat;
  if (IsBusy(id, beat.differing, now)) beat.differing = 0;
  for (ShardStatus& replica : copies.replicas) {
    const bool waited = std::ranges::find(beat.in_sync, replica.stream) != beat.in_sync.end();
    if (replica.registered && waited && !replica.in_sync) {
      replica.in_sync = true;
      ++copies.number;
      changed_ = true;
    }
    // Until a view has the primary, who is ahead of it and cannot follow is its heir all the same.
    const bool heir = Unseen(id) && replica.goes_on;
    if (replica.registered && !heir && beat.differing != 0 && replica.stream == beat.differing) {
      Strike(id, replica);
    }
  }
  // Its log has all that the one that counted has, and is waited for from now on, in its stead.
  if (beat.log.term == copies.term && copies.log != copies.term) {
    copies.log = copies.term;
    ++copies.number;
    changed_ = true;
  }
  if (beat.replicas < copies.number) SendReplicas(id, outbox);
}

// What takes nothing because it is at work takes it soon; if not, its primary says so again.
bool Coordinator::IsBusy(ShardId id, uint64_t stream, TimePoint now) const {
  return std::ranges::any_of(copies_[id.value].replicas, [&](const ShardStatus& replica) {
    return replica.registered && replica.stream == stream && now < replica.busy_until;
  });
}

// A primary that is gone gives way to a replica, and a replica that is gone is waited for no more.
void Coordinator::CheckReplicas(TimePoint now, Outbox& outbox) {
  if (state_ == JobState::kDone || state_ == JobState::kFailed) return;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const ShardId id{i};
    if (Silent(shards_[i], now)) {
      AskHeir(id, now, outbox);
      const bool cuts = phase_ == Phase::kFreezing && !going_back_;
      if (Promote(id, now) && cuts) SendCut(now, outbox);
      continue;
    }
    for (ShardStatus& replica : copies_[i].replicas) {
      if (!replica.in_sync || !Silent(replica, now)) continue;
      // That helps a primary that lives alone; one that is gone, too, needs the replica.
      if (shards_[i].heard_at <= replica.lease_until) continue;
      Strike(id, replica);
      SendReplicas(id, outbox);
    }
  }
}

// One that may become the shard's primary when it is heard of again. Its process may have ended,
// too: then another takes its place, and it counts no more.
const ShardStatus* Coordinator::Awaited(ShardId id) const {
  if (Mutated(Mutation::kWaitForNobody)) return nullptr;
  const std::vector<ShardStatus>& replicas = copies_[id.value].replicas;
  const auto counts = [&](const ShardStatus& r) { return HasAll(id, r); };
  const auto found = std::ranges::find_if(replicas, counts);
  return found == replicas.end() ? nullptr : &*found;
}

// Whether no view has the shard's primary as such yet.
bool Coordinator::Unseen(ShardId id) const {
  const std::vector<ShardPlace>& places = decided_.shards;
  return id.value < places.size() && places[id.value].term != copies_[id.value].term;
}

// Whether it has all that was answered: until a view has a new primary nobody has seen anything of
// that one, and who followed the primary before it, or was it, has as much.
bool Coordinator::HasAll(ShardId id, const ShardStatus& replica) const {
  return replica.registered && (replica.in_sync || (Unseen(id) && replica.goes_on));
}

// A replica that has all that was answered, if possible one that stays; null where there is none.
// Where the job goes back anyone will do: it begins with what was saved.
ShardStatus* Coordinator::HeirOf(ShardId id, TimePoint now) {
  // One that is ahead can give others what they lack; the other way round they would begin anew.
  const auto rank = [](const ShardStatus& r) { return std::pair(!r.beat.leaving, r.beat.version); };
  ShardStatus* heir = nullptr;
  for (ShardStatus& replica : copies_[id.value].replicas) {
    const bool any = replica.registered && (going_back_ || Mutated(Mutation::kPromoteAnyReplica));
    if ((!any && !HasAll(id, replica)) || Silent(replica, now)) continue;
    if (heir == nullptr || rank(*heir) < rank(replica)) heir = &replica;
  }
  return heir;
}

// Who died with the primary may not be missed yet, and would fence one that is only late.
bool Coordinator::SpokeSince(const ShardStatus& heir, const ShardStatus& primary) {
  return Answered(heir, primary.lease_until);
}

void Coordinator::AskHeir(ShardId id, TimePoint now, Outbox& outbox) {
  ShardStatus* heir = HeirOf(id, now);
  if (heir != nullptr && !SpokeSince(*heir, shards_[id.value])) AskForAWord(id, *heir, now, outbox);
}

// Whether it has answered what it was asked then or later. What else is heard of it may have been
// on its way for long, while this process stood still, too, and it is gone.
bool Coordinator::Answered(const ShardStatus& copy, TimePoint since) {
  if (Mutated(Mutation::kTakeOldWord)) return copy.heard_at >= since;
  const Question& last = copy.asked;
  return last.number != 0 && copy.beat.answers == last.number && last.asked_at >= since;
}

// Whether it has just spoken. A place that is given to one who is gone, and only not missed yet,
// costs the shard.
bool Coordinator::IsHere(const ShardStatus& copy, TimePoint now) const {
  return !copy.link_ended && now - copy.heard_at <= kJustNow &&
         Answered(copy, now - options_.lease / 2);
}

// The same question for as long as its answer would do.
void Coordinator::AskForAWord(ShardId id, ShardStatus& copy, TimePoint now, Outbox& outbox) {
  Question& last = copy.asked;
  if (last.number != 0 && now - last.said_at < kJustNow) return;
  last.said_at = now;
  const bool old = now - last.asked_at > options_.lease / 2;
  if (last.number == 0 || copy.beat.answers == last.number || old) {
    last.number = (epoch_.value << 32) + ++questions_;  // No process before this has asked it.
    last.asked_at = now;
  }
  Send(copy.peer, copy.boot, Registered{id, last.number}, outbox);
}

// Makes the shard's heir its primary; false where there is none.
bool Coordinator::Promote(ShardId id, TimePoint now) {
  if (decided_.number.value == 0) return false;
  ShardStatus* next = HeirOf(id, now);
  const ShardStatus& primary = shards_[id.value];
  if (next == nullptr || (Silent(primary, now) && !SpokeSince(*next, primary))) return false;
  MakePrimary(id, *next, now);
  return true;
}

// The one that was the primary is kept until a view has its heir: it may only have been cut off.
void Coordinator::MakePrimary(ShardId id, ShardStatus& heir, TimePoint now) {
  const std::optional<uint32_t> replaced = std::exchange(heir.replaces, std::nullopt);
  const bool is_back = heir.retires;
  heir.takes_over = heir.retires = false;
  ShardStatus& primary = shards_[id.value];
  std::swap(primary, heir);
  ShardStatus& before = heir;
  GivePlace(id, now);
  before.retires = before.goes_on = before.registered;
  std::vector<ShardStatus>& copies = copies_[id.value].replicas;
  if (is_back || replaced == primary.copy) {
    // Where its heir came by a move, that is given up, and whoever was to go stays.
    const auto goes = [](const ShardStatus& copy) { return copy.replaces == copy.copy; };
    const auto spared = std::ranges::find_if(copies, goes);
    if (spared != copies.end()) spared->replaces.reset();
    if (spared != copies.end() || replaced == primary.copy) RemoveCopy(id, before.copy);
  } else if (replaced) {
    const auto leaves = std::ranges::find(copies, *replaced, &ShardStatus::copy);
    if (leaves != copies.end()) leaves->replaces = leaves->copy;
  }
}

// Whether the process that comes in a primary's place has restored all that was answered: then it
// is the primary. A log of the term that the shard is in is the last one that there can be.
bool Coordinator::Restore(const Register& request, TimePoint now) {
  Copies& copies = copies_[request.shard.value];
  const LogMark& log = request.log;
  const bool over = state_ == JobState::kDone || state_ == JobState::kFailed;
  if (over || decided_.number.value == 0 || going_back_ || log.term.value == 0) return false;
  if (log.generation != decided_.generation) return false;
  if (log.term != copies.log && log.term != copies.term) return false;
  copies.log = log.term;
  shards_[request.shard.value].beat = {};
  GivePlace(request.shard, now);
  return true;
}

// What has all that was answered, and may come yet, when a process wants the shard's place without
// it; empty where there is nothing.
std::string Coordinator::AwaitedWords(const Register& request, TimePoint now) {
  if (going_back_) return "";
  if (const ShardStatus* replica = Awaited(request.shard)) {
    return " waits for its copy " + std::to_string(replica->copy) +
           ", which has all that was answered, and is not heard of";
  }
  const bool none = request.log.term.value == 0;
  // The last may be of the generation before, too, and then nothing is to be had.
  const bool gone_back = !none && request.log.generation < decided_.generation;
  if (!Logged(request.shard) || gone_back) return "";
  TimePoint& missed_at = shards_[request.shard.value].log_missed_at;
  if (missed_at == TimePoint{}) missed_at = now;
  if (now - missed_at >= options_.start_timeout) return "";
  return std::string(" has a log with all that was answered, and this process found ") +
         (none ? "none" : "an older one") +
         " (replication.log): start it again when its disk is there; after cluster.start_timeout "
         "who comes without it is taken, and what the shard had is lost";
}

// How what the shard had is lost when the process is taken all the same.
std::string Coordinator::LostWords(const Register& request) const {
  std::string words = " was started again";
  const bool of_this = request.log.generation == decided_.generation;
  if (!going_back_ && Logged(request.shard) && (of_this || request.log.term.value == 0)) {
    words += request.log.term.value == 0 ? " without its log" : " with a log that is not its last";
  }
  return words + "; its part of the tables is lost";
}

// The shard has another primary than before, which begins with a cut.
void Coordinator::GivePlace(ShardId id, TimePoint now) {
  Copies& copies = copies_[id.value];
  ++promotions_;
  // Any of the others may be ahead; what followed the primary before may be none too far behind.
  for (ShardStatus& replica : copies.replicas) {
    const bool followed = HasAll(id, replica);
    Strike(id, replica);
    replica.goes_on = followed;
  }
  if (!Mutated(Mutation::kSameTerm)) copies.term = copies.term.Next();
  ++copies.number;
  promotion_ = true;
  changed_ = true;
  if (saving_) GiveUpSnapshot(now, "shard " + std::to_string(id.value) + " has lost its primary");
  frozen_.erase(id);
  // What was to be installed is built upon: some shards have it already.
  if (phase_ == Phase::kInstalling) phase_ = Phase::kIdle;
}

// Whether the job loses nothing when this process ends now. A primary's place goes to its heir for
// that, and where there is none, it stays: workers that are not there may come again.
bool Coordinator::MayLeave(ShardId id, const ShardStatus& leaver, TimePoint now, Outbox& outbox) {
  const bool over = state_ == JobState::kDone || state_ == JobState::kFailed;
  if (over) return true;
  if (decided_.number.value == 0) return options_.replicas == 0;
  if (going_back_) return false;  // It begins anew first, and then gives what it has to others.
  // One that was lost may not be missed yet.
  const auto here = [&](ShardStatus& other) {
    if (Answered(other, leaver.leaves_at) && IsHere(other, now)) return true;
    AskForAWord(id, other, now, outbox);
    return false;
  };
  ShardStatus& primary = shards_[id.value];
  if (leaver.retires) return false;  // It hears when a view has its heir.
  if (leaver.boot != primary.boot) return !HasAll(id, leaver) || here(primary);
  ShardStatus* heir = HeirOf(id, now);
  if (heir == nullptr || heir->beat.leaving) {
    // What has no other copy goes to another server, if there is any.
    const bool stuck = options_.replicas == 0 && MoverOf(id) == nullptr && KnowsHosts(now) &&
                       (!MoveProblem({}).empty() || Targets({primary.host}, now).empty());
    return stuck || Mutated(Mutation::kLeaveWithoutHeir);
  }
  if (!here(*heir)) return Mutated(Mutation::kLeaveWithoutHeir);
  Promote(id, now);
  if (phase_ == Phase::kFreezing) SendCut(now, outbox);
  return false;
}

// Processes that were told to stop go when they hear that their place is another's. Whether they
// may shows in what any copy of the shard says.
void Coordinator::LetLeave(ShardId id, TimePoint now, Outbox& outbox) {
  const auto leaves = [&](ShardStatus& copy) {
    if (!copy.registered || !copy.beat.leaving) return false;
    if (copy.leaves_at == TimePoint{}) copy.leaves_at = now;
    const ShardStatus leaver = copy;  // Its place may be another's behind this.
    if (!MayLeave(id, leaver, now, outbox)) return false;
    Send(leaver.peer, leaver.boot, Refused{Refusal::kFenced, id.value, "this process may stop"},
         outbox);
    return true;
  };
  static_cast<void>(leaves(shards_[id.value]));
  for (ShardStatus& replica : copies_[id.value].replicas) {
    if (!leaves(replica)) continue;
    replica.registered = replica.retires = false;
    Strike(id, replica);
    SendReplicas(id, outbox);
  }
}

// A view has each shard's primary: who was it before has to come as another, or goes.
void Coordinator::LetRetire(Outbox& outbox) {
  for (uint32_t i = 0; i < copies_.size(); ++i) {
    std::vector<uint32_t> gone;
    for (ShardStatus& copy : copies_[i].replicas) {
      const bool goes = copy.replaces == copy.copy;
      if (goes) gone.push_back(copy.copy);
      if (!std::exchange(copy.retires, false)) continue;
      const bool leaves = copy.beat.leaving;
      if (!goes || leaves) {
        Send(copy.peer, copy.boot,
             Refused{Refusal::kFenced, i,
                     leaves ? "this process may stop"
                            : "another process holds shard " + std::to_string(i)},
             outbox);
      }
      copy.registered = copy.goes_on = false;
      copy.beat = {};
      copy.leaves_at = {};
    }
    for (const uint32_t copy : gone) RemoveCopy(ShardId{i}, copy);
    if (!gone.empty()) SendReplicas(ShardId{i}, outbox);
  }
}

}  // namespace shardmill
