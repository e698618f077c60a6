#include "client/ps_client.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/assert.h"
#include "common/finite.h"
#include "common/mutation.h"
#include "common/net/endpoint.h"

namespace shardmill {

PsClient::PsClient(const PsClientOptions& options) : options_(options) {}

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
  if (FindTable(spec.name) != nullptr) return;
  wanted_tables_.emplace(spec.name, spec);
  coordinator_.MarkFirst(now);
  SendToCoordinator(shardmill::MakeTable{sender(), spec}, outbox);
}

Result<> PsClient::CheckRange(const TablePlace& table, uint64_t begin, uint64_t count) const {
  if (count > 0 && begin <= table.spec.size && count <= table.spec.size - begin) return {};
  return Error{ErrorCode::kBadUsage, "the floats " + std::to_string(begin) + " + " +
                                         std::to_string(count) + " are not in table \"" +
                                         table.spec.name + "\", which has " +
                                         std::to_string(table.spec.size)};
}

namespace {

// Calls `take(shard, begin, count)` for each piece of the range: cut by shard, then by size.
template <class Take>
void ForEachPiece(const TablePlace& table, uint64_t begin, uint64_t count, uint64_t piece_floats,
                  Take take) {
  for (uint32_t i = 0; i + 1 < table.cuts.size(); ++i) {
    uint64_t at = std::max(begin, table.cuts[i]);
    const uint64_t end = std::min(begin + count, table.cuts[i + 1]);
    while (at < end) {
      const uint64_t size = std::min(piece_floats, end - at);
      take(ShardId{i}, at, size);
      at += size;
    }
  }
}

}  // namespace

Result<Ticket> PsClient::Pull(TimePoint now, const TablePlace& table, uint64_t begin,
                              std::span<float> into, uint64_t closed_min, Outbox& outbox) {
  SM_TRY(CheckRange(table, begin, into.size()));
  const Ticket ticket{next_id_++};
  Operation& operation = operations_[ticket.id];
  ForEachPiece(table, begin, into.size(), options_.unit_bytes / sizeof(float),
               [&](ShardId shard, uint64_t at, uint64_t size) {
                 FlyingPull flying;
                 flying.shard = shard;
                 flying.pull = {sender(), step_, next_id_++, table.id, at, size, closed_min, {}};
                 flying.into = into.subspan(at - begin, size);
                 flying.ticket = ticket.id;
                 ++operation.open;
                 SendPull(flying, now, outbox);
                 pulls_.emplace(flying.pull.pull, std::move(flying));
               });
  return ticket;
}

Result<Ticket> PsClient::Push(TimePoint now, const TablePlace& table, uint64_t begin,
                              std::span<const float> gradient, Outbox& outbox) {
  SM_TRY(CheckRange(table, begin, gradient.size()));
  SM_TRY(CheckNumbers(table, gradient));
  const Ticket ticket{next_id_++};
  operations_[ticket.id];
  if (skipped_) return ticket;
  ForEachPiece(table, begin, gradient.size(), options_.unit_bytes / sizeof(float),
               [&](ShardId shard, uint64_t at, uint64_t size) {
                 Unit unit;
                 unit.table = table.id;
                 unit.begin = at;
                 unit.gradient = Frame::CopyOf(gradient.subspan(at - begin, size));
                 AddUnit(shard, std::move(unit), ticket, nullptr, nullptr);
               });
  SendUnits(now, outbox);
  return ticket;
}

Result<KeySet> PsClient::Bind(const TablePlace& table, std::span<const uint64_t> keys) {
  constexpr uint64_t kKeysMax = uint64_t{1} << 31;
  if (keys.empty() || keys.size() > kKeysMax) {
    return Error{ErrorCode::kBadUsage, "a list of " + std::to_string(keys.size()) +
                                           " keys; 1 to 2^31 can be bound at once"};
  }
  if (table.spec.dim * sizeof(float) + sizeof(uint64_t) > options_.unit_bytes) {
    return Error{ErrorCode::kBadUsage, "a row of table \"" + table.spec.name + "\" has " +
                                           std::to_string(table.spec.dim) +
                                           " floats, with its key more than network.unit_bytes"};
  }
  const KeySet set{next_id_++, keys.size(), table.spec.dim};
  bound_[set.id] = std::make_shared<BoundKeys>(table, keys, options_.unit_bytes, next_id_);
  return set;
}

Result<std::shared_ptr<BoundKeys>> PsClient::Find(KeySet keys, uint64_t floats) const {
  const auto found = bound_.find(keys.id);
  if (found == bound_.end()) {
    return Error{ErrorCode::kBadUsage, "a set of keys that is not bound in this session"};
  }
  const uint64_t wanted = found->second->count() * found->second->dim();
  if (floats == wanted) return found->second;
  return Error{ErrorCode::kBadUsage, "rows of " + std::to_string(floats) +
                                         " floats for a set of keys that has " +
                                         std::to_string(wanted)};
}

Result<Ticket> PsClient::Pull(TimePoint now, KeySet keys, std::span<float> into,
                              uint64_t closed_min, Outbox& outbox) {
  const std::shared_ptr<BoundKeys> bound = SM_TRY(Find(keys, into.size()));
  const Ticket ticket{next_id_++};
  Operation& operation = operations_[ticket.id];
  for (BoundKeys::Piece& piece : bound->pieces()) {
    FlyingPull flying;
    flying.shard = piece.shard;
    flying.pull = {sender(), step_, next_id_++, bound->table(), 0, piece.rows(), closed_min, {}};
    flying.into = into;
    flying.ticket = ticket.id;
    flying.piece = &piece;
    flying.keys = bound;
    ++operation.open;
    SendPull(flying, now, outbox);
    pulls_.emplace(flying.pull.pull, std::move(flying));
  }
  return ticket;
}

Result<Ticket> PsClient::Push(TimePoint now, KeySet keys, std::span<const float> gradient,
                              Outbox& outbox) {
  const std::shared_ptr<BoundKeys> bound = SM_TRY(Find(keys, gradient.size()));
  for (const TablePlace& table : view_.tables) {
    if (table.id == bound->table()) SM_TRY(CheckNumbers(table, gradient));
  }
  const Ticket ticket{next_id_++};
  operations_[ticket.id];
  if (skipped_) return ticket;
  for (BoundKeys::Piece& piece : bound->pieces()) {
    Unit unit;
    unit.table = bound->table();
    unit.gradient = bound->Gather(piece, gradient);
    AddUnit(piece.shard, std::move(unit), ticket, bound, &piece);
  }
  SendUnits(now, outbox);
  return ticket;
}

// A gradient that is no number does not leave this process, unless the job wants it.
Result<> PsClient::CheckNumbers(const TablePlace& table, std::span<const float> gradient) {
  SM_ASSERT(!ending_);
  const bool merge = table.spec.update && IsMerge(table.spec.update->rule);
  const OnNonfinite rule = view_.policy.nonfinite;
  const bool blind = Mutated(Mutation::kApplyNonfinite) || Mutated(Mutation::kSkipOnOneShard);
  if (rule == OnNonfinite::kAccept || blind || AllNumbers(gradient, merge)) return {};
  if (rule == OnNonfinite::kSkip) {
    SkipStep();
    return {};
  }
  return Error{ErrorCode::kBadInput,
               "what is pushed to table \"" + table.spec.name + "\" in step " +
                   std::to_string(step_) +
                   " has a NaN or an infinity in it (policy.on_nonfinite = \"reject\")"};
}

// The step becomes an empty one: what was pushed so far is dropped by the attempt that follows.
void PsClient::SkipStep() {
  skipped_ = true;
  ++attempt_;
  for (auto& [id, flying] : units_) FinishPart(flying.ticket);
  units_.clear();
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
  samples_ = skipped_ ? 0 : samples;
  ends_open_ = static_cast<uint32_t>(shards_.size());
  SendEnds(now, outbox);
}

void PsClient::NextStep() {
  SM_ASSERT(Ended());
  // A step that was left behind is not made up for: the worker goes where the others are.
  step_ = discarded_ ? std::max(next_, step_ + 1) : step_ + 1;
  attempt_ = 0;
  ResetStep();
}

void PsClient::AbandonStep() {
  SM_ASSERT(!ending_);
  ++attempt_;
  ResetStep();
}

void PsClient::ForgetPulls() { pulls_.clear(); }

// Nothing of a step outlives it: late answers find nobody, and borrowed memory is given back.
void PsClient::ResetStep() {
  units_.clear();
  pulls_.clear();
  operations_.clear();
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

bool PsClient::Done(Ticket ticket) const {
  const auto found = operations_.find(ticket.id);
  return found == operations_.end() || found->second.open == 0;
}

Served PsClient::Take(Ticket ticket) {
  SM_ASSERT(Done(ticket));
  const auto found = operations_.find(ticket.id);
  if (found == operations_.end()) return {};
  const Served served = found->second.served.value_or(Served{});
  operations_.erase(found);
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
  coordinator_.MarkFirst(now);
  SendToCoordinator(Goodbye{sender(), done, step_ - 1, leaving_failure_}, outbox);
}

Stamp PsClient::CoordinatorStamp() const {
  return {job_, view_.generation, Term{}, options_.boot, coordinator_boot_};
}

std::string PsClient::WaitsFor() const {
  if (coordinator_boot_.value == 0) return "the coordinator to answer";
  if (!granted_) {
    return coordinator_words_.empty()
               ? "the coordinator to let rank " + std::to_string(options_.rank.value) + " in"
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
    const bool reads =
        std::ranges::any_of(pulls_, [&id](const auto& entry) { return entry.second.shard == id; });
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
  return leaving_ && !left_ ? "the coordinator to say farewell" : "";
}

void PsClient::Tick(TimePoint now, Outbox& outbox) {
  if (failure_ || left_) return;
  TickCoordinator(now, outbox);
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
    if (Due(flying.asked, now)) SendPull(flying, now, outbox);
  }
  SendEnds(now, outbox);
}

void PsClient::TickCoordinator(TimePoint now, Outbox& outbox) {
  if (!Due(coordinator_, now)) return;
  if (granted_) {
    coordinator_.Mark(now);
  } else {
    coordinator_.MarkFirst(now);  // A repeated Join is also the sign of life of one who waits.
  }
  if (coordinator_boot_.value == 0) {
    Hello hello;
    hello.role = Role::kWorker;
    SendToCoordinator(hello, outbox);
  } else if (!granted_) {
    SendToCoordinator(Join{options_.rank}, outbox);
  } else if (leaving_) {
    SendToCoordinator(Goodbye{sender(), leaving_done_, step_ - 1, leaving_failure_}, outbox);
  } else if (view_.shards.empty()) {
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
    if (!names(flying)) continue;
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
    if (shard.ended || !Due(shard.end, now) || !(told || first || shards_[ShardId{0}].ended)) {
      continue;
    }
    shard.end.Mark(now);
    End end{sender(), step_, attempt_, shard.units, samples_, skipped_, {}};
    if (!told && !first) end.close = close_;
    SendTo(id, std::move(end), outbox);
  }
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
