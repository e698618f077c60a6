#include "client/ps_client.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/assert.h"
#include "common/mutation.h"
#include "common/net/endpoint.h"

namespace shardmill {

PsClient::PsClient(const PsClientOptions& options, FramePool& frames)
    : options_(options), frames_(frames) {}

std::vector<ShardPlace> PsClient::Unattached() const {
  std::vector<ShardPlace> places;
  for (const ShardPlace& place : view_.shards) {
    const auto found = shards_.find(place.id);
    if (found == shards_.end() || !found->second.peer) places.push_back(place);
  }
  return places;
}

void PsClient::Attach(ShardId shard, PeerId peer) { shards_[shard].peer = peer; }

bool PsClient::Ready() const {
  return granted_ && !failure_ && !view_.shards.empty() && shards_.size() == view_.shards.size() &&
         std::ranges::all_of(shards_, [](const auto& entry) { return entry.second.welcomed; });
}

void PsClient::MakeTable(TimePoint now, const TableSpec& spec, Outbox& outbox) {
  const TablePlace* place = FindTable(spec.name);
  if (place != nullptr && place->spec == spec) return;
  wanted_tables_.emplace(spec.name, spec);
  coordinator_.MarkFirst(now);
  SendToCoordinator(shardmill::MakeTable{sender(), spec}, outbox);
}

// The step becomes an empty one: what was pushed so far is dropped by the attempt that follows.
void PsClient::SkipStep() {
  skipped_ = true;
  ++attempt_;
  for (auto& [id, flying] : units_) FinishPart(flying.ticket);
  units_.clear();
  held_.clear();
  for (auto& [id, shard] : shards_) {
    shard.units = 0;
    shard.flying_bytes = 0;
    shard.end = {};
  }
  samples_ = 0;
}

void PsClient::AddUnit(ShardId shard, Unit unit, Ticket ticket, std::shared_ptr<BoundKeys> keys,
                       BoundKeys::Piece* piece) {
  unit.sender = sender();
  unit.step = step_;
  unit.attempt = attempt_;
  unit.index = shards_[shard].units++;
  ++operations_[ticket.id].open;
  FlyingUnit flying{shard, std::move(unit), ticket.id, {}, piece, std::move(keys)};
  units_.emplace(std::pair(shard, flying.unit.index), std::move(flying));
}

void PsClient::EndStep(TimePoint now, double samples, Outbox& outbox) {
  SM_ASSERT(!ending_);
  ending_ = true;
  // What was read in place goes back before the shards hear of the end: they replace what is lent.
  std::erase_if(operations_, [](const auto& entry) {
    const Operation& operation = entry.second;
    return operation.kept && operation.open == 0 && !operation.next;
  });
  samples_ = skipped_ ? 0 : samples;
  if (feed_) used_ = feed_->taken();
  ends_open_ = static_cast<uint32_t>(shards_.size());
  SendEnds(now, outbox);
}

void PsClient::NextStep() {
  SM_ASSERT(Ended());
  // A step that was left behind is not made up for: the worker goes where the others are.
  FinishData();
  step_ = discarded_ ? std::max(next_, step_ + 1) : step_ + 1;
  attempt_ = 0;
  std::erase_if(pulls_, [](const auto& entry) { return !entry.second.next; });
  std::erase_if(operations_, [](const auto& entry) { return !entry.second.next; });
  KeepNextPulls();
  ResetStep();
}

// What was asked for the next step is now for this one. Where that is not the step that it was
// asked for, it is asked for anew: what was answered was answered too early.
void PsClient::KeepNextPulls() {
  queue_.clear();
  for (auto& [id, shard] : shards_) shard.asked_bytes = 0;
  for (auto& [id, operation] : operations_) operation.next = false;
  std::pmr::map<uint64_t, FlyingPull> kept(&memory_);
  kept.swap(pulls_);
  for (auto& [id, flying] : kept) {
    flying.next = false;
    if (flying.pull.step != step_ && !Mutated(Mutation::kKeepEarlyAnswer)) {
      Operation& operation = operations_[flying.ticket];
      if (flying.answered) ++operation.open;
      operation.served.reset();
      operation.frames.clear();
      operation.pieces.clear();
      flying.pull.step = step_;
      flying.pull.pull = next_id_++;
      flying.answered = false;
      flying.asked = {};
    }
    if (flying.answered) continue;
    if (flying.asked.ever()) {
      shards_[flying.shard].asked_bytes += flying.bytes;
    } else {
      Queue(flying);
    }
    const uint64_t number = flying.pull.pull;
    pulls_.emplace(number, std::move(flying));
  }
}

void PsClient::AbandonStep() {
  SM_ASSERT(!ending_);
  ++attempt_;
  if (feed_) feed_->AbandonStep();
  ForgetPulls();
  operations_.clear();
  ResetStep();
}

void PsClient::ForgetPulls() {
  pulls_.clear();
  queue_.clear();
  for (auto& [id, shard] : shards_) shard.asked_bytes = 0;
}

// Nothing of a step outlives it: late answers find nobody, and borrowed memory is given back.
void PsClient::ResetStep() {
  units_.clear();
  held_.clear();
  ending_ = false;
  ends_sent_ = false;
  skipped_ = false;
  discarded_ = false;
  close_.clear();
  for (auto& [id, shard] : shards_) {
    shard.units = 0;
    shard.flying_bytes = 0;
    shard.ended = false;
    shard.end = {};
    shard.waiting.clear();
  }
}

bool PsClient::IsForNextStep(Ticket ticket) const {
  const auto found = operations_.find(ticket.id);
  return found != operations_.end() && found->second.next;
}

bool PsClient::Done(Ticket ticket) const {
  const auto found = operations_.find(ticket.id);
  return found == operations_.end() || found->second.open == 0;
}

std::span<const ReadPiece> PsClient::Pieces(Ticket ticket) const {
  const auto found = operations_.find(ticket.id);
  if (found == operations_.end()) return {};
  return found->second.pieces;
}

void PsClient::GiveBack(Ticket ticket) {
  if (Done(ticket)) operations_.erase(ticket.id);
}

Served PsClient::Take(Ticket ticket) {
  SM_ASSERT(Done(ticket));
  const auto found = operations_.find(ticket.id);
  if (found == operations_.end()) return {};
  const Served served = found->second.served.value_or(Served{});
  if (!found->second.kept) operations_.erase(found);
  return served;
}

void PsClient::SendReport(Report report, Outbox& outbox) const {
  report.sender = sender();
  report.staleness_max = staleness_max_;
  SendToCoordinator(std::move(report), outbox);
}

void PsClient::SayGoodbye(TimePoint now, bool done, std::string failure, Outbox& outbox) {
  leaving_ = true;
  leaving_done_ = done;
  leaving_failure_ = std::move(failure);
  leaving_words_.clear();
  coordinator_.MarkFirst(now);
  SendToCoordinator(Goodbye{sender(), done, step_ - 1, leaving_failure_}, outbox);
}

Stamp PsClient::CoordinatorStamp() const {
  return {job_, view_.generation, Term{}, options_.boot, coordinator_boot_};
}

std::string PsClient::WaitsFor() const {
  if (coordinator_boot_.value == 0) return "the coordinator to answer";
  if (rolled_back_ && !granted_) return "the coordinator to say where the job goes on";
  if (!granted_) {
    return coordinator_words_.empty()
               ? "the coordinator to let " +
                     (options_.any_rank ? std::string("this worker")
                                        : "rank " + std::to_string(options_.rank.value)) +
                     " in"
               : coordinator_words_;
  }
  if (view_.shards.empty()) return "the coordinator to say where the shards are";
  for (const auto& [id, shard] : shards_) {
    const std::string name = "shard " + std::to_string(id.value);
    const std::string place =
        name + " at " + Endpoint::Parse(view_.shards.at(id.value).endpoint).tcp;
    if (!shard.welcomed) {
      return place + " to answer" + (shard.waiting.empty() ? "" : ", which " + shard.waiting);
    }
    const bool reads = std::ranges::any_of(pulls_, [&id](const auto& entry) {
      return entry.second.shard == id && !entry.second.next;
    });
    const bool ends = ends_sent_ && !shard.ended;
    const bool holds =
        std::ranges::any_of(units_, [&id](const auto& entry) { return entry.second.shard == id; });
    if ((reads || ends || holds) && !shard.waiting.empty())
      return name + ", which " + shard.waiting;
    if (reads) return place + " to answer a pull";
    if (ends) return place + " to end step " + std::to_string(step_);
    if (holds) return place + " to hold the units of step " + std::to_string(step_);
  }
  if (!wanted_tables_.empty()) {
    return "the coordinator to make table \"" + wanted_tables_.begin()->first + "\"";
  }
  if (!leaving_ || left_) return "";
  return leaving_words_.empty() ? "the coordinator to say farewell" : leaving_words_;
}

void PsClient::Tick(TimePoint now, Outbox& outbox) {
  if (failure_ || left_) return;
  TickCoordinator(now, outbox);
  TickData(now, outbox);
  for (auto& [id, shard] : shards_) {
    if (!shard.peer || shard.welcomed || !Due(shard.hello, now)) continue;
    shard.hello.Mark(now);
    Hello hello;
    hello.role = Role::kWorker;
    SendTo(id, hello, outbox);
  }
  for (auto& [id, flying] : units_) {
    if (flying.asked.ever() && Due(flying.asked, now)) SendUnit(flying, now, outbox);
  }
  for (auto& [id, flying] : pulls_) {
    if (flying.asked.ever() && !flying.answered && Due(flying.asked, now)) {
      SendPull(flying, now, outbox);
    }
  }
  SendPulls(now, outbox);
  SendEnds(now, outbox);
}

// Whether a shard does not answer: another process may be in its place by now, or the job have gone
// back, and a coordinator that was started again does not know where this worker is.
bool PsClient::WaitsTooLong(TimePoint now) const {
  if (Mutated(Mutation::kAskNobody)) return false;
  const auto late = [&](const Asked& asked) { return asked.Overdue(now, options_.retry_after); };
  const auto ends = [&](const auto& entry) {
    return !entry.second.ended && late(entry.second.end);
  };
  const auto reads = [&](const auto& entry) {
    return !entry.second.answered && late(entry.second.asked);
  };
  return std::ranges::any_of(shards_, ends) || std::ranges::any_of(pulls_, reads) ||
         std::ranges::any_of(units_, [&](const auto& entry) { return late(entry.second.asked); });
}

void PsClient::TickCoordinator(TimePoint now, Outbox& outbox) {
  if (!Due(coordinator_, now)) return;
  const bool unknown = !Ready() || WaitsTooLong(now);
  if (granted_ && !leaving_ && !unknown && wanted_tables_.empty()) {
    coordinator_ = {};  // There is nothing to ask; whatever comes next is asked for the first time.
    return;
  }
  if (granted_ || leaving_) {
    coordinator_.Mark(now);
  } else {
    coordinator_.MarkFirst(now);  // A repeated Join is also the sign of life of one who waits.
  }
  if (coordinator_boot_.value == 0) {
    Hello hello;
    hello.role = Role::kWorker;
    SendToCoordinator(hello, outbox);
  } else if (leaving_) {
    SendToCoordinator(Goodbye{sender(), leaving_done_, step_ - 1, leaving_failure_}, outbox);
  } else if (!granted_) {
    SendToCoordinator(Join{options_.rank, options_.any_rank}, outbox);
  } else if (unknown) {
    SendToCoordinator(GetView{}, outbox);
  }
  for (const auto& [name, spec] : wanted_tables_) {
    SendToCoordinator(shardmill::MakeTable{sender(), spec}, outbox);
  }
}

void PsClient::SendUnits(TimePoint now, Outbox& outbox) {
  for (auto& [id, flying] : units_) {
    if (flying.asked.ever()) continue;
    Shard& shard = shards_[flying.shard];
    const uint64_t size = flying.unit.gradient.size();
    if (!shard.welcomed) continue;
    if (shard.flying_bytes > 0 && shard.flying_bytes + size > options_.window_bytes) continue;
    shard.flying_bytes += size;
    SendUnit(flying, now, outbox);
  }
}

void PsClient::SendUnit(FlyingUnit& flying, TimePoint now, Outbox& outbox) {
  flying.asked.Mark(now);
  if (flying.piece != nullptr) flying.unit.keys = flying.piece->List();
  SendTo(flying.shard, flying.unit, outbox);
}

// As far as the window goes, and those of the next step where the end of this one has gone.
void PsClient::SendPulls(TimePoint now, Outbox& outbox) {
  for (auto queued = queue_.begin(); queued != queue_.end();) {
    FlyingPull& flying = pulls_.at(queued->second);
    if (!MayAsk(flying)) {
      ++queued;
      continue;
    }
    SendFirst(flying, now, outbox);
    queued = queue_.erase(queued);
  }
}

bool PsClient::MayAsk(const FlyingPull& flying) {
  const Shard& shard = shards_[flying.shard];
  const bool room =
      shard.asked_bytes == 0 || shard.asked_bytes + flying.bytes <= options_.window_bytes;
  return room && shard.welcomed && (!flying.next || shard.end.ever());
}

void PsClient::SendFirst(FlyingPull& flying, TimePoint now, Outbox& outbox) {
  shards_[flying.shard].asked_bytes += flying.bytes;
  SendPull(flying, now, outbox);
}

void PsClient::SendPull(FlyingPull& flying, TimePoint now, Outbox& outbox) {
  flying.asked.Mark(now);
  if (flying.piece != nullptr) flying.pull.keys = flying.piece->List();
  SendTo(flying.shard, flying.pull, outbox);
}

// The shard has forgotten the list, or never had it: all that names it goes again, with the keys.
void PsClient::SendKeysAgain(ShardId shard, uint64_t list, TimePoint now, Outbox& outbox) {
  const auto names = [&](const auto& flying) {
    return flying.shard == shard && flying.piece != nullptr && flying.piece->id == list;
  };
  for (auto& [id, flying] : units_) {
    if (!names(flying) || !flying.asked.ever()) continue;
    flying.piece->known = false;
    SendUnit(flying, now, outbox);
  }
  for (auto& [id, flying] : pulls_) {
    if (!names(flying) || !flying.asked.ever() || flying.answered) continue;
    flying.piece->known = false;
    SendPull(flying, now, outbox);
  }
}

// With several shards no End leaves before every unit is held everywhere. With one shard the End
// may follow the last unit at once: that shard takes it only when it is whole. Where the first
// shard closes rounds, the others hear from us what it has said. Who has failed ends no step: the
// last answer may have said that it is not to be taken.
void PsClient::SendEnds(TimePoint now, Outbox& outbox) {
  if (!ending_ || (failure_ && !Mutated(Mutation::kEndAfterFailure))) return;
  const bool queued =
      std::ranges::any_of(units_, [](const auto& entry) { return !entry.second.asked.ever(); });
  const bool early = shards_.size() == 1 || Mutated(Mutation::kEndBeforeAllHeld);
  if (early ? queued : !units_.empty()) return;
  ends_sent_ = true;
  const bool told = !first_closes() || Mutated(Mutation::kCloseAlone);
  for (auto& [id, shard] : shards_) {
    const bool first = id.value == 0;
    if (shard.ended || !shard.welcomed || !Due(shard.end, now) ||
        !(told || first || shards_[ShardId{0}].ended)) {
      continue;
    }
    shard.end.Mark(now);
    End end{sender(), step_, attempt_, shard.units, samples_, skipped_, {}, {}};
    end.used = used_;
    if (!told && !first) end.close = close_;
    SendTo(id, std::move(end), outbox);
  }
  SendPulls(now, outbox);
}

bool PsClient::Due(const Asked& asked, TimePoint now) const {
  return asked.Due(now, options_.retry_after);
}

void PsClient::SendTo(ShardId shard, Message message, Outbox& outbox) const {
  const auto found = shards_.find(shard);
  if (found == shards_.end() || !found->second.peer) return;
  const ShardPlace& place = view_.shards.at(shard.value);
  const Stamp stamp{job_, view_.generation, place.term, options_.boot, place.boot};
  outbox.push_back({*found->second.peer, stamp, std::move(message)});
}

void PsClient::SendToCoordinator(Message message, Outbox& outbox) const {
  outbox.push_back({options_.coordinator, CoordinatorStamp(), std::move(message)});
}

}  // namespace shardmill
