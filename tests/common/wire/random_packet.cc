#include "tests/common/wire/random_packet.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace shardmill {
namespace {

// Numbers of every magnitude, so that each length of a varint occurs.
uint64_t Number(Rng& rng) { return rng.Next() >> rng.Below(64); }
uint32_t Small(Rng& rng) { return static_cast<uint32_t>(Number(rng)); }
double Amount(Rng& rng) { return rng.Uniform() * 1e6; }

std::string Text(Rng& rng) {
  std::string text(rng.Below(20), ' ');
  for (char& c : text) c = static_cast<char>(rng.Below(256));
  return text;
}

Frame Floats(Rng& rng) {
  std::vector<float> floats(rng.Below(40));
  for (float& value : floats) value = static_cast<float>(rng.Uniform());
  return Frame::CopyOf(floats);
}

template <class Make>
auto List(Rng& rng, Make make) {
  std::vector<decltype(make(size_t{0}))> list;
  const size_t size = rng.Below(5);
  for (size_t i = 0; i < size; ++i) list.push_back(make(i));
  return list;
}

Sender RandomSender(Rng& rng) { return {WorkerId{Small(rng)}, Incarnation{Number(rng)}}; }

Frame Keys(Rng& rng) {
  std::vector<uint64_t> keys(1 + rng.Below(20));
  for (uint64_t& key : keys) key = rng.Next();
  return Frame::CopyOf(keys);
}

KeyList RandomKeys(Rng& rng) {
  if (rng.Chance(0.4)) return {};
  return {1 + Number(rng) / 2, rng.Chance(0.5) ? Keys(rng) : Frame()};
}

UpdateSettings RandomUpdate(Rng& rng) {
  UpdateSettings update;
  update.rule = static_cast<UpdateRule>(rng.Below(static_cast<uint64_t>(kUpdateRuleLast) + 1));
  update.rate = {static_cast<RateShape>(rng.Below(static_cast<uint64_t>(kRateShapeLast) + 1)),
                 rng.Uniform(),
                 Number(rng),
                 Number(rng),
                 rng.Uniform(),
                 rng.Uniform(),
                 rng.Uniform(),
                 rng.Chance(0.5)};
  for (double* field :
       {&update.momentum, &update.beta1, &update.beta2, &update.epsilon, &update.beta, &update.l1,
        &update.l2, &update.weight_decay, &update.clip_value}) {
    *field = rng.Uniform();
  }
  return update;
}

TableSpec RandomSpec(Rng& rng) {
  TableSpec spec{Text(rng), Number(rng), {}, rng.Chance(0.5) ? 0 : Small(rng), {}};
  spec.initial = {static_cast<Initial::Kind>(rng.Below(3)), static_cast<float>(rng.Uniform()),
                  Number(rng)};
  if (rng.Chance(0.5)) spec.update = RandomUpdate(rng);
  return spec;
}

View RandomView(Rng& rng) {
  View view;
  view.generation = Generation{Number(rng)};
  view.number = ViewNumber{Number(rng)};
  view.policy = {rng.Chance(0.5) ? ApplyRule::kPerStep : ApplyRule::kOnArrival,
                 rng.Chance(0.5),
                 Number(rng),
                 static_cast<Aggregate>(rng.Below(3)),
                 static_cast<OnNonfinite>(rng.Below(3)),
                 Small(rng)};
  view.closed = Number(rng);
  view.members = List(rng, [&rng](size_t i) {
    return Member{WorkerId{static_cast<uint32_t>(i)}, Incarnation{Number(rng)},
                  static_cast<int64_t>(rng.Next())};
  });
  view.shards = List(rng, [&rng](size_t i) {
    return ShardPlace{ShardId{static_cast<uint32_t>(i)}, Term{Number(rng)}, BootId{rng.Next()},
                      Text(rng)};
  });
  view.tables = List(rng, [&rng, &view](size_t i) {
    TablePlace table{TableId{static_cast<uint32_t>(i)}, RandomSpec(rng), {}};
    table.spec.name += std::to_string(i);  // Each once.
    if (view.shards.empty()) table.spec.size = table.spec.dim = 0;
    const uint64_t whole = table.spec.sparse() ? kBuckets : table.spec.size;
    for (size_t shard = 1; shard < view.shards.size(); ++shard) {
      table.cuts.push_back(whole == 0 ? 0 : rng.Below(whole));
    }
    table.cuts.push_back(0);
    std::ranges::sort(table.cuts);
    if (!view.shards.empty()) table.cuts.push_back(whole);
    return table;
  });
  return view;
}

DataCursor RandomCursor(Rng& rng) { return {Number(rng), Number(rng)}; }

std::vector<RankState> RandomStates(Rng& rng) {
  return List(rng, [&rng](size_t) {
    RankState state{WorkerId{Small(rng)}, Number(rng), Amount(rng), Number(rng),
                    Number(rng),          Number(rng), Small(rng),  RandomCursor(rng)};
    if (rng.Chance(0.5)) state.whole = Number(rng);
    return state;
  });
}

TablePiece RandomPiece(Rng& rng) {
  switch (rng.Below(3)) {
    case 0:
      return DensePiece{Small(rng), Number(rng), Floats(rng)};
    case 1:
      return RowBatch{Keys(rng), Floats(rng), Floats(rng)};
    default:
      UpdateRuns runs{{Number(rng), Number(rng), Number(rng)}};
      if (rng.Chance(0.5)) runs.push_back({Number(rng), Number(rng), Number(rng)});
      return runs;
  }
}

Entry RandomEntry(Rng& rng) {
  Entry entry{Number(rng), {}, {}, rng.Chance(0.5)};
  entry.made = List(rng, [&rng](size_t) {
    return Contribution{WorkerId{Small(rng)}, Number(rng), Amount(rng),
                        rng.Chance(0.5),      Small(rng),  RandomCursor(rng)};
  });
  entry.changes = List(rng, [&rng](size_t) {
    EntryChange change{TableId{Small(rng)}, static_cast<float>(rng.Uniform()), {}};
    change.parts = List(rng, [&rng](size_t) {
      return EntryPart{Number(rng), static_cast<float>(rng.Uniform()), Floats(rng),
                       rng.Chance(0.5) ? Keys(rng) : Frame(), rng.Chance(0.5)};
    });
    return change;
  });
  return entry;
}

void Fill(Rng& rng, Hello& m) { m = {Small(rng), Small(rng), static_cast<Role>(rng.Below(4))}; }
void Fill(Rng& rng, Welcome& m) { m = {Small(rng)}; }
void Fill(Rng& rng, Refused& m) {
  m = {static_cast<Refusal>(rng.Below(static_cast<uint64_t>(Refusal::kForbidden) + 1)), Number(rng),
       Text(rng)};
  if (m.words.empty()) m.code = Refusal::kDone;  // Came later; the bytes that are kept have words.
}
void Fill(Rng& rng, Unit& m) {
  m = {RandomSender(rng),   Number(rng),     Small(rng),  Small(rng),
       TableId{Small(rng)}, Number(rng) / 2, Floats(rng), RandomKeys(rng)};
}
void Fill(Rng& rng, Held& m) {
  m = {WorkerId{Small(rng)}, Number(rng), Small(rng), Small(rng), rng.Chance(0.5)};
}
void Fill(Rng& rng, End& m) {
  m = {RandomSender(rng), Number(rng),     Small(rng),        Small(rng),
       Amount(rng),       rng.Chance(0.5), RandomStates(rng), RandomCursor(rng)};
}
void Fill(Rng& rng, Ended& m) {
  m = {WorkerId{Small(rng)}, Number(rng), rng.Chance(0.5),
       Number(rng),          Number(rng), RandomStates(rng)};
}
void Fill(Rng& rng, Pull& m) {
  m = {RandomSender(rng), Number(rng),     Number(rng), TableId{Small(rng)},
       Number(rng) / 2,   Number(rng) / 2, Number(rng), RandomKeys(rng)};
}
void Fill(Rng& rng, Pulled& m) {
  m = {Number(rng), Number(rng), Number(rng), Number(rng),
       FrameList(List(rng, [&rng](size_t) { return Floats(rng); }))};
}
void Fill(Rng& rng, Waiting& m) {
  m = {Number(rng), rng.Chance(0.5), WorkerId{Small(rng)}, Number(rng)};
}
void Fill(Rng& rng, Join& m) { m = {WorkerId{Small(rng)}, rng.Chance(0.5)}; }
void Fill(Rng& rng, Granted& m) {
  m = {WorkerId{Small(rng)}, Incarnation{Number(rng)}, Number(rng)};
}
void Fill(Rng& rng, Renew& m) { m = {RandomSender(rng)}; }
void Fill(Rng& rng, Renewed& m) { m = {WorkerId{Small(rng)}}; }
void Fill(Rng& rng, Goodbye& m) {
  m = {RandomSender(rng), rng.Chance(0.5), Number(rng), Text(rng)};
}
void Fill(Rng& rng, Farewell& m) { m = {WorkerId{Small(rng)}}; }
void Fill(Rng& rng, Report& m) {
  m = {RandomSender(rng),
       Number(rng),
       Number(rng),
       Amount(rng),
       Amount(rng),
       Number(rng),
       List(rng, [&rng](size_t) {
         return Metric{Text(rng), rng.Uniform() - 0.5};
       })};
}
void Fill(Rng& rng, MakeTable& m) { m = {RandomSender(rng), RandomSpec(rng)}; }
void Fill(Rng& /*rng*/, GetView& /*m*/) {}
void Fill(Rng& rng, ViewIs& m) { m = {RandomView(rng)}; }
void Fill(Rng& rng, Register& m) {
  m = {ShardId{Small(rng)}, Text(rng), Small(rng), {Generation{Number(rng)}, Term{Number(rng)}}};
}
void Fill(Rng& rng, Registered& m) { m = {ShardId{Small(rng)}, Number(rng)}; }
void Fill(Rng& rng, Freeze& m) { m = {ViewNumber{Number(rng)}, Term{Number(rng)}}; }
void Fill(Rng& rng, Frozen& m) {
  m = {ViewNumber{Number(rng)}, RandomStates(rng), rng.Chance(0.5)};
}
void Fill(Rng& rng, Install& m) {
  m = {RandomView(rng), RandomStates(rng), Number(rng), Number(rng)};
}
void Fill(Rng& rng, Installed& m) { m = {ViewNumber{Number(rng)}}; }
void Fill(Rng& rng, GetSaved& m) { m = {Number(rng)}; }
void Fill(Rng& rng, Saved& m) {
  m = {Number(rng),
       Text(rng),
       Number(rng),
       Number(rng),
       List(rng, [&rng](size_t) { return Small(rng); }),
       Number(rng)};
}
void Fill(Rng& rng, Beat& m) {
  m = {ShardId{Small(rng)}, Number(rng), Number(rng), Number(rng), Number(rng), Number(rng),
       Number(rng),         Small(rng),  Number(rng), Number(rng), Number(rng)};
  m.view = ViewNumber{Number(rng)};
  m.copy = Small(rng);
  m.replicas = Number(rng);
  m.in_sync = List(rng, [&rng](size_t) { return Number(rng); });
  m.gated = Number(rng);
  m.differing = Number(rng);
  m.why = Text(rng);
  m.log = {Term{Number(rng)}, Number(rng), Text(rng)};
  m.leaving = m.differing % 2 == 1;
  m.answers = Number(rng);
}
void Fill(Rng& rng, Replicas& m) {
  m = {ShardId{Small(rng)}, Number(rng), List(rng, [&rng](size_t) {
         return ReplicaPlace{Small(rng),  BootId{rng.Next()}, Text(rng),
                             Number(rng), rng.Chance(0.5),    rng.Chance(0.5)};
       })};
  m.log = Term{Number(rng)};
}
void Fill(Rng& rng, Follow& m) {
  m = {ShardId{Small(rng)}, Number(rng), Number(rng), CopyEnd{Number(rng)}};
  m.kept = Number(rng);
  switch (rng.Below(7)) {
    case 0:
      m.what = CopyHead{RandomView(rng), Number(rng), RandomStates(rng), RandomStates(rng)};
      break;
    case 1:
      m.what = CopyPiece{TableId{Small(rng)}, RandomPiece(rng)};
      break;
    case 2:
      m.what = RandomEntry(rng);
      break;
    case 3:
      m.what = RandomView(rng);
      break;
    case 4:
      m.what = CopyCheck{TableId{Small(rng)}, Number(rng), Number(rng), Small(rng)};
      break;
    case 5:
      m.what = CopyResume{Term{Number(rng)}, Number(rng), Number(rng), ViewNumber{Number(rng)}};
      break;
    default:
      break;
  }
}
void Fill(Rng& rng, Followed& m) { m = {ShardId{Small(rng)}, Number(rng), Number(rng), Text(rng)}; }
void Fill(Rng& rng, Host& m) {
  m = {Small(rng), rng.Chance(0.5)};
  for (uint64_t i = rng.Below(3); i > 0; --i) m.busy.push_back(BootId{rng.Next()});
}
void Fill(Rng& rng, Hosting& m) {
  m = {Number(rng), List(rng, [&rng](size_t) {
         return HostedCopy{ShardId{Small(rng)}, Small(rng)};
       })};
}
void Fill(Rng& rng, Rebalance& m) {
  m = {List(rng, [&rng](size_t) { return Small(rng); }), rng.Chance(0.5)};
}
void Fill(Rng& rng, Balance& m) {
  m = {List(rng,
            [&rng](size_t) {
              return Move{ShardId{Small(rng)}, Small(rng),      Small(rng),
                          Small(rng),          rng.Chance(0.5), Text(rng)};
            }),
       Text(rng)};
}

void Fill(Rng& rng, GetLease& m) {
  m = {RandomSender(rng), Number(rng), Number(rng), RandomCursor(rng)};
}
void Fill(Rng& rng, Leased& m) {
  m = {WorkerId{Small(rng)},
       List(rng,
            [&rng](size_t i) {
              const uint64_t begin = Number(rng) / 2;
              return DataLease{i + 1, {Number(rng), begin, begin + 1 + rng.Below(100)}};
            }),
       rng.Chance(0.5)};
}

bool SameBytes(const Frame& left, const Frame& right) {
  return std::ranges::equal(left.bytes(), right.bytes());
}

auto Tie(const RankState& m) {
  return std::tie(m.rank, m.ended, m.samples, m.applied, m.counted, m.discarded, m.attempt, m.used,
                  m.whole);
}
auto Tie(const KeyList& m) { return std::tie(m.id, m.keys); }
auto Tie(const Metric& m) { return std::tie(m.name, m.value); }
auto Tie(const Hello& m) { return std::tie(m.version_min, m.version_max, m.role); }
auto Tie(const Welcome& m) { return std::tie(m.version); }
auto Tie(const Refused& m) { return std::tie(m.code, m.about, m.words); }
auto Tie(const Unit& m) {
  return std::tie(m.sender, m.step, m.attempt, m.index, m.table, m.begin, m.gradient, m.keys);
}
auto Tie(const Held& m) { return std::tie(m.rank, m.step, m.attempt, m.index, m.nonfinite); }
auto Tie(const End& m) {
  return std::tie(m.sender, m.step, m.attempt, m.units, m.samples, m.skipped, m.used, m.close);
}
auto Tie(const Ended& m) {
  return std::tie(m.rank, m.step, m.discarded, m.next, m.filled, m.close);
}
auto Tie(const Pull& m) {
  return std::tie(m.sender, m.step, m.pull, m.table, m.begin, m.count, m.closed_min, m.keys);
}
auto Tie(const Pulled& m) { return std::tie(m.pull, m.closed, m.version, m.staleness, m.values); }
auto Tie(const Waiting& m) { return std::tie(m.about, m.is_pull, m.rank, m.round); }
auto Tie(const Join& m) { return std::tie(m.rank, m.any); }
auto Tie(const GetLease& m) { return std::tie(m.sender, m.rows, m.have, m.used); }
auto Tie(const Leased& m) { return std::tie(m.rank, m.leases, m.over); }
auto Tie(const Granted& m) { return std::tie(m.rank, m.incarnation, m.ended); }
auto Tie(const Renew& m) { return std::tie(m.sender); }
auto Tie(const Renewed& m) { return std::tie(m.rank); }
auto Tie(const Goodbye& m) { return std::tie(m.sender, m.done, m.acked, m.failure); }
auto Tie(const Farewell& m) { return std::tie(m.rank); }
auto Tie(const Report& m) {
  return std::tie(m.sender, m.step, m.epoch, m.samples, m.seconds, m.staleness_max, m.metrics);
}
auto Tie(const MakeTable& m) { return std::tie(m.sender, m.spec); }
auto Tie(const GetView& /*m*/) { return std::tuple<>(); }
auto Tie(const ViewIs& m) { return std::tie(m.view); }
auto Tie(const Register& m) { return std::tie(m.shard, m.endpoint, m.copy, m.log); }
auto Tie(const Registered& m) { return std::tie(m.shard, m.question); }
auto Tie(const Freeze& m) { return std::tie(m.number, m.term); }
auto Tie(const Frozen& m) { return std::tie(m.number, m.ranks, m.owes); }
auto Tie(const Install& m) { return std::tie(m.view, m.cut, m.snapshot, m.restore); }
auto Tie(const Installed& m) { return std::tie(m.number); }
auto Tie(const GetSaved& m) { return std::tie(m.snapshot); }
auto Tie(const Saved& m) {
  return std::tie(m.snapshot, m.problem, m.bytes, m.piece_bytes, m.piece_crcs, m.content);
}
auto Tie(const Beat& m) {
  return std::tie(m.shard, m.closed, m.version, m.units, m.held_bytes, m.parked_pulls,
                  m.staleness_max, m.waiting_for, m.discarded, m.skipped, m.nonfinite, m.view,
                  m.copy, m.replicas, m.in_sync, m.gated, m.differing, m.why, m.log, m.leaving,
                  m.answers);
}
auto Tie(const Replicas& m) { return std::tie(m.shard, m.number, m.replicas, m.log); }
auto Tie(const Follow& m) { return std::tie(m.shard, m.stream, m.item, m.what, m.kept); }
auto Tie(const Followed& m) { return std::tie(m.shard, m.stream, m.item, m.differs); }
auto Tie(const Host& m) { return std::tie(m.index, m.leaving, m.busy); }
auto Tie(const Hosting& m) { return std::tie(m.number, m.copies); }
auto Tie(const Rebalance& m) { return std::tie(m.drained, m.begin); }
auto Tie(const Balance& m) { return std::tie(m.moves, m.problem); }
auto Tie(const CopyHead& m) { return std::tie(m.view, m.version, m.ranks, m.last_close); }
auto Tie(const CopyPiece& m) { return std::tie(m.table, m.piece); }
auto Tie(const CopyEnd& m) { return std::tie(m.filled); }
auto Tie(const CopyResume& m) { return std::tie(m.after, m.since, m.version, m.view); }
auto Tie(const CopyCheck& m) { return std::tie(m.table, m.begin, m.count, m.crc); }
auto Tie(const DensePiece& m) { return std::tie(m.slot, m.begin, m.floats); }
auto Tie(const RowBatch& m) { return std::tie(m.keys, m.values, m.state); }
auto Tie(const Contribution& m) {
  return std::tie(m.rank, m.step, m.samples, m.discarded, m.attempt, m.used);
}
auto Tie(const EntryPart& m) { return std::tie(m.begin, m.weight, m.gradient, m.keys, m.combined); }
auto Tie(const EntryChange& m) { return std::tie(m.table, m.rate, m.parts); }
auto Tie(const Entry& m) { return std::tie(m.version, m.made, m.changes, m.more); }

template <class T>
bool Equal(const T& left, const T& right) {
  if constexpr (std::is_same_v<T, Frame>) {
    return SameBytes(left, right);
  } else if constexpr (requires { left.begin(); }) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](const auto& a, const auto& b) { return Equal(a, b); });
  } else if constexpr (requires { left.index(); }) {
    if (left.index() != right.index()) return false;
    return std::visit(
        [&right](const auto& kind) {
          return Equal(kind, std::get<std::decay_t<decltype(kind)>>(right));
        },
        left);
  } else if constexpr (requires { left == right; }) {
    return left == right;
  } else {
    return [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
      [[maybe_unused]] const auto a = Tie(left);
      [[maybe_unused]] const auto b = Tie(right);
      return (Equal(std::get<kIndex>(a), std::get<kIndex>(b)) && ...);
    }
    (std::make_index_sequence<std::tuple_size_v<decltype(Tie(left))>>());
  }
}

template <size_t... kKind>
Message MakeOf(Rng& rng, size_t kind, std::index_sequence<kKind...> /*kinds*/) {
  Message message;
  const auto fill = [&]<size_t kThis>() {
    if (kind == kThis) Fill(rng, message.emplace<kThis>());
  };
  (fill.template operator()<kKind>(), ...);
  return message;
}

}  // namespace

Message RandomMessage(Rng& rng, size_t kind) {
  return MakeOf(rng, kind, std::make_index_sequence<std::variant_size_v<Message>>());
}

Packet RandomPacket(Rng& rng) {
  Packet packet;
  Stamp stamp;
  const size_t size = 1 + rng.Below(8);
  for (size_t i = 0; i < size; ++i) {
    if (rng.Chance(0.5)) {
      stamp = {JobId{rng.Next()}, Generation{Number(rng)}, Term{Number(rng)}, BootId{rng.Next()},
               BootId{rng.Next()}};
    }
    packet.messages.emplace_back(stamp,
                                 RandomMessage(rng, rng.Below(std::variant_size_v<Message>)));
  }
  return packet;
}

bool Same(const Message& left, const Message& right) { return Equal(left, right); }

}  // namespace shardmill
