// The part of Shard that is a replica, and that has some.

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "common/mutation.h"
#include "server/shard.h"

namespace shardmill {

void Shard::On(const Replicas& replicas, const Envelope& /*from*/, Outbox& outbox) {
  if (!primary_) return;
  followers_.Set(replicas);
  Send(Coordinator(), Status(), outbox);
}

void Shard::On(const Followed& followed, const Envelope& from, Outbox& outbox) {
  if (!primary_) return;
  const uint32_t before = followers_.in_sync();
  const uint64_t differing = followers_.differing();
  followers_.On(followed, now_, from);
  // The coordinator may promote it from now on: this shard waits for it from now on.
  if (followers_.in_sync() != before || followers_.differing() != differing) {
    Send(Coordinator(), Status(), outbox);
  }
}

// The coordinator has made this replica the primary. Whatever the one before still sends is late.
bool Shard::Promote(Term term) {
  if (following_ && !following_->whole) {
    failure_ = Error{ErrorCode::kFailed, "this replica became primary before it had a whole copy"};
    return false;
  }
  primary_ = true;
  if (follows() && KeepsRecent()) {
    followers_.GoOn({term_, recent_.since(), copy_.version(), view().number},
                    std::exchange(recent_, RecentItems(frames_)));
  }
  promoted_ = unseen_ = following_.has_value();
  unsure_.clear();
  brought_.clear();
  following_.reset();
  term_ = term;
  return true;
}

bool Shard::Owes() const {
  if (promoted_) return true;
  return std::ranges::any_of(unsure_, [this](const auto& one) {
    return view().FindMember(one.first) != nullptr && copy_.tracker().Ended(one.first) < one.second;
  });
}

// A replica does not have what its primary held. Of the step that was under way when this one
// became primary, only the End that the worker brings again says whether all of it is here.
bool Shard::MayLackUnits(WorkerId rank, Step step) const {
  const auto brought = brought_.find(rank);
  if (brought != brought_.end() && brought->second.step == step) return false;
  const auto unsure = unsure_.find(rank);
  return promoted_ || (unsure != unsure_.end() && step <= unsure->second);
}

void Shard::Bring(const End& end) {
  const WorkerId rank = end.sender.rank;
  if (!MayLackUnits(rank, end.step) || end.step <= copy_.tracker().Ended(rank)) return;
  if (held_.Whole(rank, end.step, end.attempt, end.units)) brought_.insert_or_assign(rank, end);
}

// Who came in a dead worker's place has made the step anew, and counts its attempts anew.
uint32_t Shard::AttemptOf(const RankState& state) const {
  const auto brought = brought_.find(state.rank);
  const bool here = brought != brought_.end() && brought->second.step == state.ended;
  return here ? brought->second.attempt : state.attempt;
}

void Shard::On(const Follow& follow, const Envelope& from, Outbox& outbox) {
  const Client primary{from.peer, from.stamp.from};
  if (follow.shard != options_.id) {
    Refuse(Refusal::kBadRequest, follow.item, "this is no replica of that shard", from, outbox);
    return;
  }
  if (primary_ && from.stamp.term > term_) {
    // What it said when it came may have been late, and have given it a replica's place.
    failure_ = Error{ErrorCode::kFenced, "another process is the primary of shard " +
                                             std::to_string(options_.id.value) + " now"};
    return;
  }
  if (primary_) {
    Refuse(Refusal::kOldView, follow.item, "this process is the primary now", from, outbox);
    return;
  }
  const bool same =
      following_ && following_->stream == follow.stream && following_->primary == primary.boot;
  const bool head = std::holds_alternative<CopyHead>(follow.what);
  const auto* resume = std::get_if<CopyResume>(&follow.what);
  const bool begins = head || resume != nullptr;
  if (!same && (!begins || (following_ && follow.stream < following_->stream))) return;
  if (!same && resume != nullptr && !GoesOn(*resume, from.stamp)) {
    Stamp stamp = from.stamp;
    std::swap(stamp.from, stamp.to);
    outbox.push_back({from.peer, stamp,
                      Followed{options_.id, follow.stream, 0, "it cannot go on with what it has"}});
    return;
  }
  if (!same) following_ = Following{primary.boot, follow.stream, 0, resume != nullptr};
  term_ = from.stamp.term;
  // A head may follow on anything: what it leaves out is not to be taken any more.
  const bool next = follow.item == following_->item + 1 || (head && follow.item > following_->item);
  Followed answer{options_.id, follow.stream, following_->item, {}};
  if (next) {
    answer.differs = std::visit([this](const auto& item) { return TakeItem(item); }, follow.what);
    if (answer.differs.empty()) answer.item = following_->item = follow.item;
  }
  recent_.Drop(follow.kept);
  Send(primary, std::move(answer), outbox);
}

// Whether what this replica has is what the new primary had at some time before it became that.
bool Shard::GoesOn(const CopyResume& resume, const Stamp& stamp) const {
  if (!follows() || stamp.generation != view().generation) return false;
  return term_ == resume.after && copy_.version() >= resume.since &&
         copy_.version() <= resume.version && view().number <= resume.view;
}

std::string Shard::TakeItem(const CopyResume& /*resume*/) { return ""; }

std::string Shard::TakeItem(const CopyHead& head) {
  if (head.view.shards.size() <= options_.id.value) return "a view without this shard";
  copy_.Clear();
  following_->whole = false;
  following_->begun = {};
  following_->version = head.version;
  following_->last_close = head.last_close;
  // What is restored piece by piece takes no time at once.
  std::string problem = copy_.TakeView(job_, head.view, DenseSlice::Begins::kRestored);
  if (problem.empty()) copy_.RestoreSteps(head.ranks);
  return problem;
}

std::string Shard::TakeItem(const CopyPiece& piece) {
  if (following_->whole) return "a piece of a copy that is whole";
  const auto* floats = std::get_if<DensePiece>(&piece.piece);
  if (floats != nullptr && floats->slot > 0 && Mutated(Mutation::kCopyWithoutSlots)) return "";
  const Result<> taken = copy_.Restore(piece.table, piece.piece);
  return taken.ok() ? "" : taken.error().message;
}

std::string Shard::TakeItem(const CopyEnd& end) {
  copy_.MakeRest();
  copy_.RestoreVersion(following_->version);
  copy_.RestoreCounts(end.filled, following_->last_close);
  following_->whole = true;
  recent_.Begin(copy_.version());
  return "";
}

std::string Shard::TakeItem(const Entry& from) {
  if (!following_->whole) return "an entry before the copy is whole";
  if (from.version <= copy_.version()) return "";  // Of a stream that goes on from another.
  Entry& entry = following_->begun;
  for (const EntryChange& change : from.changes) {
    if (entry.changes.empty() || entry.changes.back().table != change.table) {
      entry.changes.push_back(change);
    } else {
      std::ranges::copy(change.parts, std::back_inserter(entry.changes.back().parts));
    }
  }
  if (from.more) return "";
  entry.version = from.version;
  entry.made = from.made;
  std::string problem = copy_.Read(entry, entry_);
  if (problem.empty()) {
    copy_.Take(entry_);
    ++counters_.entries;
    while (!copy_.settled()) copy_.SettleNext();
    if (KeepsRecent()) recent_.Add(entry);
  }
  entry = {};
  return problem;
}

std::string Shard::TakeItem(const View& next) {
  if (next.shards.size() <= options_.id.value) return "a view without this shard";
  if (next.number <= view().number) return "";
  if (KeepsRecent()) recent_.Add(next, copy_.version());
  return copy_.TakeView(job_, next);
}

std::string Shard::TakeItem(const CopyCheck& check) {
  const auto found = copy_.tables().find(check.table);
  if (found == copy_.tables().end()) return "a table that is not here";
  if (copy_.ChecksumOf(check.table, check.begin, check.count) == check.crc) return "";
  return "the values " + std::to_string(check.begin) + " + " + std::to_string(check.count) +
         " of table \"" + found->second.place.spec.name + "\" are not those of the primary";
}

// A part of the tables, another one each time, so that a copy that is none any more is found.
void Shard::CheckFollowers() {
  constexpr uint64_t kFloats = 256 * 1024;
  constexpr uint64_t kRows = 16 * 1024;
  if (now_ - checked_at_ < options_.check_every || !copy_.settled() || copy_.tables().empty())
    return;
  checked_at_ = now_;
  auto table = copy_.tables().find(check_.table);
  if (table == copy_.tables().end()) table = copy_.tables().begin();
  const auto* dense = std::get_if<DenseSlice>(&table->second.values);
  const uint64_t begin = dense != nullptr ? dense->begin() : 0;
  const uint64_t end =
      dense != nullptr ? dense->end() : std::get<SparseSlice>(table->second.values).rows();
  const bool same = check_.table == table->first;
  const uint64_t at = same ? std::max(check_.begin + check_.count, begin) : begin;
  if (at >= end) {
    const auto next =
        std::next(table) == copy_.tables().end() ? copy_.tables().begin() : std::next(table);
    check_ = {next->first, 0, 0, 0};
    return;
  }
  check_ = {table->first, at, std::min(end - at, dense != nullptr ? kFloats : kRows), 0};
  check_.crc = copy_.ChecksumOf(check_.table, check_.begin, check_.count);
  followers_.Append(check_);
}

// Sends replicas what they lack, and lets out what they have, and the log.
void Shard::MoveFollowers(Outbox& outbox) {
  if (!primary_) return;
  if (followers_.idle() && !gated()) {
    gate_.Open(outbox);
    return;
  }
  if (followers_.in_sync() > 0) CheckFollowers();
  const bool image_free = ready() && !saving_ && !restoring_ && copy_.settled();
  // Before a view has this primary whoever would take an image may be needed with what it has.
  followers_.Advance(now_, {job_, view().generation, term_, options_.boot, {}},
                     image_free && !unseen_ && !log_.ReadsImage(), outbox);
  if (options_.log) log_.Advance(now_, image_free && !followers_.ReadsImage());
  if (!gated()) {
    gate_.Open(outbox);
    return;
  }
  if (followers_.number() == 0) return;  // Who is to be waited for is not known yet.
  const bool replicated = options_.replicas == 0 || followers_.counted() >= options_.in_sync_min;
  const bool logged = !options_.log || LogCounts();
  // Before a view has this primary an heir may have its place that knows of nothing since.
  const bool enough = !unseen_ && replicated && logged && !followers_.Crowded() && !log_.Crowded();
  const uint64_t kept = Kept();
  gate_.Reach(enough ? kept : 0, kept, outbox);
}

void Shard::Show(Gate::To to, Client client, Message message, Outbox& outbox) {
  const Stamp stamp{job_, view().generation, term_, options_.boot, client.boot};
  if (gated()) gate_.Close();
  const uint64_t version = Mutated(Mutation::kAnswerBeforeReplica) ? 0 : copy_.version();
  const bool first = gate_.Pass(to, version, {client.peer, stamp, std::move(message)}, outbox);
  if (!first && to == Gate::To::kWorker) {
    Send(client, Refused{Refusal::kBusy, 0, GateWords()}, outbox);
  }
}

// Whom the answers at the gate wait for.
std::string Shard::GateWords() const {
  std::string whom = options_.replicas > 0 || followers_.in_sync() > 0
                         ? followers_.Awaited(options_.replicas > 0 ? options_.in_sync_min : 0)
                         : "";
  const auto add = [&whom](const std::string& one) {
    if (!one.empty()) whom += (whom.empty() ? "" : ", and for ") + one;
  };
  if (options_.log) add(AwaitedLog());
  if (followers_.number() == 0) add("the coordinator to say who has copies of this shard");
  return "its answers wait for " + (whom.empty() ? "nobody now" : whom);
}

}  // namespace shardmill
