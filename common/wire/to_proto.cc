#include "common/wire/to_proto.h"

#include <variant>

#include "common/wire/host_codec.h"
#include "common/wire/replica_codec.h"

namespace shardmill {
namespace {

// Where a message's body and payload go.
struct Out {
  wire::Message& message;
  std::vector<Frame>& payload;

  void Attach(const Frame& frame) {
    message.add_payload(frame.size());
    payload.push_back(frame);
  }
};

void Put(const Sender& sender, wire::Sender& out) {
  out.set_rank(sender.rank.value);
  out.set_incarnation(sender.incarnation.value);
}

// Enums of the wire begin with a value that is refused, and go on in the order of ours.
template <class Wire, class Ours>
Wire Shifted(Ours value) {
  return static_cast<Wire>(static_cast<int>(value) + 1);
}

void Put(const UpdateSettings& settings, wire::UpdateSettings& out) {
  out.set_rule(Shifted<wire::UpdateRule>(settings.rule));
  wire::RateSchedule& rate = *out.mutable_rate();
  rate.set_shape(Shifted<wire::RateShape>(settings.rate.shape));
  rate.set_base(settings.rate.base);
  rate.set_warmup(settings.rate.warmup);
  rate.set_length(settings.rate.length);
  rate.set_factor(settings.rate.factor);
  rate.set_power(settings.rate.power);
  rate.set_end(settings.rate.end);
  rate.set_scale_by_workers(settings.rate.scale_by_workers);
  out.set_momentum(settings.momentum);
  out.set_beta1(settings.beta1);
  out.set_beta2(settings.beta2);
  out.set_epsilon(settings.epsilon);
  out.set_beta(settings.beta);
  out.set_l1(settings.l1);
  out.set_l2(settings.l2);
  out.set_weight_decay(settings.weight_decay);
  out.set_clip_value(settings.clip_value);
}

void Put(const TableSpec& spec, wire::TableSpec& out) {
  out.set_name(spec.name);
  out.set_size(spec.size);
  out.set_initial_kind(Shifted<wire::InitialKind>(spec.initial.kind));
  out.set_initial_scale(spec.initial.scale);
  out.set_initial_seed(spec.initial.seed);
  out.set_dim(spec.dim);
  if (spec.update) Put(*spec.update, *out.mutable_update());
}

void Put(const View& view, wire::View& out) {
  out.set_generation(view.generation.value);
  out.set_number(view.number.value);
  wire::Policy& policy = *out.mutable_policy();
  policy.set_apply(Shifted<wire::ApplyRule>(view.policy.apply));
  policy.set_bounded(view.policy.bounded);
  policy.set_staleness(view.policy.staleness);
  policy.set_aggregate(Shifted<wire::Aggregate>(view.policy.aggregate));
  policy.set_nonfinite(Shifted<wire::OnNonfinite>(view.policy.nonfinite));
  policy.set_backups(view.policy.backups);
  out.set_closed(view.closed);
  for (const Member& member : view.members) {
    wire::Member& to = *out.add_members();
    to.set_rank(member.rank.value);
    to.set_incarnation(member.incarnation.value);
    to.set_base(member.base);
  }
  for (const ShardPlace& shard : view.shards) {
    wire::ShardPlace& to = *out.add_shards();
    to.set_id(shard.id.value);
    to.set_term(shard.term.value);
    to.set_boot(shard.boot.value);
    to.set_endpoint(shard.endpoint);
  }
  for (const TablePlace& table : view.tables) {
    wire::TablePlace& to = *out.add_tables();
    to.set_id(table.id.value);
    Put(table.spec, *to.mutable_spec());
    for (const uint64_t cut : table.cuts) to.add_cuts(cut);
  }
}

void Put(const DataCursor& cursor, wire::DataCursor& out) {
  out.set_seq(cursor.seq);
  out.set_offset(cursor.offset);
}

void Put(const DataRange& range, wire::DataRange& out) {
  out.set_epoch(range.epoch);
  out.set_begin(range.begin);
  out.set_end(range.end);
}

void Put(const DataLease& lease, wire::DataLease& out) {
  out.set_seq(lease.seq);
  Put(lease.range, *out.mutable_range());
}

void Put(const RankState& state, wire::RankState& out) {
  out.set_rank(state.rank.value);
  out.set_ended(state.ended);
  out.set_samples(state.samples);
  out.set_applied(state.applied);
  out.set_counted(state.counted);
  out.set_discarded(state.discarded);
  out.set_attempt(state.attempt);
  if (state.used != DataCursor{}) Put(state.used, *out.mutable_used());
  if (state.whole) out.set_whole(*state.whole);
}

void Write(const Hello& hello, Out& out) {
  wire::Hello& to = *out.message.mutable_hello();
  to.set_version_min(hello.version_min);
  to.set_version_max(hello.version_max);
  to.set_role(Shifted<wire::Role>(hello.role));
}

void Write(const Welcome& welcome, Out& out) {
  out.message.mutable_welcome()->set_version(welcome.version);
}

void Write(const Refused& refused, Out& out) {
  wire::Refused& to = *out.message.mutable_refused();
  to.set_code(Shifted<wire::RefusalCode>(refused.code));
  to.set_about(refused.about);
  to.set_words(refused.words);
}

void Put(const KeyList& keys, wire::KeyList& to, Out& out) {
  to.set_id(keys.id);
  to.set_attached(keys.keys.size() > 0);
  if (keys.keys.size() > 0) out.Attach(keys.keys);
}

void Write(const Unit& unit, Out& out) {
  wire::Unit& to = *out.message.mutable_unit();
  Put(unit.sender, *to.mutable_sender());
  to.set_step(unit.step);
  to.set_attempt(unit.attempt);
  to.set_index(unit.index);
  to.set_table(unit.table.value);
  to.set_begin(unit.begin);
  out.Attach(unit.gradient);
  if (unit.keys.id != 0) Put(unit.keys, *to.mutable_keys(), out);
}

void Write(const Held& held, Out& out) {
  wire::Held& to = *out.message.mutable_held();
  to.set_rank(held.rank.value);
  to.set_step(held.step);
  to.set_attempt(held.attempt);
  to.set_index(held.index);
  to.set_nonfinite(held.nonfinite);
}

void Write(const End& end, Out& out) {
  wire::End& to = *out.message.mutable_end();
  Put(end.sender, *to.mutable_sender());
  to.set_step(end.step);
  to.set_attempt(end.attempt);
  to.set_units(end.units);
  to.set_samples(end.samples);
  to.set_skipped(end.skipped);
  if (end.used != DataCursor{}) Put(end.used, *to.mutable_used());
  for (const RankState& state : end.close) Put(state, *to.add_close());
}

void Write(const Ended& ended, Out& out) {
  wire::Ended& to = *out.message.mutable_ended();
  to.set_rank(ended.rank.value);
  to.set_step(ended.step);
  to.set_discarded(ended.discarded);
  to.set_next(ended.next);
  to.set_filled(ended.filled);
  for (const RankState& state : ended.close) Put(state, *to.add_close());
}

void Write(const Pull& pull, Out& out) {
  wire::Pull& to = *out.message.mutable_pull();
  Put(pull.sender, *to.mutable_sender());
  to.set_step(pull.step);
  to.set_pull(pull.pull);
  to.set_table(pull.table.value);
  to.set_begin(pull.begin);
  to.set_count(pull.count);
  to.set_closed_min(pull.closed_min);
  if (pull.keys.id != 0) Put(pull.keys, *to.mutable_keys(), out);
}

void Write(const Pulled& pulled, Out& out) {
  wire::Pulled& to = *out.message.mutable_pulled();
  to.set_pull(pulled.pull);
  to.set_closed(pulled.closed);
  to.set_version(pulled.version);
  to.set_staleness(pulled.staleness);
  for (const Frame& frame : pulled.values) out.Attach(frame);
}

void Write(const Waiting& waiting, Out& out) {
  wire::Waiting& to = *out.message.mutable_waiting();
  to.set_about(waiting.about);
  to.set_is_pull(waiting.is_pull);
  to.set_rank(waiting.rank.value);
  to.set_round(waiting.round);
}

void Write(const Join& join, Out& out) {
  wire::Join& to = *out.message.mutable_join();
  to.set_rank(join.rank.value);
  to.set_any(join.any);
}

void Write(const Granted& granted, Out& out) {
  wire::Granted& to = *out.message.mutable_granted();
  to.set_rank(granted.rank.value);
  to.set_incarnation(granted.incarnation.value);
  to.set_ended(granted.ended);
}

void Write(const Renew& renew, Out& out) {
  Put(renew.sender, *out.message.mutable_renew()->mutable_sender());
}

void Write(const Renewed& renewed, Out& out) {
  out.message.mutable_renewed()->set_rank(renewed.rank.value);
}

void Write(const Goodbye& goodbye, Out& out) {
  wire::Goodbye& to = *out.message.mutable_goodbye();
  Put(goodbye.sender, *to.mutable_sender());
  to.set_done(goodbye.done);
  to.set_acked(goodbye.acked);
  to.set_failure(goodbye.failure);
}

void Write(const Farewell& farewell, Out& out) {
  out.message.mutable_farewell()->set_rank(farewell.rank.value);
}

void Write(const GetLease& request, Out& out) {
  wire::GetLease& to = *out.message.mutable_get_lease();
  Put(request.sender, *to.mutable_sender());
  to.set_rows(request.rows);
  to.set_have(request.have);
  Put(request.used, *to.mutable_used());
}

void Write(const Leased& leased, Out& out) {
  wire::Leased& to = *out.message.mutable_leased();
  to.set_rank(leased.rank.value);
  for (const DataLease& lease : leased.leases) Put(lease, *to.add_leases());
  to.set_over(leased.over);
}

void Write(const Report& report, Out& out) {
  wire::Report& to = *out.message.mutable_report();
  Put(report.sender, *to.mutable_sender());
  to.set_step(report.step);
  to.set_epoch(report.epoch);
  to.set_samples(report.samples);
  to.set_seconds(report.seconds);
  to.set_staleness_max(report.staleness_max);
  for (const Metric& metric : report.metrics) {
    wire::Metric& entry = *to.add_metrics();
    entry.set_name(metric.name);
    entry.set_value(metric.value);
  }
}

void Write(const MakeTable& request, Out& out) {
  wire::MakeTable& to = *out.message.mutable_make_table();
  Put(request.sender, *to.mutable_sender());
  Put(request.spec, *to.mutable_spec());
}

void Write(const GetView& /*request*/, Out& out) { out.message.mutable_get_view(); }

void Write(const ViewIs& news, Out& out) {
  Put(news.view, *out.message.mutable_view_is()->mutable_view());
}

void Write(const Register& request, Out& out) {
  ToProto(request, *out.message.mutable_register_());
}

void Write(const Registered& registered, Out& out) {
  out.message.mutable_registered()->set_shard(registered.shard.value);
  out.message.mutable_registered()->set_question(registered.question);
}

void Write(const Freeze& freeze, Out& out) {
  out.message.mutable_freeze()->set_number(freeze.number.value);
  out.message.mutable_freeze()->set_term(freeze.term.value);
}

void Write(const Frozen& frozen, Out& out) {
  wire::Frozen& to = *out.message.mutable_frozen();
  to.set_number(frozen.number.value);
  to.set_owes(frozen.owes);
  for (const RankState& state : frozen.ranks) Put(state, *to.add_ranks());
}

void Write(const Install& install, Out& out) {
  wire::Install& to = *out.message.mutable_install();
  Put(install.view, *to.mutable_view());
  for (const RankState& state : install.cut) Put(state, *to.add_cut());
  to.set_snapshot(install.snapshot);
  to.set_restore(install.restore);
}

void Write(const GetSaved& save, Out& out) {
  out.message.mutable_get_saved()->set_snapshot(save.snapshot);
}

void Write(const Saved& saved, Out& out) {
  wire::Saved& to = *out.message.mutable_saved();
  to.set_snapshot(saved.snapshot);
  to.set_problem(saved.problem);
  to.set_bytes(saved.bytes);
  to.set_piece_bytes(saved.piece_bytes);
  to.mutable_piece_crcs()->Assign(saved.piece_crcs.begin(), saved.piece_crcs.end());
  to.set_content(saved.content);
}

void Write(const Installed& installed, Out& out) {
  out.message.mutable_installed()->set_number(installed.number.value);
}

void Write(const Beat& beat, Out& out) {
  wire::Beat& to = *out.message.mutable_beat();
  to.set_shard(beat.shard.value);
  to.set_closed(beat.closed);
  to.set_version(beat.version);
  to.set_units(beat.units);
  to.set_held_bytes(beat.held_bytes);
  to.set_parked_pulls(beat.parked_pulls);
  to.set_staleness_max(beat.staleness_max);
  to.set_waiting_for(beat.waiting_for);
  to.set_discarded(beat.discarded);
  to.set_skipped(beat.skipped);
  to.set_nonfinite(beat.nonfinite);
  to.set_view(beat.view.value);
  to.set_copy(beat.copy);
  to.set_replicas(beat.replicas);
  to.mutable_in_sync()->Assign(beat.in_sync.begin(), beat.in_sync.end());
  to.set_gated(beat.gated);
  to.set_differing(beat.differing);
  to.set_why(beat.why);
  if (beat.log != LogStatus{}) ToProto(beat.log, *to.mutable_log());
  to.set_leaving(beat.leaving);
  to.set_answers(beat.answers);
}

void Write(const Replicas& replicas, Out& out) {
  ToProto(replicas, *out.message.mutable_replicas());
}

void Write(const Follow& follow, Out& out) { ToProto(follow, out.message, out.payload); }

void Write(const Followed& followed, Out& out) {
  wire::Followed& to = *out.message.mutable_followed();
  to.set_shard(followed.shard.value);
  to.set_stream(followed.stream);
  to.set_item(followed.item);
  to.set_differs(followed.differs);
}

void Write(const Host& host, Out& out) { ToProto(host, *out.message.mutable_host()); }

void Write(const Hosting& hosting, Out& out) { ToProto(hosting, *out.message.mutable_hosting()); }

void Write(const Rebalance& request, Out& out) {
  ToProto(request, *out.message.mutable_rebalance());
}

void Write(const Balance& balance, Out& out) { ToProto(balance, *out.message.mutable_balance()); }

}  // namespace

void ToProto(const Stamp& stamp, wire::Stamp& out) {
  out.set_job(stamp.job.value);
  out.set_generation(stamp.generation.value);
  out.set_term(stamp.term.value);
  out.set_from_boot(stamp.from.value);
  out.set_to_boot(stamp.to.value);
}

void ToProto(const View& view, wire::View& out) { Put(view, out); }

void ToProto(const RankState& state, wire::RankState& out) { Put(state, out); }

void ToProto(const DataState& state, wire::DataState& out) {
  out.set_rows(state.rows);
  out.set_chunk(state.chunk);
  out.set_epoch(state.epoch);
  out.set_begin(state.begin);
  for (const DataRange& range : state.returned) Put(range, *out.add_returned());
  out.set_used(state.used);
  for (const DataState::Rank& rank : state.ranks) {
    wire::DataState::Rank& to = *out.add_ranks();
    to.set_rank(rank.rank.value);
    to.set_last(rank.last);
    for (const DataLease& lease : rank.held) Put(lease, *to.add_held());
  }
}

void ToProto(const Message& message, wire::Message& out, std::vector<Frame>& payload) {
  Out to{out, payload};
  std::visit([&to](const auto& kind) { Write(kind, to); }, message);
}

}  // namespace shardmill
