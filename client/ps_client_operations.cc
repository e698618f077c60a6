// The half of PsClient that begins what a worker asks for.

#include <algorithm>
#include <utility>

#include "client/ps_client.h"
#include "common/assert.h"
#include "common/mutation.h"

namespace shardmill {

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
                              std::span<float> into, const PullOptions& options, Outbox& outbox) {
  return Ask(now, table, begin, {into.size(), into}, options, outbox);
}

Result<Ticket> PsClient::Read(TimePoint now, const TablePlace& table, uint64_t begin,
                              uint64_t count, const PullOptions& options, Outbox& outbox) {
  return Ask(now, table, begin, {count, {}}, options, outbox);
}

Result<Ticket> PsClient::Ask(TimePoint now, const TablePlace& table, uint64_t begin, Target target,
                             const PullOptions& options, Outbox& outbox) {
  SM_TRY(CheckRange(table, begin, target.count));
  const Ticket ticket{next_id_++};
  operations_[ticket.id].kept = target.into.empty();
  ForEachPiece(table, begin, target.count, options_.unit_bytes / sizeof(float),
               [&](ShardId shard, uint64_t at, uint64_t size) {
                 FlyingPull flying;
                 flying.shard = shard;
                 flying.pull = {sender(), step_, 0, table.id, at, size, options.closed_min, {}};
                 flying.bytes = size * sizeof(float);
                 if (!target.into.empty()) flying.into = target.into.subspan(at - begin, size);
                 AddPull(std::move(flying), ticket, options, now, outbox);
               });
  return ticket;
}

void PsClient::AddPull(FlyingPull flying, Ticket ticket, const PullOptions& options, TimePoint now,
                       Outbox& outbox) {
  flying.ticket = ticket.id;
  flying.priority = options.priority;
  flying.next = options.next_step;
  if (flying.next) ++flying.pull.step;
  flying.pull.pull = next_id_++;
  Operation& operation = operations_[ticket.id];
  ++operation.open;
  operation.next = flying.next;
  const uint64_t number = flying.pull.pull;
  FlyingPull& added = pulls_.emplace(number, std::move(flying)).first->second;
  if (!queue_.empty() || !MayAsk(added)) {
    Queue(added);
  } else {
    SendFirst(added, now, outbox);
  }
}

// The first of those with the highest priority goes first.
void PsClient::Queue(const FlyingPull& flying) {
  queue_.emplace(-int64_t{flying.priority}, flying.pull.pull);
}

Result<Ticket> PsClient::Push(TimePoint now, const TablePlace& table, uint64_t begin,
                              std::span<const float> gradient, Outbox& outbox) {
  SM_TRY(CheckRange(table, begin, gradient.size()));
  SM_ASSERT(!ending_);
  const Ticket ticket{next_id_++};
  operations_[ticket.id];
  if (skipped_) return ticket;
  ForEachPiece(table, begin, gradient.size(), options_.unit_bytes / sizeof(float),
               [&](ShardId shard, uint64_t at, uint64_t size) {
                 Unit unit;
                 unit.table = table.id;
                 unit.begin = at;
                 unit.gradient = Borrow(gradient.subspan(at - begin, size));
                 AddUnit(shard, std::move(unit), ticket, nullptr, nullptr);
               });
  SendUnits(now, outbox);
  return ticket;
}

Frame PsClient::Lend(uint64_t floats, std::span<float>& writable) {
  std::erase_if(lent_, [](const Frame& frame) { return frame.Unique(); });
  Buffer buffer = frames_.OfFloats(floats);
  writable = buffer.floats();
  std::ranges::fill(writable, 0.0F);
  lent_.push_back(std::move(buffer).Close());
  return lent_.back();
}

// The floats as a frame: where they lie, if that memory was lent for it, or a copy.
Frame PsClient::Borrow(std::span<const float> floats) {
  const std::span<const std::byte> bytes = std::as_bytes(floats);
  for (const Frame& frame : lent_) {
    const uint64_t offset = reinterpret_cast<uintptr_t>(bytes.data()) -
                            reinterpret_cast<uintptr_t>(frame.bytes().data());
    if (offset <= frame.size() && bytes.size() <= frame.size() - offset) {
      return frame.Slice(offset, bytes.size());
    }
  }
  return frames_.CopyOf(bytes);
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
  bound_[set.id] = std::make_shared<BoundKeys>(table, keys, options_.unit_bytes, frames_, next_id_);
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
                              const PullOptions& options, Outbox& outbox) {
  const std::shared_ptr<BoundKeys> bound = SM_TRY(Find(keys, into.size()));
  const Ticket ticket{next_id_++};
  operations_[ticket.id];
  for (BoundKeys::Piece& piece : bound->pieces()) {
    FlyingPull flying;
    flying.shard = piece.shard;
    flying.pull = {sender(), step_, 0, bound->table(), 0, piece.rows(), options.closed_min, {}};
    flying.bytes = uint64_t{piece.rows()} * bound->dim() * sizeof(float);
    flying.into = into;
    flying.piece = &piece;
    flying.keys = bound;
    AddPull(std::move(flying), ticket, options, now, outbox);
  }
  return ticket;
}

Result<Ticket> PsClient::Push(TimePoint now, KeySet keys, std::span<const float> gradient,
                              Outbox& outbox) {
  const std::shared_ptr<BoundKeys> bound = SM_TRY(Find(keys, gradient.size()));
  SM_ASSERT(!ending_);
  const Ticket ticket{next_id_++};
  operations_[ticket.id];
  if (skipped_) return ticket;
  for (BoundKeys::Piece& piece : bound->pieces()) {
    Unit unit;
    unit.table = bound->table();
    const uint64_t dim = bound->dim();
    unit.gradient = piece.IsRun()
                        ? Borrow(gradient.subspan(piece.first.front() * dim, piece.rows() * dim))
                        : bound->Gather(piece, gradient);
    AddUnit(piece.shard, std::move(unit), ticket, bound, &piece);
  }
  SendUnits(now, outbox);
  return ticket;
}

}  // namespace shardmill
