#include "client/ps_client.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/assert.h"
#include "common/mutation.h"

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
                 flying.pull = {sender(), step_, next_id_++, table.id, at, size, closed_min};
                 flying.into = into.subspan(at - begin, size);
                 flying.ticket = ticket.id;
                 flying.asked.MarkFirst(now);
                 ++operation.open;
                 SendTo(shard, flying.pull, outbox);
                 pulls_.emplace(flying.pull.pull, std::move(flying));
               });
  return ticket;
}

Result<Ticket> PsClient::Push(TimePoint now, const TablePlace& table, uint64_t begin,
                              std::span<const float> gradient, Outbox& outbox) {
  SM_TRY(CheckRange(table, begin, gradient.size()));
  SM_ASSERT(!ending_);
  const Ticket ticket{next_id_++};
  Operation& operation = operations_[ticket.id];
  ForEachPiece(table, begin, gradient.size(), options_.unit_bytes / sizeof(float),
               [&](ShardId shard, uint64_t at, uint64_t size) {
                 FlyingUnit flying;
                 flying.shard = shard;
                 flying.unit = {sender(),
                                step_,
                                attempt_,
                                shards_[shard].units++,
                                table.id,
                                at,
                                Frame::CopyOf(gradient.subspan(at - begin, size))};
                 flying.ticket = ticket.id;
                 ++operation.open;
                 units_.emplace(std::pair(shard, flying.unit.index), std::move(flying));
               });
  SendUnits(now, outbox);
  return ticket;
}

void PsClient::EndStep(TimePoint now, double samples, Outbox& outbox) {
  SM_ASSERT(!ending_);
  ending_ = true;
  samples_ = samples;
  ends_open_ = static_cast<uint32_t>(shards_.size());
  SendEnds(now, outbox);
}

void PsClient::NextStep() {
  SM_ASSERT(Ended());
  ++step_;
  attempt_ = 0;
  ResetStep();
}

void PsClient::AbandonStep() {
  SM_ASSERT(!ending_);
  ++attempt_;
  ResetStep();
}

// Nothing of a step outlives it: late answers find nobody, and borrowed memory is given back.
void PsClient::ResetStep() {
  units_.clear();
  pulls_.clear();
  operations_.clear();
  ending_ = false;
  ends_sent_ = false;
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

void PsClient::SayGoodbye(TimePoint now, bool done, Outbox& outbox) {
  leaving_ = true;
  leaving_done_ = done;
  coordinator_.MarkFirst(now);
  SendToCoordinator(Goodbye{sender(), done, step_ - 1}, outbox);
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
  for (const auto& [id, shard] : shards_) {
    const std::string name = "shard " + std::to_string(id.value);
    const std::string place = name + " at " + view_.shards.at(id.value).endpoint;
    if (!shard.welcomed) return place + " to answer";
    const bool reads =
        std::ranges::any_of(pulls_, [&id](const auto& entry) { return entry.second.shard == id; });
    const bool ends = ends_sent_ && !shard.ended;
    if ((reads || ends) && !shard.waiting.empty())
      return name + ", which waits for " + shard.waiting;
    if (reads) return place + " to answer a pull";
    if (ends) return place + " to end step " + std::to_string(step_);
    const bool holds =
        std::ranges::any_of(units_, [&id](const auto& entry) { return entry.second.shard == id; });
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
    if (!flying.asked.ever() || !Due(flying.asked, now)) continue;
    flying.asked.Mark(now);
    SendTo(flying.shard, flying.unit, outbox);
  }
  for (auto& [id, flying] : pulls_) {
    if (!Due(flying.asked, now)) continue;
    flying.asked.Mark(now);
    SendTo(flying.shard, flying.pull, outbox);
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
    SendToCoordinator(Goodbye{sender(), leaving_done_, step_ - 1}, outbox);
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
    flying.asked.Mark(now);
    SendTo(flying.shard, flying.unit, outbox);
  }
}

// With several shards no End leaves before every unit is held everywhere. With one shard the End
// may follow the last unit at once: that shard takes it only when it is whole.
void PsClient::SendEnds(TimePoint now, Outbox& outbox) {
  if (!ending_) return;
  const bool queued =
      std::ranges::any_of(units_, [](const auto& entry) { return !entry.second.asked.ever(); });
  const bool early = shards_.size() == 1 || Mutated(Mutation::kEndBeforeAllHeld);
  if (early ? queued : !units_.empty()) return;
  ends_sent_ = true;
  for (auto& [id, shard] : shards_) {
    if (shard.ended || !Due(shard.end, now)) continue;
    shard.end.Mark(now);
    SendTo(id, End{sender(), step_, attempt_, shard.units, samples_}, outbox);
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
