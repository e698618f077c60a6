#include "common/wire/from_proto.h"

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "common/wire/host_codec.h"
#include "common/wire/payload.h"
#include "common/wire/replica_codec.h"

namespace shardmill {
namespace {

// What a message is read from.
struct In {
  std::span<const Frame> payload;
  const WireLimits& limits;
  FramePool& frames;
};

Error Bad(const std::string& what) { return {ErrorCode::kBadInput, what}; }

Result<> CheckList(int size, const WireLimits& limits) {
  if (static_cast<uint32_t>(size) <= limits.list_max) return {};
  return Bad("a list of " + std::to_string(size) + " entries");
}

Result<> CheckWeight(double samples) {
  if (std::isfinite(samples) && samples >= 0) return {};
  return Bad("an amount that is negative or no number");
}

// A value of an enum of ours that the wire counts from 1. Negative or too large is refused.
template <class Ours>
Result<Ours> Shifted(int value, Ours last, const char* what) {
  if (value >= 1 && value <= static_cast<int>(last) + 1) return static_cast<Ours>(value - 1);
  return Bad(what);
}

Result<> CheckRange(uint64_t begin, uint64_t count) {
  if (begin <= std::numeric_limits<uint64_t>::max() - count) return {};
  return Bad("a range that ends beyond all numbers");
}

Sender Get(const wire::Sender& sender) {
  return {WorkerId{sender.rank()}, Incarnation{sender.incarnation()}};
}

DataCursor Get(const wire::DataCursor& cursor) { return {cursor.seq(), cursor.offset()}; }

Result<DataRange> Get(const wire::DataRange& range) {
  if (range.begin() >= range.end()) return Bad("a range of data that has nothing in it");
  return DataRange{range.epoch(), range.begin(), range.end()};
}

template <class List>
Result<std::vector<DataLease>> GetLeases(const List& from) {
  std::vector<DataLease> leases;
  for (const wire::DataLease& lease : from) {
    const DataRange range = SM_TRY(Get(lease.range()));
    if (lease.seq() == 0 || (!leases.empty() && lease.seq() <= leases.back().seq)) {
      return Bad("leases of data that are not in order");
    }
    leases.push_back({lease.seq(), range});
  }
  return leases;
}

// Whether the numbers make sense is for the optimizer to say (MakeOptimizer).
Result<UpdateSettings> Get(const wire::UpdateSettings& from) {
  UpdateSettings to;
  to.rule = SM_TRY(Shifted(from.rule(), kUpdateRuleLast, "a table of an unknown rule"));
  to.rate.shape = SM_TRY(Shifted(from.rate().shape(), kRateShapeLast, "an unknown schedule"));
  to.rate.base = from.rate().base();
  to.rate.warmup = from.rate().warmup();
  to.rate.length = from.rate().length();
  to.rate.factor = from.rate().factor();
  to.rate.power = from.rate().power();
  to.rate.end = from.rate().end();
  to.rate.scale_by_workers = from.rate().scale_by_workers();
  to.momentum = from.momentum();
  to.beta1 = from.beta1();
  to.beta2 = from.beta2();
  to.epsilon = from.epsilon();
  to.beta = from.beta();
  to.l1 = from.l1();
  to.l2 = from.l2();
  to.weight_decay = from.weight_decay();
  to.clip_value = from.clip_value();
  return to;
}

// First values may be infinite, as those of a table that keeps the least, but not NaN.
Result<Initial> GetInitial(const wire::TableSpec& spec) {
  Initial initial;
  initial.kind = SM_TRY(
      Shifted(spec.initial_kind(), Initial::Kind::kNormal, "first values of an unknown kind"));
  initial.scale = spec.initial_scale();
  initial.seed = spec.initial_seed();
  const bool constant = initial.kind == Initial::Kind::kConstant;
  const bool sound =
      constant ? !std::isnan(initial.scale) : std::isfinite(initial.scale) && initial.scale >= 0;
  if (!sound) return Bad("first values of a scale that is no number");
  return initial;
}

Result<TableSpec> Get(const wire::TableSpec& spec, const WireLimits& limits) {
  SM_TRY(CheckText(spec.name(), limits));
  TableSpec table;
  table.name = spec.name();
  table.size = spec.size();
  table.initial = SM_TRY(GetInitial(spec));
  table.dim = spec.dim();
  if (spec.has_update()) table.update = SM_TRY(Get(spec.update()));
  return table;
}

Result<Policy> Get(const wire::Policy& from) {
  Policy policy;
  policy.apply =
      SM_TRY(Shifted(from.apply(), ApplyRule::kOnArrival, "a policy of an unknown kind"));
  policy.bounded = from.bounded();
  policy.staleness = from.staleness();
  policy.aggregate = SM_TRY(Shifted(from.aggregate(), Aggregate::kSum, "an unknown aggregate"));
  policy.nonfinite =
      SM_TRY(Shifted(from.nonfinite(), OnNonfinite::kAccept, "an unknown way with no numbers"));
  policy.backups = from.backups();
  return policy;
}

Result<TablePlace> Get(const wire::TablePlace& table, size_t shards, const WireLimits& limits) {
  TablePlace place;
  place.id = TableId{table.id()};
  place.spec = SM_TRY(Get(table.spec(), limits));
  place.cuts.assign(table.cuts().begin(), table.cuts().end());
  const uint64_t whole = place.spec.sparse() ? kBuckets : place.spec.size;
  bool sound =
      place.cuts.size() == shards + 1 && place.cuts.front() == 0 && place.cuts.back() == whole;
  for (size_t i = 1; i < place.cuts.size(); ++i) {
    sound = sound && place.cuts[i - 1] <= place.cuts[i];
  }
  if (!sound) return Bad("a table whose parts do not make a whole");
  return place;
}

Result<View> Get(const wire::View& from, const WireLimits& limits) {
  SM_TRY(CheckList(from.members_size(), limits));
  SM_TRY(CheckList(from.shards_size(), limits));
  SM_TRY(CheckList(from.tables_size(), limits));
  View view;
  view.closed = from.closed();
  view.generation = Generation{from.generation()};
  view.number = ViewNumber{from.number()};
  view.policy = SM_TRY(Get(from.policy()));
  std::set<WorkerId> ranks;
  for (const wire::Member& member : from.members()) {
    view.members.push_back(
        {WorkerId{member.rank()}, Incarnation{member.incarnation()}, member.base()});
    if (!ranks.insert(view.members.back().rank).second) return Bad("a rank that stands twice");
  }
  for (const wire::ShardPlace& shard : from.shards()) {
    if (shard.id() != view.shards.size()) return Bad("shards that are not in order");
    SM_TRY(CheckText(shard.endpoint(), limits));
    view.shards.push_back(
        {ShardId{shard.id()}, Term{shard.term()}, BootId{shard.boot()}, shard.endpoint()});
  }
  std::set<TableId> tables;
  std::set<std::string> names;
  for (const wire::TablePlace& table : from.tables()) {
    view.tables.push_back(SM_TRY(Get(table, view.shards.size(), limits)));
    const TablePlace& added = view.tables.back();
    if (!tables.insert(added.id).second || !names.insert(added.spec.name).second) {
      return Bad("a table that stands twice");
    }
  }
  return view;
}

template <class List>
Result<std::vector<RankState>> GetStates(const List& from, const WireLimits& limits) {
  SM_TRY(CheckList(from.size(), limits));
  std::vector<RankState> states;
  for (const wire::RankState& state : from) states.push_back(SM_TRY(FromProto(state)));
  return states;
}

Result<Message> Read(const wire::Hello& hello) {
  const Role role = SM_TRY(Shifted(hello.role(), Role::kTool, "a hello of an unknown role"));
  return Message(Hello{hello.version_min(), hello.version_max(), role});
}

Result<Message> Read(const wire::Refused& refused, const In& in) {
  const Refusal code =
      SM_TRY(Shifted(refused.code(), Refusal::kDone, "a refusal of an unknown kind"));
  SM_TRY(CheckText(refused.words(), in.limits));
  return Message(Refused{code, refused.about(), refused.words()});
}

Result<KeyList> Get(const wire::KeyList& from, std::span<const Frame> payload, const In& in) {
  if (from.id() == 0) return Bad("a list of keys without a name");
  KeyList keys;
  keys.id = from.id();
  if (from.attached()) keys.keys = SM_TRY(KeysOf(payload.front(), in.frames));
  return keys;
}

Result<Message> Read(const wire::Unit& from, const In& in) {
  const bool attached = from.keys().attached();
  if (in.payload.size() != (attached ? 2 : 1)) {
    return Bad("a unit with too few payloads, or too many");
  }
  Unit unit;
  unit.sender = Get(from.sender());
  unit.step = from.step();
  unit.attempt = from.attempt();
  unit.index = from.index();
  unit.table = TableId{from.table()};
  unit.begin = from.begin();
  unit.gradient = SM_TRY(FloatsOf(in.payload.front(), in.frames));
  SM_TRY(CheckRange(unit.begin, unit.gradient.size() / sizeof(float)));
  if (from.has_keys()) unit.keys = SM_TRY(Get(from.keys(), in.payload.subspan(1), in));
  return Message(std::move(unit));
}

Result<Message> Read(const wire::End& from, const In& in) {
  SM_TRY(CheckWeight(from.samples()));
  End end{Get(from.sender()), from.step(), from.attempt(), from.units(), from.samples()};
  end.skipped = from.skipped();
  end.used = Get(from.used());
  end.close = SM_TRY(GetStates(from.close(), in.limits));
  return Message(std::move(end));
}

Result<Message> Read(const wire::Ended& from, const In& in) {
  Ended ended{WorkerId{from.rank()}, from.step(), from.discarded(), from.next(), from.filled(), {}};
  ended.close = SM_TRY(GetStates(from.close(), in.limits));
  return Message(std::move(ended));
}

Result<Message> Read(const wire::Pull& from, const In& in) {
  SM_TRY(CheckRange(from.begin(), from.count()));
  if (in.payload.size() != (from.keys().attached() ? 1 : 0)) {
    return Bad("a pull with payload that is not its keys");
  }
  Pull pull{Get(from.sender()), from.step(),  from.pull(),       TableId{from.table()},
            from.begin(),       from.count(), from.closed_min(), {}};
  if (from.has_keys()) pull.keys = SM_TRY(Get(from.keys(), in.payload, in));
  return Message(std::move(pull));
}

Result<Message> Read(const wire::Pulled& from, const In& in) {
  Pulled pulled;
  pulled.pull = from.pull();
  pulled.closed = from.closed();
  pulled.version = from.version();
  pulled.staleness = from.staleness();
  for (const Frame& frame : in.payload) pulled.values.push_back(SM_TRY(FloatsOf(frame, in.frames)));
  return Message(std::move(pulled));
}

Result<Message> Read(const wire::Report& from, const In& in) {
  SM_TRY(CheckList(from.metrics_size(), in.limits));
  SM_TRY(CheckWeight(from.samples()));
  SM_TRY(CheckWeight(from.seconds()));
  Report report;
  report.sender = Get(from.sender());
  report.step = from.step();
  report.epoch = from.epoch();
  report.samples = from.samples();
  report.seconds = from.seconds();
  report.staleness_max = from.staleness_max();
  for (const wire::Metric& metric : from.metrics()) {
    SM_TRY(CheckText(metric.name(), in.limits));
    report.metrics.push_back({metric.name(), metric.value()});
  }
  return Message(std::move(report));
}

Result<Message> Read(const wire::Leased& from, const In& in) {
  SM_TRY(CheckList(from.leases_size(), in.limits));
  Leased leased;
  leased.rank = WorkerId{from.rank()};
  leased.leases = SM_TRY(GetLeases(from.leases()));
  leased.over = from.over();
  return Message(std::move(leased));
}

Result<Message> Read(const wire::Frozen& from, const In& in) {
  Frozen frozen;
  frozen.number = ViewNumber{from.number()};
  frozen.owes = from.owes();
  frozen.ranks = SM_TRY(GetStates(from.ranks(), in.limits));
  return Message(std::move(frozen));
}

Result<Message> Read(const wire::Install& from, const In& in) {
  Install install;
  install.view = SM_TRY(Get(from.view(), in.limits));
  install.cut = SM_TRY(GetStates(from.cut(), in.limits));
  install.snapshot = from.snapshot();
  install.restore = from.restore();
  return Message(std::move(install));
}

Result<Message> Read(const wire::Saved& from, const In& in) {
  SM_TRY(CheckText(from.problem(), in.limits));
  SM_TRY(CheckList(from.piece_crcs_size(), in.limits));
  Saved saved;
  saved.snapshot = from.snapshot();
  saved.problem = from.problem();
  saved.bytes = from.bytes();
  saved.piece_bytes = from.piece_bytes();
  saved.piece_crcs.assign(from.piece_crcs().begin(), from.piece_crcs().end());
  saved.content = from.content();
  return Message(std::move(saved));
}

Result<Message> Read(const wire::Beat& from, const In& in) {
  SM_TRY(CheckList(from.in_sync_size(), in.limits));
  SM_TRY(CheckText(from.why(), in.limits));
  Beat beat;
  beat.shard = ShardId{from.shard()};
  beat.closed = from.closed();
  beat.version = from.version();
  beat.units = from.units();
  beat.held_bytes = from.held_bytes();
  beat.parked_pulls = from.parked_pulls();
  beat.staleness_max = from.staleness_max();
  beat.waiting_for = from.waiting_for();
  beat.discarded = from.discarded();
  beat.skipped = from.skipped();
  beat.nonfinite = from.nonfinite();
  beat.view = ViewNumber{from.view()};
  beat.copy = from.copy();
  beat.replicas = from.replicas();
  beat.in_sync.assign(from.in_sync().begin(), from.in_sync().end());
  beat.gated = from.gated();
  beat.differing = from.differing();
  beat.why = from.why();
  beat.log = SM_TRY(FromProto(from.log(), in.limits));
  beat.leaving = from.leaving();
  beat.answers = from.answers();
  return Message(std::move(beat));
}

// Messages of workers and shards.
Result<Message> ReadData(const wire::Message& from, const In& in) {
  switch (from.body_case()) {
    case wire::Message::kHello:
      return Read(from.hello());
    case wire::Message::kWelcome:
      return Message(Welcome{from.welcome().version()});
    case wire::Message::kRefused:
      return Read(from.refused(), in);
    case wire::Message::kUnit:
      return Read(from.unit(), in);
    case wire::Message::kHeld:
      return Message(Held{WorkerId{from.held().rank()}, from.held().step(), from.held().attempt(),
                          from.held().index(), from.held().nonfinite()});
    case wire::Message::kEnd:
      return Read(from.end(), in);
    case wire::Message::kEnded:
      return Read(from.ended(), in);
    case wire::Message::kPull:
      return Read(from.pull(), in);
    case wire::Message::kPulled:
      return Read(from.pulled(), in);
    case wire::Message::kWaiting:
      return Message(Waiting{from.waiting().about(), from.waiting().is_pull(),
                             WorkerId{from.waiting().rank()}, from.waiting().round()});
    default:
      return Bad("a message of an unknown kind");
  }
}

// Messages between a worker and the coordinator.
Result<Message> ReadMembership(const wire::Message& from, const In& in) {
  switch (from.body_case()) {
    case wire::Message::kJoin:
      return Message(Join{WorkerId{from.join().rank()}, from.join().any()});
    case wire::Message::kGranted:
      return Message(Granted{WorkerId{from.granted().rank()},
                             Incarnation{from.granted().incarnation()}, from.granted().ended()});
    case wire::Message::kRenew:
      return Message(Renew{Get(from.renew().sender())});
    case wire::Message::kRenewed:
      return Message(Renewed{WorkerId{from.renewed().rank()}});
    case wire::Message::kGoodbye:
      SM_TRY(CheckText(from.goodbye().failure(), in.limits));
      return Message(Goodbye{Get(from.goodbye().sender()), from.goodbye().done(),
                             from.goodbye().acked(), from.goodbye().failure()});
    case wire::Message::kFarewell:
      return Message(Farewell{WorkerId{from.farewell().rank()}});
    case wire::Message::kReport:
      return Read(from.report(), in);
    case wire::Message::kGetLease:
      return Message(GetLease{Get(from.get_lease().sender()), from.get_lease().rows(),
                              from.get_lease().have(), Get(from.get_lease().used())});
    case wire::Message::kLeased:
      return Read(from.leased(), in);
    case wire::Message::kMakeTable: {
      TableSpec spec = SM_TRY(Get(from.make_table().spec(), in.limits));
      return Message(MakeTable{Get(from.make_table().sender()), std::move(spec)});
    }
    case wire::Message::kGetView:
      return Message(GetView{});
    case wire::Message::kViewIs: {
      View view = SM_TRY(Get(from.view_is().view(), in.limits));
      return Message(ViewIs{std::move(view)});
    }
    default:
      return ReadData(from, in);
  }
}

}  // namespace

Result<RankState> FromProto(const wire::RankState& state) {
  SM_TRY(CheckWeight(state.samples()));
  RankState to{WorkerId{state.rank()}, state.ended(),     state.samples(), state.applied(),
               state.counted(),        state.discarded(), state.attempt(), Get(state.used())};
  if (state.has_whole()) to.whole = state.whole();
  return to;
}

Result<DataState> FromProto(const wire::DataState& from) {
  DataState state;
  state.rows = from.rows();
  state.chunk = from.chunk();
  state.epoch = from.epoch();
  state.begin = from.begin();
  for (const wire::DataRange& range : from.returned()) {
    state.returned.push_back(SM_TRY(Get(range)));
  }
  state.used = from.used();
  for (const wire::DataState::Rank& rank : from.ranks()) {
    std::vector<DataLease> held = SM_TRY(GetLeases(rank.held()));
    state.ranks.push_back({WorkerId{rank.rank()}, rank.last(), std::move(held)});
  }
  const bool sound = state.rows == 0 ? state.epoch == 0 && state.begin == 0
                                     : state.chunk > 0 && state.begin < state.rows;
  if (!sound) return Bad("notes on data that cannot be");
  return state;
}

Result<View> FromProto(const wire::View& view, const WireLimits& limits) {
  return Get(view, limits);
}

Stamp FromProto(const wire::Stamp& stamp) {
  return {JobId{stamp.job()}, Generation{stamp.generation()}, Term{stamp.term()},
          BootId{stamp.from_boot()}, BootId{stamp.to_boot()}};
}

Result<Message> FromProto(const wire::Message& from, std::span<const Frame> payload,
                          FramePool& frames, const WireLimits& limits) {
  const In in{payload, limits, frames};
  const bool carries = from.has_unit() || from.has_pull() || from.has_pulled() || from.has_follow();
  if (!carries && !payload.empty()) return Bad("payload behind a message that has none");
  switch (from.body_case()) {
    case wire::Message::kRegister:
      return Message(SM_TRY(FromProto(from.register_(), limits)));
    case wire::Message::kRegistered:
      return Message(Registered{ShardId{from.registered().shard()}, from.registered().question()});
    case wire::Message::kFreeze:
      return Message(Freeze{ViewNumber{from.freeze().number()}, Term{from.freeze().term()}});
    case wire::Message::kFrozen:
      return Read(from.frozen(), in);
    case wire::Message::kInstall:
      return Read(from.install(), in);
    case wire::Message::kInstalled:
      return Message(Installed{ViewNumber{from.installed().number()}});
    case wire::Message::kGetSaved:
      return Message(GetSaved{from.get_saved().snapshot()});
    case wire::Message::kSaved:
      return Read(from.saved(), in);
    case wire::Message::kReplicas:
      return Message(SM_TRY(FromProto(from.replicas(), limits)));
    case wire::Message::kFollow:
      return Message(SM_TRY(FromProto(from.follow(), payload, frames, limits)));
    case wire::Message::kFollowed:
      SM_TRY(CheckText(from.followed().differs(), limits));
      return Message(Followed{ShardId{from.followed().shard()}, from.followed().stream(),
                              from.followed().item(), from.followed().differs()});
    case wire::Message::kBeat:
      return Read(from.beat(), in);
    case wire::Message::kHost:
    case wire::Message::kHosting:
    case wire::Message::kRebalance:
    case wire::Message::kBalance:
      return HostingFromProto(from, limits);
    default:
      return ReadMembership(from, in);
  }
}

}  // namespace shardmill
