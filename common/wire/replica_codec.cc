#include "common/wire/replica_codec.h"

#include <cmath>
#include <utility>
#include <variant>

#include "common/wire/from_proto.h"
#include "common/wire/payload.h"
#include "common/wire/to_proto.h"

namespace shardmill {
namespace {

Error Bad(const std::string& what) { return {ErrorCode::kBadInput, what}; }

struct Out {
  wire::Message& message;
  wire::Follow& follow;
  std::vector<Frame>& payload;

  void Attach(const Frame& frame) {
    message.add_payload(frame.size());
    payload.push_back(frame);
  }
};

void Write(const CopyHead& head, Out& out) {
  wire::Follow::Head& to = *out.follow.mutable_head();
  ToProto(head.view, *to.mutable_view());
  to.set_version(head.version);
  for (const RankState& state : head.ranks) ToProto(state, *to.add_ranks());
  for (const RankState& state : head.last_close) ToProto(state, *to.add_last_close());
}

void Write(const CopyPiece& piece, Out& out) {
  wire::TablePiece& to = *out.follow.mutable_piece();
  to.set_table(piece.table.value);
  if (const auto* dense = std::get_if<DensePiece>(&piece.piece)) {
    to.set_slot(dense->slot);
    to.set_begin(dense->begin);
    out.Attach(dense->floats);
  } else if (const auto* rows = std::get_if<RowBatch>(&piece.piece)) {
    to.set_rows(true);
    out.Attach(rows->keys);
    out.Attach(rows->values);
    out.Attach(rows->state);
  } else {
    for (const UpdateRun& run : std::get<UpdateRuns>(piece.piece)) {
      wire::TablePiece::Run& added = *to.add_runs();
      added.set_begin(run.begin);
      added.set_end(run.end);
      added.set_updates(run.updates);
    }
  }
}

void Write(const CopyEnd& end, Out& out) { out.follow.mutable_end()->set_filled(end.filled); }

void Write(const Entry& entry, Out& out) {
  wire::Entry& to = *out.follow.mutable_entry();
  to.set_version(entry.version);
  to.set_more(entry.more);
  for (const Contribution& made : entry.made) {
    wire::Contribution& added = *to.add_made();
    added.set_rank(made.rank.value);
    added.set_step(made.step);
    added.set_samples(made.samples);
    added.set_discarded(made.discarded);
    added.set_attempt(made.attempt);
    if (made.used == DataCursor{}) continue;
    added.mutable_used()->set_seq(made.used.seq);
    added.mutable_used()->set_offset(made.used.offset);
  }
  for (const EntryChange& change : entry.changes) {
    wire::EntryChange& added = *to.add_changes();
    added.set_table(change.table.value);
    added.set_rate(change.rate);
    for (const EntryPart& part : change.parts) {
      wire::EntryChange::Part& one = *added.add_parts();
      one.set_begin(part.begin);
      one.set_weight(part.weight);
      one.set_combined(part.combined);
      one.set_keys(part.keys.size() > 0);
      out.Attach(part.gradient);
      if (part.keys.size() > 0) out.Attach(part.keys);
    }
  }
}

void Write(const View& view, Out& out) { ToProto(view, *out.follow.mutable_view()); }

void Write(const CopyCheck& check, Out& out) {
  wire::Follow::Check& to = *out.follow.mutable_check();
  to.set_table(check.table.value);
  to.set_begin(check.begin);
  to.set_count(check.count);
  to.set_crc(check.crc);
}

void Write(const CopyResume& resume, Out& out) {
  wire::Follow::Resume& to = *out.follow.mutable_resume();
  to.set_after(resume.after.value);
  to.set_since(resume.since);
  to.set_version(resume.version);
  to.set_view(resume.view.value);
}

// The payload frames of a message, handed out in order.
struct In {
  std::span<const Frame> payload;
  const WireLimits& limits;
  FramePool& frames;

  Result<Frame> Floats() {
    const Frame frame = SM_TRY(Next());
    return FloatsOf(frame, frames);
  }
  Result<Frame> Keys() {
    const Frame frame = SM_TRY(Next());
    return KeysOf(frame, frames);
  }
  Result<Frame> Next() {
    if (payload.empty()) return Bad("fewer payload frames than the message wants");
    const Frame frame = payload.front();
    payload = payload.subspan(1);
    return frame;
  }
};

template <class List>
Result<std::vector<RankState>> States(const List& from, const WireLimits& limits) {
  if (static_cast<uint32_t>(from.size()) > limits.list_max) return Bad("a list that is too long");
  std::vector<RankState> states;
  for (const wire::RankState& state : from) states.push_back(SM_TRY(FromProto(state)));
  return states;
}

Result<CopyPiece> Read(const wire::TablePiece& from, In& in) {
  CopyPiece piece;
  piece.table = TableId{from.table()};
  if (from.rows()) {
    RowBatch rows;
    rows.keys = SM_TRY(in.Keys());
    rows.values = SM_TRY(in.Floats());
    rows.state = SM_TRY(in.Floats());
    piece.piece = std::move(rows);
    return piece;
  }
  if (from.runs_size() == 0) {
    piece.piece = DensePiece{from.slot(), from.begin(), SM_TRY(in.Floats())};
    return piece;
  }
  if (static_cast<uint32_t>(from.runs_size()) > in.limits.list_max) return Bad("too many counts");
  UpdateRuns runs;
  for (const wire::TablePiece::Run& run : from.runs()) {
    runs.push_back({run.begin(), run.end(), run.updates()});
  }
  piece.piece = std::move(runs);
  return piece;
}

Result<Entry> Read(const wire::Entry& from, In& in) {
  Entry entry;
  entry.version = from.version();
  entry.more = from.more();
  if (static_cast<uint32_t>(from.made_size()) > in.limits.list_max) return Bad("too many steps");
  for (const wire::Contribution& made : from.made()) {
    if (!std::isfinite(made.samples()) || made.samples() < 0) {
      return Bad("an amount that is negative or no number");
    }
    entry.made.push_back({WorkerId{made.rank()},
                          made.step(),
                          made.samples(),
                          made.discarded(),
                          made.attempt(),
                          {made.used().seq(), made.used().offset()}});
  }
  for (const wire::EntryChange& change : from.changes()) {
    EntryChange& added = entry.changes.emplace_back();
    added.table = TableId{change.table()};
    added.rate = change.rate();
    for (const wire::EntryChange::Part& part : change.parts()) {
      EntryPart& one = added.parts.emplace_back();
      one.begin = part.begin();
      one.weight = part.weight();
      one.combined = part.combined();
      one.gradient = SM_TRY(in.Floats());
      if (part.keys()) one.keys = SM_TRY(in.Keys());
    }
  }
  return entry;
}

Result<decltype(Follow::what)> ReadItem(const wire::Follow& from, In& in) {
  using What = decltype(Follow::what);
  switch (from.what_case()) {
    case wire::Follow::kHead: {
      CopyHead head;
      head.view = SM_TRY(FromProto(from.head().view(), in.limits));
      head.version = from.head().version();
      head.ranks = SM_TRY(States(from.head().ranks(), in.limits));
      head.last_close = SM_TRY(States(from.head().last_close(), in.limits));
      return What(std::move(head));
    }
    case wire::Follow::kPiece:
      return What(SM_TRY(Read(from.piece(), in)));
    case wire::Follow::kEnd:
      return What(CopyEnd{from.end().filled()});
    case wire::Follow::kEntry:
      return What(SM_TRY(Read(from.entry(), in)));
    case wire::Follow::kView:
      return What(SM_TRY(FromProto(from.view(), in.limits)));
    case wire::Follow::kCheck:
      return What(CopyCheck{TableId{from.check().table()}, from.check().begin(),
                            from.check().count(), from.check().crc()});
    case wire::Follow::kResume:
      return What(CopyResume{Term{from.resume().after()}, from.resume().since(),
                             from.resume().version(), ViewNumber{from.resume().view()}});
    default:
      return Bad("an item of an unknown kind");
  }
}

}  // namespace

void ToProto(const Register& request, wire::Register& out) {
  out.set_shard(request.shard.value);
  out.set_endpoint(request.endpoint);
  out.set_copy(request.copy);
  if (request.log == LogMark{}) return;
  out.mutable_log()->set_generation(request.log.generation.value);
  out.mutable_log()->set_term(request.log.term.value);
}

void ToProto(const LogStatus& log, wire::LogStatus& out) {
  out.set_term(log.term.value);
  out.set_bytes(log.bytes);
  out.set_problem(log.problem);
}

void ToProto(const ReplicaPlace& place, wire::ReplicaPlace& out) {
  out.set_copy(place.copy);
  out.set_boot(place.boot.value);
  out.set_endpoint(place.endpoint);
  out.set_stream(place.stream);
  out.set_in_sync(place.in_sync);
  out.set_goes_on(place.goes_on);
}

void ToProto(const Replicas& replicas, wire::Replicas& out) {
  out.set_shard(replicas.shard.value);
  out.set_number(replicas.number);
  out.set_log(replicas.log.value);
  for (const ReplicaPlace& place : replicas.replicas) ToProto(place, *out.add_replicas());
}

void ToProto(const Follow& follow, wire::Message& message, std::vector<Frame>& payload) {
  wire::Follow& out = *message.mutable_follow();
  out.set_shard(follow.shard.value);
  out.set_stream(follow.stream);
  out.set_item(follow.item);
  out.set_kept(follow.kept);
  Out to{message, out, payload};
  std::visit([&to](const auto& item) { Write(item, to); }, follow.what);
}

Result<Register> FromProto(const wire::Register& from, const WireLimits& limits) {
  SM_TRY(CheckText(from.endpoint(), limits));
  return Register{ShardId{from.shard()},
                  from.endpoint(),
                  from.copy(),
                  {Generation{from.log().generation()}, Term{from.log().term()}}};
}

Result<LogStatus> FromProto(const wire::LogStatus& from, const WireLimits& limits) {
  SM_TRY(CheckText(from.problem(), limits));
  return LogStatus{Term{from.term()}, from.bytes(), from.problem()};
}

Result<ReplicaPlace> FromProto(const wire::ReplicaPlace& from, const WireLimits& limits) {
  SM_TRY(CheckText(from.endpoint(), limits));
  return ReplicaPlace{from.copy(),   BootId{from.boot()}, from.endpoint(),
                      from.stream(), from.in_sync(),      from.goes_on()};
}

Result<Replicas> FromProto(const wire::Replicas& from, const WireLimits& limits) {
  if (static_cast<uint32_t>(from.replicas_size()) > limits.list_max)
    return Bad("too many replicas");
  Replicas replicas{ShardId{from.shard()}, from.number(), {}, Term{from.log()}};
  for (const wire::ReplicaPlace& place : from.replicas()) {
    replicas.replicas.push_back(SM_TRY(FromProto(place, limits)));
  }
  return replicas;
}

Result<Follow> FromProto(const wire::Follow& from, std::span<const Frame> payload,
                         FramePool& frames, const WireLimits& limits) {
  In in{payload, limits, frames};
  Follow follow;
  follow.shard = ShardId{from.shard()};
  follow.stream = from.stream();
  follow.item = from.item();
  follow.kept = from.kept();
  follow.what = SM_TRY(ReadItem(from, in));
  if (!in.payload.empty()) return Bad("more payload frames than the message wants");
  return follow;
}

}  // namespace shardmill
