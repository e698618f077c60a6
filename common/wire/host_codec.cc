#include "common/wire/host_codec.h"

#include <utility>

#include "common/wire/payload.h"

namespace shardmill {
namespace {

Result<> CheckList(int size, const WireLimits& limits) {
  if (static_cast<uint32_t>(size) <= limits.list_max) return {};
  return Error{ErrorCode::kBadInput, "a list that is too long"};
}

Result<Message> Read(const wire::Host& from, const WireLimits& limits) {
  SM_TRY(CheckList(from.busy_size(), limits));
  Host host{from.index(), from.leaving()};
  for (const uint64_t boot : from.busy()) host.busy.push_back(BootId{boot});
  return Message(std::move(host));
}

Result<Message> Read(const wire::Hosting& from, const WireLimits& limits) {
  SM_TRY(CheckList(from.copies_size(), limits));
  Hosting hosting{from.number()};
  for (const wire::HostedCopy& one : from.copies()) {
    hosting.copies.push_back({ShardId{one.shard()}, one.copy()});
  }
  return Message(std::move(hosting));
}

Result<Message> Read(const wire::Balance& from, const WireLimits& limits) {
  SM_TRY(CheckList(from.moves_size(), limits));
  SM_TRY(CheckText(from.problem(), limits));
  Balance balance{{}, from.problem()};
  for (const wire::Move& move : from.moves()) {
    SM_TRY(CheckText(move.words(), limits));
    balance.moves.push_back(
        {ShardId{move.shard()}, move.copy(), move.from(), move.to(), move.primary(), move.words()});
  }
  return Message(std::move(balance));
}

}  // namespace

void ToProto(const Host& host, wire::Host& out) {
  out.set_index(host.index);
  out.set_leaving(host.leaving);
  for (const BootId boot : host.busy) out.add_busy(boot.value);
}

void ToProto(const Hosting& hosting, wire::Hosting& out) {
  out.set_number(hosting.number);
  for (const HostedCopy& one : hosting.copies) {
    wire::HostedCopy& to = *out.add_copies();
    to.set_shard(one.shard.value);
    to.set_copy(one.copy);
  }
}

void ToProto(const Rebalance& request, wire::Rebalance& out) {
  out.mutable_drained()->Assign(request.drained.begin(), request.drained.end());
  out.set_begin(request.begin);
}

void ToProto(const Balance& balance, wire::Balance& out) {
  for (const Move& move : balance.moves) {
    wire::Move& to = *out.add_moves();
    to.set_shard(move.shard.value);
    to.set_copy(move.copy);
    to.set_from(move.from);
    to.set_to(move.to);
    to.set_primary(move.primary);
    to.set_words(move.words);
  }
  out.set_problem(balance.problem);
}

Result<Message> HostingFromProto(const wire::Message& from, const WireLimits& limits) {
  switch (from.body_case()) {
    case wire::Message::kHost:
      return Read(from.host(), limits);
    case wire::Message::kHosting:
      return Read(from.hosting(), limits);
    case wire::Message::kRebalance: {
      SM_TRY(CheckList(from.rebalance().drained_size(), limits));
      const auto& drained = from.rebalance().drained();
      return Message(Rebalance{{drained.begin(), drained.end()}, from.rebalance().begin()});
    }
    default:
      return Read(from.balance(), limits);
  }
}

}  // namespace shardmill
