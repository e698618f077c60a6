#include "common/payload.h"

#include <type_traits>
#include <variant>

namespace shardmill {
namespace {

Payload PayloadOf(const Frame& frame) { return {1, frame.size()}; }

// Keys stand in a frame of their own, where they are sent at all.
Payload PayloadOfKeys(const Frame& keys) { return keys.size() == 0 ? Payload{} : PayloadOf(keys); }

Payload PayloadOf(const Unit& unit) {
  return PayloadOf(unit.gradient) += PayloadOfKeys(unit.keys.keys);
}

Payload PayloadOf(const Pull& pull) { return PayloadOfKeys(pull.keys.keys); }

Payload PayloadOf(const Pulled& pulled) {
  Payload payload;
  for (const Frame& frame : pulled.values) payload += PayloadOf(frame);
  return payload;
}

Payload PayloadOf(const Follow& follow) {
  if (const auto* entry = std::get_if<Entry>(&follow.what)) return PayloadOf(*entry);
  const auto* piece = std::get_if<CopyPiece>(&follow.what);
  return piece == nullptr ? Payload{} : PayloadOf(piece->piece);
}

}  // namespace

Payload PayloadOf(const EntryPart& part) {
  return PayloadOf(part.gradient) += PayloadOfKeys(part.keys);
}

Payload PayloadOf(const Entry& entry) {
  Payload payload;
  for (const EntryChange& change : entry.changes) {
    for (const EntryPart& part : change.parts) payload += PayloadOf(part);
  }
  return payload;
}

Payload PayloadOf(const TablePiece& piece) {
  if (const auto* dense = std::get_if<DensePiece>(&piece)) return PayloadOf(dense->floats);
  if (const auto* rows = std::get_if<RowBatch>(&piece)) {
    return {3, rows->keys.size() + rows->values.size() + rows->state.size()};
  }
  return {0, std::get<UpdateRuns>(piece).size() * sizeof(UpdateRun)};
}

Payload PayloadOf(const Message& message) {
  if (const auto* unit = std::get_if<Unit>(&message)) return PayloadOf(*unit);
  if (const auto* pull = std::get_if<Pull>(&message)) return PayloadOf(*pull);
  if (const auto* pulled = std::get_if<Pulled>(&message)) return PayloadOf(*pulled);
  const auto* follow = std::get_if<Follow>(&message);
  return follow == nullptr ? Payload{} : PayloadOf(*follow);
}

}  // namespace shardmill
