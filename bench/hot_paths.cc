#include "bench/hot_paths.h"

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <variant>

#include "bench/ready_shard.h"
#include "client/ps_client.h"
#include "common/assert.h"
#include "common/frame_pool.h"
#include "common/rng.h"
#include "common/wire/wire.h"

namespace shardmill::bench {
namespace {

constexpr uint64_t kRows = 100'000;
constexpr uint64_t kBatchKeys = 8'192;
constexpr uint32_t kDim = 16;

Frame Floats(uint64_t count) { return Frame::CopyOf(std::vector<float>(count, 0.5F)); }

// A unit, its End, and a pull, on a shard.
std::function<void()> ShardStep(uint64_t bytes) {
  const uint64_t floats = bytes / sizeof(float);
  auto shard = std::make_shared<ReadyShard>(TableSpec{"t", floats, {}});
  return [shard, floats, gradient = Floats(floats), step = uint64_t{0}]() mutable {
    ++step;
    const Sender sender = ReadyShard::kSender;
    shard->Say(Unit{sender, step, 0, 0, ReadyShard::kTable, 0, gradient});
    shard->Say(End{sender, step, 0, 1, 1});
    SM_ASSERT(shard->Say(Pull{sender, step + 1, step, ReadyShard::kTable, 0, floats, 0}).size() ==
              1);
  };
}

Frame RandomKeys(Rng* rng) {
  std::vector<uint64_t> keys;
  // One of each so many neighbours: no key twice.
  constexpr uint64_t kOneOf = kRows / kBatchKeys;
  for (uint64_t i = 0; i < kBatchKeys; ++i) keys.push_back(Mix(i * kOneOf + rng->Below(kOneOf)));
  return Frame::CopyOf(std::span<const uint64_t>(keys));
}

// A pull of rows by a list of keys that is new, and a push to them.
std::function<void()> SparseStep(uint32_t dim, UpdateRule rule) {
  UpdateSettings settings;
  settings.rule = rule;
  auto shard = std::make_shared<ReadyShard>(TableSpec{"rows", 0, {}, dim, settings});
  return [shard, rng = Rng(1), gradient = Floats(kBatchKeys * dim), step = uint64_t{0}]() mutable {
    ++step;
    const Sender sender = ReadyShard::kSender;
    Pull pull{sender, step, step, ReadyShard::kTable, 0, kBatchKeys, 0};
    pull.keys = {step, RandomKeys(&rng)};
    SM_ASSERT(shard->Say(std::move(pull)).size() == 1);
    shard->Say(Unit{sender, step, 0, 0, ReadyShard::kTable, 0, gradient, {step, {}}});
    SM_ASSERT(shard->Say(End{sender, step, 0, 1, 1}).size() == 1);
  };
}

Packet UnitPacket(uint64_t bytes) {
  Packet packet;
  const Stamp stamp{JobId{1}, Generation{1}, Term{1}, BootId{2}, BootId{3}};
  Unit unit;
  unit.step = 12345;
  unit.gradient = Floats(bytes / sizeof(float));
  packet.messages.emplace_back(stamp, std::move(unit));
  return packet;
}

// A codec and the pool that it takes memory from.
struct Wire {
  FramePool frames{FramePool::Memory::kPrivate};
  WireCodec codec{frames, {}};
};

std::function<void()> WireEncode() {
  return [wire = std::make_shared<Wire>(), packet = UnitPacket(64)] {
    SM_ASSERT(!wire->codec.Encode(packet).empty());
  };
}

std::function<void()> WireDecode() {
  auto wire = std::make_shared<Wire>();
  const std::span<const Frame> encoded = wire->codec.Encode(UnitPacket(64));
  return [wire, frames = std::vector<Frame>(encoded.begin(), encoded.end()),
          packet = Packet()]() mutable { SM_ASSERT(wire->codec.Decode(frames, packet).ok()); };
}

// A client that has joined one shard, spoken to by hand.
class JoinedClient final {
 public:
  explicit JoinedClient(uint64_t floats) : client_(Options(), frames_), values_(floats, 0.5F) {
    Hear(kCoordinator, kCoordinatorBoot, Welcome{});
    Hear(kCoordinator, kCoordinatorBoot, Granted{WorkerId{0}, Incarnation{1}, 0});
    View view;
    view.number = ViewNumber{1};
    view.policy = {ApplyRule::kOnArrival, false, 0};
    view.members = {{WorkerId{0}, Incarnation{1}, 0}};
    view.tables = {{TableId{1}, {"t", floats, {}}, {0, floats}}};
    view.shards = {{ShardId{0}, Term{1}, kShardBoot, "tcp://shard"}};
    Hear(kCoordinator, kCoordinatorBoot, ViewIs{view});
    client_.Attach(ShardId{0}, kShard);
    Hear(kShard, kShardBoot, Welcome{});
    SM_ASSERT(client_.Ready());
    answer_ = Floats(floats);
  }

  // A step with a pull and a push, all of it answered at once.
  void Step() {
    const TablePlace& table = *client_.FindTable("t");
    const uint64_t step = client_.step();
    const Ticket pull = client_.Pull({}, table, 0, values_, {}, outbox_).value();
    SM_ASSERT(client_.Push({}, table, 0, values_, outbox_).ok());
    client_.Tick({}, outbox_);
    Answer();
    SM_ASSERT(client_.Done(pull));
    client_.EndStep({}, 1, outbox_);
    client_.Tick({}, outbox_);
    Answer();
    SM_ASSERT(client_.Ended() && client_.step() == step);
    client_.NextStep();
  }

 private:
  static constexpr PeerId kCoordinator{1};
  static constexpr PeerId kShard{2};
  static constexpr BootId kClient{5};
  static constexpr BootId kCoordinatorBoot{6};
  static constexpr BootId kShardBoot{7};

  static PsClientOptions Options() {
    PsClientOptions options;
    options.boot = kClient;
    options.coordinator = kCoordinator;
    return options;
  }
  void Hear(PeerId peer, BootId boot, Message message) {
    client_.Handle({}, {peer, {JobId{7}, {}, Term{1}, boot, kClient}, std::move(message)}, outbox_);
  }
  // Says for the shard what the client waits for, until it asks for nothing more.
  void Answer() {
    while (!outbox_.empty()) {
      const Outbox asked = std::exchange(outbox_, {});
      for (const Outgoing& out : asked) {
        if (const auto* unit = std::get_if<Unit>(&out.message)) {
          Hear(kShard, kShardBoot, Held{unit->sender.rank, unit->step, unit->attempt, unit->index});
        } else if (const auto* end = std::get_if<End>(&out.message)) {
          Hear(kShard, kShardBoot, Ended{end->sender.rank, end->step});
        } else if (const auto* pull = std::get_if<Pull>(&out.message)) {
          Hear(kShard, kShardBoot, Pulled{pull->pull, 0, 0, 0, {answer_}});
        }
      }
    }
  }

  FramePool frames_{FramePool::Memory::kPrivate};
  PsClient client_;
  std::vector<float> values_;
  Frame answer_;
  Outbox outbox_;
};

std::function<void()> ClientStep(uint64_t bytes) {
  auto client = std::make_shared<JoinedClient>(bytes / sizeof(float));
  return [client] { client->Step(); };
}

// What callgrind looks at: kCountedFunction.
[[gnu::noinline]] void RunCounted(const HotPath& path) {
  for (int i = 0; i < kCountedRuns; ++i) path.run();
}

}  // namespace

std::vector<HotPath> HotPaths() {
  return {{"shard.step.64B", ShardStep(64)},
          {"shard.step.1MiB", ShardStep(uint64_t{1} << 20)},
          {"shard.rows.sgd", SparseStep(kDim, UpdateRule::kSgd)},
          {"shard.rows.adagrad", SparseStep(kDim, UpdateRule::kAdagrad)},
          {"shard.floats.sgd", SparseStep(1, UpdateRule::kSgd)},
          {"wire.encode", WireEncode()},
          {"wire.decode", WireDecode()},
          {"client.step.64B", ClientStep(64)},
          {"client.step.1MiB", ClientStep(uint64_t{1} << 20)}};
}

void RunHotPaths() {
  for (const HotPath& path : HotPaths()) {
    // What is made once, on the first steps, is not counted.
    for (int i = 0; i < kCountedRuns; ++i) path.run();
    RunCounted(path);
  }
}

}  // namespace shardmill::bench
