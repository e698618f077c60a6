// Steps of a worker and a shard, in one thread and over real links, allocate nothing once both have
// reached their working size: every operator new of this program is counted. (ZeroMQ has memory of
// its own, which it takes from malloc.)
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "client/ps_client.h"
#include "common/clock.h"
#include "common/net/messenger.h"
#include "common/net/peer_transport.h"
#include "server/shard.h"

namespace {

// On this thread alone: the others are ZeroMQ's.
thread_local uint64_t allocations = 0;

void* Counted(size_t size, size_t alignment) {
  ++allocations;
  void* memory = alignment == 0 ? std::malloc(size) : std::aligned_alloc(alignment, size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

size_t RoundedUp(size_t size, std::align_val_t to) {
  const auto alignment = static_cast<size_t>(to);
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

void* operator new(size_t size) { return Counted(size, 0); }
// Only libraries ask so: ours wants an exception.
void* operator new(size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void* operator new(size_t size, std::align_val_t to) {
  return Counted(RoundedUp(size, to), static_cast<size_t>(to));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace shardmill {
namespace {

constexpr BootId kShardBoot{10};
constexpr BootId kWorkerBoot{20};
constexpr BootId kCoordinatorBoot{30};
constexpr PeerId kCoordinator{1'000'000};
constexpr TableId kDense{1};
constexpr TableId kSparse{2};
constexpr uint64_t kFloats = (uint64_t{1} << 20) + 17;
constexpr uint32_t kDim = 8;
constexpr uint64_t kKeys = 5000;

// A process: its memory, its link, its messages.
struct Agent {
  explicit Agent(bool shared)
      : pool(shared ? FramePool::Memory::kShared : FramePool::Memory::kPrivate),
        transport(context, pool, {.shared_memory = shared}),
        messenger(transport, pool, {}) {}

  ZmqContext context{1};
  FramePool pool;
  PeerTransport transport;
  Messenger messenger;
  Outbox outbox;
  std::vector<Envelope> messages;
  std::vector<BadPacket> bad;
};

// A worker and a shard that have joined a job, whose coordinator is this test.
class AllocationTest : public testing::TestWithParam<bool> {
 protected:
  AllocationTest()
      : server_(GetParam()), worker_(GetParam()), client_(ClientOptions(), worker_.pool) {
    const auto endpoint = server_.transport.Bind("tcp://127.0.0.1:*");
    ShardOptions options;
    options.boot = kShardBoot;
    options.coordinator = kCoordinator;
    shard_ = std::move(Shard::Make(options, server_.pool)).value();
    View view;
    view.number = ViewNumber{1};
    view.policy = {ApplyRule::kPerStep, true, 0};
    view.members = {{WorkerId{0}, Incarnation{1}, 0}};
    view.shards = {{ShardId{0}, Term{1}, kShardBoot, endpoint.value()}};
    TableSpec rows;
    rows.name = "rows";
    rows.dim = kDim;
    view.tables = {{kDense, {"dense", kFloats, {}}, {0, kFloats}}, {kSparse, rows, {0, kBuckets}}};
    Order(Welcome{});
    Order(Freeze{view.number});
    Order(Install{view, {}});
    Tell(Welcome{});
    Tell(Granted{WorkerId{0}, Incarnation{1}, 0});
    Tell(ViewIs{view});
    client_.Attach(ShardId{0}, worker_.transport.Connect(endpoint.value()).value());
    const TimePoint end = clock_.Now() + std::chrono::seconds(10);
    while (!client_.Ready() && clock_.Now() < end) Move();
    values_.resize(kFloats);
    gradient_.resize(kFloats, 0.5F);
    std::vector<uint64_t> keys(kKeys);
    for (uint64_t i = 0; i < kKeys; ++i) keys[i] = 77 * i;
    keys_ = client_.Bind(*client_.FindTable("rows"), keys).value();
    rows_.resize(kKeys * kDim, 0.25F);
  }

  static PsClientOptions ClientOptions() {
    PsClientOptions options;
    options.boot = kWorkerBoot;
    options.coordinator = kCoordinator;
    options.retry_after = std::chrono::seconds(5);
    return options;
  }

  void Order(Message message) {
    const Stamp stamp{JobId{7}, {}, Term{1}, kCoordinatorBoot, kShardBoot};
    shard_->Handle({}, {kCoordinator, stamp, std::move(message)}, server_.outbox);
    server_.outbox.clear();
  }
  void Tell(Message message) {
    const Stamp stamp{JobId{7}, {}, Term{}, kCoordinatorBoot, kWorkerBoot};
    client_.Handle(clock_.Now(), {kCoordinator, stamp, std::move(message)}, worker_.outbox);
    worker_.outbox.clear();
  }

  template <class Core>
  void Turn(Agent& agent, Core& core) {
    agent.messages.clear();
    ASSERT_TRUE(agent.messenger.Poll(std::chrono::milliseconds(0), agent.messages, agent.bad).ok());
    for (const Envelope& message : agent.messages) {
      core.Handle(clock_.Now(), message, agent.outbox);
    }
    agent.messages.clear();
    agent.messenger.Send(agent.outbox);
  }
  void Move() {
    client_.Tick(clock_.Now(), worker_.outbox);
    worker_.messenger.Send(worker_.outbox);
    Turn(server_, *shard_);
    Turn(worker_, client_);
  }

  void MakeStep() {
    const TimePoint now = clock_.Now();
    const auto weights =
        client_.Pull(now, *client_.FindTable("dense"), 0, values_, {}, worker_.outbox);
    const auto rows = client_.Pull(now, keys_, rows_, {}, worker_.outbox);
    while (!client_.Done(weights.value()) || !client_.Done(rows.value())) Move();
    client_.Take(weights.value());
    client_.Take(rows.value());
    ASSERT_TRUE(client_.Push(now, *client_.FindTable("dense"), 0, gradient_, worker_.outbox).ok());
    ASSERT_TRUE(client_.Push(now, keys_, rows_, worker_.outbox).ok());
    client_.EndStep(now, 1, worker_.outbox);
    while (!client_.Ended() && !client_.failure()) Move();
    ASSERT_FALSE(client_.failure()) << client_.failure()->message;
    client_.NextStep();
  }

  SteadyClock clock_;
  Agent server_;
  Agent worker_;
  std::unique_ptr<Shard> shard_;
  PsClient client_;
  std::vector<float> values_;
  std::vector<float> gradient_;
  std::vector<float> rows_;
  KeySet keys_;
};

TEST_P(AllocationTest, StepsAllocateAndMapNothingOnceTheyAreWarm) {
  ASSERT_TRUE(client_.Ready());
  ASSERT_EQ(server_.transport.reach().shared_memory + worker_.transport.reach().shared_memory,
            GetParam() ? 2U : 0U);
  for (int i = 0; i < 20; ++i) MakeStep();
  const uint64_t mapped = server_.pool.mapped_bytes() + worker_.pool.mapped_bytes();
  const uint64_t before = allocations;
  for (int i = 0; i < 20; ++i) MakeStep();
  EXPECT_EQ(allocations - before, 0U);
  EXPECT_EQ(server_.pool.mapped_bytes() + worker_.pool.mapped_bytes(), mapped);
  EXPECT_NEAR(values_[5], -0.5 * 0.1 * 39, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Links, AllocationTest, testing::Bool(),
                         [](const auto& shared) { return shared.param ? "SharedMemory" : "Tcp"; });

}  // namespace
}  // namespace shardmill
