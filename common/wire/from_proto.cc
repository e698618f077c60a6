#include "common/wire/from_proto.h"

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <utility>

namespace shardmill {
namespace {

// What a message is read from.
struct In {
  std::span<const Frame> payload;
  const WireLimits& limits;
};

Error Bad(const std::string& what) { return {ErrorCode::kBadInput, what}; }

Result<> CheckText(const std::string& text, const In& in) {
  if (text.size() <= in.limits.text_bytes_max) return {};
  return Bad("a text of " + std::to_string(text.size()) + " bytes");
}

Result<> CheckList(int size, const In& in) {
  if (static_cast<uint32_t>(size) <= in.limits.list_max) return {};
  return Bad("a list of " + std::to_string(size) + " entries");
}

Result<> CheckWeight(double samples) {
  if (std::isfinite(samples) && samples >= 0) return {};
  return Bad("an amount that is negative or no number");
}

// A frame as floats, wherever it lies: small frames may come at any address.
Result<Frame> FloatsOf(const Frame& frame) {
  if (frame.size() % sizeof(float) != 0) {
    return Bad("a payload of " + std::to_string(frame.size()) + " bytes is no list of floats");
  }
  if (frame.IsFloats()) return frame;
  return Frame::CopyOf(frame.bytes());
}

Result<> CheckRange(uint64_t begin, uint64_t count) {
  if (begin <= std::numeric_limits<uint64_t>::max() - count) return {};
  return Bad("a range that ends beyond all numbers");
}

Sender Get(const wire::Sender& sender) {
  return {WorkerId{sender.rank()}, Incarnation{sender.incarnation()}};
}

Result<TableSpec> Get(const wire::TableSpec& spec, const In& in) {
  SM_TRY(CheckText(spec.name(), in));
  SM_TRY(CheckText(spec.optimizer(), in));
  if (!std::isfinite(spec.initial_scale()) || spec.initial_scale() < 0) {
    return Bad("first values of a scale that is no number");
  }
  return TableSpec{
      spec.name(), spec.optimizer(), spec.size(), {spec.initial_scale(), spec.initial_seed()}};
}

Result<Policy> Get(const wire::Policy& policy) {
  if (policy.apply() != wire::APPLY_RULE_PER_STEP &&
      policy.apply() != wire::APPLY_RULE_ON_ARRIVAL) {
    return Bad("a policy of an unknown kind");
  }
  const bool per_step = policy.apply() == wire::APPLY_RULE_PER_STEP;
  return Policy{per_step ? ApplyRule::kPerStep : ApplyRule::kOnArrival, policy.bounded(),
                policy.staleness()};
}

Result<TablePlace> Get(const wire::TablePlace& table, size_t shards, const In& in) {
  TablePlace place;
  place.id = TableId{table.id()};
  place.spec = SM_TRY(Get(table.spec(), in));
  place.cuts.assign(table.cuts().begin(), table.cuts().end());
  bool sound = place.cuts.size() == shards + 1 && place.cuts.front() == 0 &&
               place.cuts.back() == place.spec.size;
  for (size_t i = 1; i < place.cuts.size(); ++i) {
    sound = sound && place.cuts[i - 1] <= place.cuts[i];
  }
  if (!sound) return Bad("a table whose parts do not make a whole");
  return place;
}

Result<View> Get(const wire::View& from, const In& in) {
  SM_TRY(CheckList(from.members_size(), in));
  SM_TRY(CheckList(from.shards_size(), in));
  SM_TRY(CheckList(from.tables_size(), in));
  View view;
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
    SM_TRY(CheckText(shard.endpoint(), in));
    view.shards.push_back(
        {ShardId{shard.id()}, Term{shard.term()}, BootId{shard.boot()}, shard.endpoint()});
  }
  std::set<TableId> tables;
  for (const wire::TablePlace& table : from.tables()) {
    view.tables.push_back(SM_TRY(Get(table, view.shards.size(), in)));
    if (!tables.insert(view.tables.back().id).second) return Bad("a table that stands twice");
  }
  return view;
}

template <class List>
Result<std::vector<RankState>> GetStates(const List& from, const In& in) {
  SM_TRY(CheckList(from.size(), in));
  std::vector<RankState> states;
  for (const wire::RankState& state : from) {
    SM_TRY(CheckWeight(state.samples()));
    states.push_back({WorkerId{state.rank()}, state.ended(), state.samples(), state.applied()});
  }
  return states;
}

Result<Message> Read(const wire::Hello& hello) {
  if (hello.role() <= wire::ROLE_UNSPECIFIED || hello.role() > wire::ROLE_TOOL) {
    return Bad("a hello of an unknown role");
  }
  return Message(Hello{hello.version_min(), hello.version_max(),
                       static_cast<Role>(static_cast<int>(hello.role()) - 1)});
}

Result<Message> Read(const wire::Refused& refused, const In& in) {
  if (refused.code() <= wire::REFUSAL_UNSPECIFIED || refused.code() > wire::REFUSAL_FAILED) {
    return Bad("a refusal of an unknown kind");
  }
  SM_TRY(CheckText(refused.words(), in));
  return Message(Refused{static_cast<Refusal>(static_cast<int>(refused.code()) - 1),
                         refused.about(), refused.words()});
}

Result<Message> Read(const wire::Unit& from, const In& in) {
  if (in.payload.size() != 1) return Bad("a unit that does not come with one payload");
  Unit unit;
  unit.sender = Get(from.sender());
  unit.step = from.step();
  unit.attempt = from.attempt();
  unit.index = from.index();
  unit.table = TableId{from.table()};
  unit.begin = from.begin();
  unit.gradient = SM_TRY(FloatsOf(in.payload.front()));
  SM_TRY(CheckRange(unit.begin, unit.gradient.size() / sizeof(float)));
  return Message(std::move(unit));
}

Result<Message> Read(const wire::End& from) {
  SM_TRY(CheckWeight(from.samples()));
  return Message(
      End{Get(from.sender()), from.step(), from.attempt(), from.units(), from.samples()});
}

Result<Message> Read(const wire::Pull& from) {
  SM_TRY(CheckRange(from.begin(), from.count()));
  return Message(Pull{Get(from.sender()), from.step(), from.pull(), TableId{from.table()},
                      from.begin(), from.count(), from.closed_min()});
}

Result<Message> Read(const wire::Pulled& from, const In& in) {
  Pulled pulled;
  pulled.pull = from.pull();
  pulled.closed = from.closed();
  pulled.version = from.version();
  pulled.staleness = from.staleness();
  for (const Frame& frame : in.payload) pulled.values.push_back(SM_TRY(FloatsOf(frame)));
  return Message(std::move(pulled));
}

Result<Message> Read(const wire::Report& from, const In& in) {
  SM_TRY(CheckList(from.metrics_size(), in));
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
    SM_TRY(CheckText(metric.name(), in));
    report.metrics.push_back({metric.name(), metric.value()});
  }
  return Message(std::move(report));
}

Result<Message> Read(const wire::Frozen& from, const In& in) {
  Frozen frozen;
  frozen.number = ViewNumber{from.number()};
  frozen.ranks = SM_TRY(GetStates(from.ranks(), in));
  return Message(std::move(frozen));
}

Result<Message> Read(const wire::Install& from, const In& in) {
  Install install;
  install.view = SM_TRY(Get(from.view(), in));
  install.cut = SM_TRY(GetStates(from.cut(), in));
  return Message(std::move(install));
}

Message Read(const wire::Beat& from) {
  Beat beat;
  beat.shard = ShardId{from.shard()};
  beat.closed = from.closed();
  beat.version = from.version();
  beat.units = from.units();
  beat.held_bytes = from.held_bytes();
  beat.parked_pulls = from.parked_pulls();
  beat.staleness_max = from.staleness_max();
  beat.waiting_for = from.waiting_for();
  return beat;
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
                          from.held().index()});
    case wire::Message::kEnd:
      return Read(from.end());
    case wire::Message::kEnded:
      return Message(Ended{WorkerId{from.ended().rank()}, from.ended().step()});
    case wire::Message::kPull:
      return Read(from.pull());
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
      return Message(Join{WorkerId{from.join().rank()}});
    case wire::Message::kGranted:
      return Message(Granted{WorkerId{from.granted().rank()},
                             Incarnation{from.granted().incarnation()}, from.granted().ended()});
    case wire::Message::kRenew:
      return Message(Renew{Get(from.renew().sender())});
    case wire::Message::kRenewed:
      return Message(Renewed{WorkerId{from.renewed().rank()}});
    case wire::Message::kGoodbye:
      return Message(
          Goodbye{Get(from.goodbye().sender()), from.goodbye().done(), from.goodbye().acked()});
    case wire::Message::kFarewell:
      return Message(Farewell{WorkerId{from.farewell().rank()}});
    case wire::Message::kReport:
      return Read(from.report(), in);
    case wire::Message::kMakeTable: {
      TableSpec spec = SM_TRY(Get(from.make_table().spec(), in));
      return Message(MakeTable{Get(from.make_table().sender()), std::move(spec)});
    }
    case wire::Message::kGetView:
      return Message(GetView{});
    case wire::Message::kViewIs: {
      View view = SM_TRY(Get(from.view_is().view(), in));
      return Message(ViewIs{std::move(view)});
    }
    default:
      return ReadData(from, in);
  }
}

}  // namespace

Stamp FromProto(const wire::Stamp& stamp) {
  return {JobId{stamp.job()}, Generation{stamp.generation()}, Term{stamp.term()},
          BootId{stamp.from_boot()}, BootId{stamp.to_boot()}};
}

Result<Message> FromProto(const wire::Message& from, std::span<const Frame> payload,
                          const WireLimits& limits) {
  const In in{payload, limits};
  const bool carries = from.has_unit() || from.has_pulled();
  if (!carries && !payload.empty()) return Bad("payload behind a message that has none");
  switch (from.body_case()) {
    case wire::Message::kRegister:
      SM_TRY(CheckText(from.register_().endpoint(), in));
      return Message(Register{ShardId{from.register_().shard()}, from.register_().endpoint()});
    case wire::Message::kRegistered:
      return Message(Registered{ShardId{from.registered().shard()}});
    case wire::Message::kFreeze:
      return Message(Freeze{ViewNumber{from.freeze().number()}});
    case wire::Message::kFrozen:
      return Read(from.frozen(), in);
    case wire::Message::kInstall:
      return Read(from.install(), in);
    case wire::Message::kInstalled:
      return Message(Installed{ViewNumber{from.installed().number()}});
    case wire::Message::kBeat:
      return Read(from.beat());
    default:
      return ReadMembership(from, in);
  }
}

}  // namespace shardmill
