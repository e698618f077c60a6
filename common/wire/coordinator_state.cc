#include "common/wire/coordinator_state.h"

#include <utility>
#include <vector>

#include "common/assert.h"
#include "common/wire/from_proto.h"
#include "common/wire/replica_codec.h"
#include "common/wire/to_proto.h"
#include "proto/coordinator.pb.h"

namespace shardmill {
namespace {

// As on the wire; neither has a payload.
void Put(const Message& message, wire::Message& out) {
  std::vector<Frame> payload;
  ToProto(message, out, payload);
  SM_ASSERT(payload.empty());
}

template <class Kind>
Result<Kind> Get(const wire::Message& from) {
  FramePool frames(FramePool::Memory::kPrivate);
  Message message = SM_TRY(FromProto(from, {}, frames, WireLimits{}));
  if (auto* kind = std::get_if<Kind>(&message)) return std::move(*kind);
  return Error{ErrorCode::kBadInput, "a message of another kind"};
}

Result<CoordinatorState::Rank> GetRank(const wire::RankRecord& from) {
  CoordinatorState::Rank rank;
  rank.boot = BootId{from.boot()};
  rank.incarnation = Incarnation{from.incarnation()};
  rank.granted = from.granted();
  for (const uint64_t boot : from.fenced()) rank.fenced.push_back(BootId{boot});
  rank.done = from.done();
  rank.acked = from.acked();
  if (from.has_report()) rank.report = SM_TRY(Get<Report>(from.report()));
  return rank;
}

void Put(const ShardCopies& copies, wire::ShardCopies& to) {
  to.set_term(copies.term.value);
  to.set_copy(copies.copy);
  to.set_boot(copies.boot.value);
  to.set_endpoint(copies.endpoint);
  to.set_number(copies.number);
  for (const ReplicaPlace& replica : copies.replicas) ToProto(replica, *to.add_replicas());
  to.set_log(copies.log.value);
  to.set_host(copies.host);
  to.set_given(copies.given);
  for (const ReplicaHome& home : copies.homes) {
    wire::ReplicaHome& added = *to.add_homes();
    added.set_host(home.host);
    if (home.replaces) added.set_replaces(*home.replaces);
  }
}

Result<ShardCopies> GetCopies(const wire::ShardCopies& from) {
  ShardCopies copies;
  copies.term = Term{from.term()};
  copies.copy = from.copy();
  copies.boot = BootId{from.boot()};
  copies.endpoint = from.endpoint();
  copies.number = from.number();
  copies.log = Term{from.log()};
  for (const wire::ReplicaPlace& replica : from.replicas()) {
    copies.replicas.push_back(SM_TRY(FromProto(replica, WireLimits{})));
  }
  copies.host = from.host();
  copies.given = from.given();
  for (const wire::ReplicaHome& home : from.homes()) {
    ReplicaHome& added = copies.homes.emplace_back(ReplicaHome{home.host()});
    if (home.has_replaces()) added.replaces = home.replaces();
  }
  if (copies.given > 0 && copies.homes.size() != copies.replicas.size()) {
    return Error{ErrorCode::kBadInput, "replicas that are nowhere"};
  }
  return copies;
}

}  // namespace

std::string EncodeState(const CoordinatorState& state) {
  wire::CoordinatorState out;
  out.set_job(state.job.value);
  out.set_boot(state.boot.value);
  out.set_epoch(state.epoch.value);
  if (state.decided.view.number.value > 0) Put(state.decided, *out.mutable_install());
  for (const CoordinatorState::Rank& rank : state.ranks) {
    wire::RankRecord& to = *out.add_ranks();
    to.set_boot(rank.boot.value);
    to.set_incarnation(rank.incarnation.value);
    to.set_granted(rank.granted);
    for (const BootId boot : rank.fenced) to.add_fenced(boot.value);
    to.set_done(rank.done);
    to.set_acked(rank.acked);
    if (rank.done) Put(rank.report, *to.mutable_report());
  }
  out.set_final_cut(state.final_cut);
  out.set_done(state.done);
  out.set_failed(state.failed);
  out.set_words(state.words);
  out.set_timed_out(state.timed_out);
  out.set_lost(state.audit.lost);
  out.set_duplicated(state.audit.duplicated);
  out.set_samples_lost(state.audit.samples_lost);
  out.set_samples_repeated(state.audit.samples_repeated);
  out.set_snapshot(state.snapshot);
  out.set_base(state.base);
  out.set_rollbacks(state.rollbacks);
  ToProto(state.data, *out.mutable_data());
  for (const JobKey& key : state.keys) {
    wire::JobKey& to = *out.add_keys();
    to.set_key(key.key);
    to.set_value(key.value);
  }
  for (const ShardCopies& copies : state.copies) Put(copies, *out.add_copies());
  out.set_streams(state.streams);
  out.set_going_back(state.going_back);
  out.set_hosting(state.hosting);
  return out.SerializeAsString();
}

Result<CoordinatorState> DecodeState(std::string_view bytes) {
  wire::CoordinatorState from;
  if (!from.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || from.boot() == 0) {
    return Error{ErrorCode::kBadInput, "no state of a coordinator"};
  }
  CoordinatorState state;
  state.job = JobId{from.job()};
  state.boot = BootId{from.boot()};
  state.epoch = Term{from.epoch()};
  if (from.has_install()) state.decided = SM_TRY(Get<Install>(from.install()));
  for (const wire::RankRecord& rank : from.ranks()) state.ranks.push_back(SM_TRY(GetRank(rank)));
  for (const Member& member : state.decided.view.members) {
    if (member.rank.value < state.ranks.size()) continue;
    return Error{ErrorCode::kBadInput, "a member that has no rank"};
  }
  state.final_cut = from.final_cut();
  state.done = from.done();
  state.failed = from.failed();
  state.words = from.words();
  state.timed_out = from.timed_out();
  state.audit = {from.lost(), from.duplicated(), from.samples_lost(), from.samples_repeated()};
  state.snapshot = from.snapshot();
  state.base = from.base();
  state.rollbacks = from.rollbacks();
  state.data = SM_TRY(FromProto(from.data()));
  for (const wire::JobKey& key : from.keys()) state.keys.push_back({key.key(), key.value()});
  for (const wire::ShardCopies& copies : from.copies()) {
    state.copies.push_back(SM_TRY(GetCopies(copies)));
  }
  state.streams = from.streams();
  state.going_back = from.going_back();
  state.hosting = from.hosting();
  return state;
}

}  // namespace shardmill
