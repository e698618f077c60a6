// The half of PsClient that takes answers.

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "client/ps_client.h"
#include "common/assert.h"
#include "common/identity.h"
#include "common/mutation.h"

namespace shardmill {

void PsClient::Handle(TimePoint now, const Envelope& envelope, Outbox& outbox) {
  if (failure_ || !PassStamp(envelope)) return;
  if (envelope.identity != nullptr && !ForbiddenWords(envelope).empty()) return;
  std::visit(
      [&](const auto& message) {
        if constexpr (requires { On(message, now, envelope, outbox); }) {
          On(message, now, envelope, outbox);
        }
      },
      envelope.message);
}

bool PsClient::PassStamp(const Envelope& from) const {
  const Stamp& stamp = from.stamp;
  if (stamp.to != options_.boot && !Mutated(Mutation::kIgnoreBootId)) return false;
  const bool refused = std::holds_alternative<Refused>(from.message);
  if (from.peer == options_.coordinator) {
    return coordinator_boot_.value == 0 || stamp.from == coordinator_boot_ || refused;
  }
  const bool greets = std::holds_alternative<Welcome>(from.message);
  const bool now = stamp.generation == view_.generation;
  return (stamp.job == job_ && (now || greets)) || refused;
}

// Whether a shard refuses what was asked before the job went back. A process that is new has no
// generation yet, and says that it is another; who refuses a greeting by its version says none.
bool PsClient::IsOfBefore(const Envelope& from, const Refused& refused) const {
  return from.peer != options_.coordinator && from.stamp.generation < view_.generation &&
         refused.code != Refusal::kWrongBoot && refused.code != Refusal::kNotReady &&
         refused.code != Refusal::kVersion;
}

PsClient::Shard* PsClient::FindShard(const Envelope& from, ShardId* id) {
  for (auto& [shard_id, shard] : shards_) {
    if (shard.peer == from.peer && view_.shards.at(shard_id.value).boot == from.stamp.from) {
      *id = shard_id;
      return &shard;
    }
  }
  return nullptr;
}

void PsClient::On(const Welcome& /*welcome*/, TimePoint now, const Envelope& from, Outbox& outbox) {
  if (from.peer == options_.coordinator) {
    if (coordinator_boot_.value != 0) return;
    coordinator_boot_ = from.stamp.from;
    job_ = from.stamp.job;
    coordinator_.MarkFirst(now);
    SendToCoordinator(Join{options_.rank, options_.any_rank}, outbox);
    return;
  }
  ShardId id;
  Shard* shard = FindShard(from, &id);
  if (shard == nullptr) return;
  shard->welcomed = true;
  shard->waiting.clear();
  SendUnits(now, outbox);
  SendPulls(now, outbox);
  SendEnds(now, outbox);
}

void PsClient::On(const Refused& refused, TimePoint now, const Envelope& from, Outbox& outbox) {
  const bool by_coordinator = from.peer == options_.coordinator;
  if (by_coordinator && coordinator_boot_.value != 0 && from.stamp.from != coordinator_boot_) {
    Fail(ErrorCode::kFailed, "the coordinator was started again and has forgotten this job");
    return;
  }
  if (IsOfBefore(from, refused)) return;
  if (by_coordinator && leaving_ &&
      (refused.code == Refusal::kBusy || refused.code == Refusal::kNotReady)) {
    // It says whom the end of the job waits for, and whether that one is alive.
    leaving_words_ = refused.words;
    if (refused.code == Refusal::kBusy) ++progress_;
    coordinator_.MarkFirst(now);
    return;
  }
  ShardId id;
  Shard* shard = FindShard(from, &id);
  const std::string who = by_coordinator     ? "the coordinator"
                          : shard == nullptr ? "a shard that is gone, or another in its place"
                                             : "shard " + std::to_string(id.value);
  switch (refused.code) {
    case Refusal::kFenced:
      // A shard that was fenced at an earlier incarnation of ours cannot know this one; the boot id
      // in the stamp says that this answer is for this process.
      Fail(ErrorCode::kFenced, who + ": " + refused.words);
      return;
    case Refusal::kVersion:
    case Refusal::kBadRank:
    case Refusal::kForbidden:
      Fail(ErrorCode::kBadUsage, who + ": " + refused.words);
      return;
    case Refusal::kBadRequest:
    case Refusal::kTooLarge:
    case Refusal::kFailed:
    case Refusal::kWrongJob:
      Fail(ErrorCode::kFailed, who + ": " + refused.words);
      return;
    case Refusal::kDone:
      Fail(ErrorCode::kDone, who + ": " + refused.words);
      return;
    case Refusal::kNoKeys:
      if (shard != nullptr) SendKeysAgain(id, refused.about, now, outbox);
      return;
    case Refusal::kNonfinite:
      if (shard != nullptr && refused.about == step_)
        TakeNonfinite(who + ": " + refused.words, now, outbox);
      return;
    case Refusal::kRankHeld:
      coordinator_words_ = "the coordinator: " + refused.words;
      return;
    case Refusal::kWrongBoot:
      SendToCoordinator(GetView{}, outbox);
      return;
    case Refusal::kNotReady:
    case Refusal::kOldView:
    case Refusal::kBusy:
      // Asked again when the retry is due.
      if (shard != nullptr) shard->waiting = "says: " + refused.words;
      if (granted_ && from.stamp.generation > view_.generation) {
        SendToCoordinator(GetView{}, outbox);
        return;
      }
      if (Due(coordinator_, now) && granted_) {
        coordinator_.Mark(now);
        SendToCoordinator(GetView{}, outbox);
      }
      return;
  }
}

void PsClient::On(const Granted& granted, TimePoint now, const Envelope& from, Outbox& outbox) {
  if (from.peer != options_.coordinator) return;
  if (granted.rank != options_.rank && !options_.any_rank) return;
  const Generation generation = from.stamp.generation;
  if (view_.number.value > 0 && generation > view_.generation) {
    // The shards of that generation may be other processes: it begins with its view.
    SendToCoordinator(GetView{}, outbox);
    return;
  }
  if (granted_ || generation < view_.generation) return;
  granted_ = true;
  options_.rank = granted.rank;
  options_.any_rank = false;
  generation_ = generation;
  coordinator_.MarkFirst(now);
  incarnation_ = granted.incarnation;
  if (rolled_back_ && Mutated(Mutation::kStayAhead)) return;
  step_ = granted.ended + 1;
}

// The job has gone back to a snapshot: nothing that was under way is.
void PsClient::GoBack(TimePoint now, Outbox& outbox) {
  granted_ = false;
  if (!rolled_back_) {
    before_generation_ = generation_;
    before_step_ = step_;
  }
  rolled_back_ = true;
  ++progress_;
  // Who had made all its steps has some of them to make again.
  leaving_ = leaving_ && !leaving_done_;
  attempt_ = 0;
  next_ = 0;
  if (feed_) WantData(feed_->rows());
  ForgetPulls();
  for (auto& [id, operation] : operations_) {
    read_before_.insert(read_before_.end(), operation.frames.begin(), operation.frames.end());
  }
  operations_.clear();
  ResetStep();
  for (auto& [id, shard] : shards_) {
    Shard anew;
    anew.peer = shard.peer;
    anew.welcomed = shard.welcomed;
    shard = anew;
  }
  for (auto& [id, keys] : bound_) {
    for (BoundKeys::Piece& piece : keys->pieces()) piece.known = false;
  }
  coordinator_.MarkFirst(now);
  if (!leaving_) SendToCoordinator(Join{options_.rank}, outbox);
}

// A shard that is another process now wants a link and a greeting of its own. A replica that has
// taken its primary's place knows what that one has answered, and nothing of what it held: all that
// the step has for it goes again.
void PsClient::ForgetReplaced(const View& next) {
  for (const ShardPlace& place : view_.shards) {
    if (next.shards.at(place.id.value).boot == place.boot) continue;
    Shard anew;
    anew.units = shards_[place.id].units;
    anew.ended = shards_[place.id].ended;
    shards_[place.id] = anew;
    const auto of_it = [&place](const auto& entry) { return entry.first.first == place.id; };
    for (auto& [key, flying] : held_) {
      if (key.first == place.id && !anew.ended) units_.emplace(key, std::move(flying));
    }
    std::erase_if(held_, of_it);
    for (auto& [key, flying] : units_) {
      if (key.first == place.id) flying.asked = {};
    }
    for (auto& [number, flying] : pulls_) {
      if (flying.shard != place.id || flying.answered || !flying.asked.ever()) continue;
      flying.asked = {};
      Queue(flying);
    }
    for (auto& [id, keys] : bound_) {
      for (BoundKeys::Piece& piece : keys->pieces()) {
        if (piece.shard == place.id) piece.known = false;
      }
    }
  }
}

void PsClient::On(const ViewIs& news, TimePoint now, const Envelope& from, Outbox& outbox) {
  if (from.peer != options_.coordinator || news.view.number <= view_.number) return;
  // No view of ours ever loses a shard; what says so is not to be followed.
  if (news.view.shards.size() < view_.shards.size()) return;
  const bool back = granted_ && news.view.generation > generation_;
  ForgetReplaced(news.view);
  view_ = news.view;
  for (const ShardPlace& place : view_.shards) shards_.try_emplace(place.id);
  // One of another update is asked for on: it may be had, or the coordinator says why not.
  std::erase_if(wanted_tables_, [this](const auto& entry) {
    const TablePlace* place = FindTable(entry.first);
    return place != nullptr && place->spec == entry.second;
  });
  if (back) GoBack(now, outbox);
  SendUnits(now, outbox);
  SendEnds(now, outbox);
}

void PsClient::On(const Held& held, TimePoint now, const Envelope& from, Outbox& outbox) {
  ShardId id;
  Shard* shard = FindShard(from, &id);
  if (shard == nullptr || held.step != step_ || held.attempt != attempt_) return;
  const auto found = units_.find({id, held.index});
  if (found == units_.end()) return;
  shard->waiting.clear();
  const TableId table = found->second.unit.table;
  shard->flying_bytes -= found->second.unit.gradient.size();
  if (found->second.piece != nullptr) found->second.piece->known = true;
  FinishPart(found->second.ticket);
  // Whoever takes the shard's place will ask for it. What the ticket stands for is done.
  found->second.ticket = 0;
  auto unit = units_.extract(found);
  if (!Mutated(Mutation::kForgetHeldUnits)) held_.insert(std::move(unit));
  const bool taken = view_.policy.nonfinite == OnNonfinite::kAccept;
  if (held.nonfinite && !taken && !Mutated(Mutation::kSkipOnOneShard)) {
    const auto place = std::ranges::find(view_.tables, table, &TablePlace::id);
    SM_ASSERT(place != view_.tables.end());  // What was pushed to is in every later view.
    TakeNonfinite("what is pushed to table \"" + place->spec.name + "\" in step " +
                      std::to_string(step_) + " has a NaN or an infinity in it",
                  now, outbox);
  }
  SendUnits(now, outbox);
  SendEnds(now, outbox);
}

// A shard has found what no table may take.
void PsClient::TakeNonfinite(std::string words, TimePoint now, Outbox& outbox) {
  if (view_.policy.nonfinite == OnNonfinite::kReject) {
    Fail(ErrorCode::kBadInput, std::move(words) + " (policy.on_nonfinite = \"reject\")");
  } else if (!skipped_) {
    SkipStep();
    SendEnds(now, outbox);
  }
}

void PsClient::On(const shardmill::Ended& ended, TimePoint now, const Envelope& from,
                  Outbox& outbox) {
  ShardId id;
  Shard* shard = FindShard(from, &id);
  if (shard == nullptr || ended.step != step_ || !ends_sent_ || shard->ended) return;
  shard->ended = true;
  std::erase_if(held_, [id](const auto& entry) { return entry.first.first == id; });
  SM_ASSERT(ends_open_ > 0);
  --ends_open_;
  if (id.value == 0) filled_ = ended.filled;
  if (first_closes() && id.value == 0) {
    close_ = ended.close;
    SendEnds(now, outbox);
  }
  if (ended.discarded) {
    discarded_ = true;
    next_ = std::max(next_, ended.next);
  }
  if (ends_open_ != 0 || units_.empty()) return;
  // Every shard has applied the step, so what is still unanswered was held.
  for (auto& [key, flying] : units_) FinishPart(flying.ticket);
  units_.clear();
  for (auto& [shard_id, any] : shards_) any.flying_bytes = 0;
}

void PsClient::On(const Pulled& pulled, TimePoint now, const Envelope& from, Outbox& outbox) {
  ShardId id;
  Shard* shard = FindShard(from, &id);
  if (shard == nullptr) return;
  shard->waiting.clear();  // Whatever is still waited for is said again.
  const auto found = pulls_.find(pulled.pull);
  if (found == pulls_.end() || found->second.shard != id || found->second.answered) return;
  FlyingPull& flying = found->second;
  uint64_t size = 0;
  for (const Frame& frame : pulled.values) size += frame.size();
  if (size != flying.bytes || (flying.piece != nullptr && pulled.values.size() != 1)) {
    Fail(ErrorCode::kBadInput, "shard " + std::to_string(id.value) + " answered a pull of " +
                                   std::to_string(flying.bytes) + " bytes with " +
                                   std::to_string(size));
    return;
  }
  TakeValues(pulled, flying);
  staleness_max_ = std::max(staleness_max_, pulled.staleness);
  Operation& operation = operations_[flying.ticket];
  if (!operation.served) operation.served = {pulled.closed, pulled.version, pulled.staleness};
  Served& served = *operation.served;
  served.closed = std::min(served.closed, pulled.closed);
  served.version = std::min(served.version, pulled.version);
  served.staleness = std::max(served.staleness, pulled.staleness);
  FinishPart(flying.ticket);
  shard->asked_bytes -= flying.bytes;
  if (flying.next) {
    flying.answered = true;
  } else {
    pulls_.erase(found);
  }
  SendPulls(now, outbox);
}

void PsClient::TakeValues(const Pulled& pulled, FlyingPull& flying) {
  if (flying.piece != nullptr) {
    flying.piece->known = true;
    flying.keys->Scatter(*flying.piece, pulled.values.front().floats(), flying.into);
    return;
  }
  Operation& operation = operations_[flying.ticket];
  auto* to = reinterpret_cast<std::byte*>(flying.into.data());
  uint64_t at = flying.pull.begin;
  for (const Frame& frame : pulled.values) {
    if (operation.kept) {
      const auto place = std::ranges::upper_bound(operation.pieces, at, {}, &ReadPiece::begin);
      operation.pieces.insert(place, {at, frame.floats()});
      operation.frames.push_back(frame);
      at += frame.floats().size();
    } else if (frame.size() > 0) {
      std::memcpy(to, frame.bytes().data(), frame.size());
      to += frame.size();
    }
  }
}

void PsClient::On(const Waiting& waiting, TimePoint /*now*/, const Envelope& from,
                  Outbox& /*outbox*/) {
  ShardId id;
  Shard* shard = FindShard(from, &id);
  if (shard == nullptr) return;
  if (waiting.round > shard->waiting_round) ++progress_;
  shard->waiting_round = waiting.round;
  shard->waiting = "waits for worker " + std::to_string(waiting.rank.value) + " to finish round " +
                   std::to_string(waiting.round);
}

void PsClient::On(const Farewell& farewell, TimePoint /*now*/, const Envelope& from,
                  Outbox& /*outbox*/) {
  if (from.peer == options_.coordinator && leaving_ && farewell.rank == options_.rank) left_ = true;
}

void PsClient::FinishPart(uint64_t ticket) {
  const auto found = operations_.find(ticket);
  if (found == operations_.end()) return;
  SM_ASSERT(found->second.open > 0);
  --found->second.open;
}

void PsClient::Fail(ErrorCode code, std::string words) {
  if (!failure_) failure_ = Error{code, std::move(words)};
}

}  // namespace shardmill
