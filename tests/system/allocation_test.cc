// Steps of two workers and a shard, in one thread and over real links, allocate nothing once all
// have reached their working size, and touch no page for the first time: every operator new and
// every fault of this thread is counted. (ZeroMQ has memory of its own, which it takes from
// malloc.)
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "client/ps_client.h"
#include "common/clock.h"
#include "common/net/messenger.h"
#include "common/net/peer_transport.h"
#include "common/process/large_blocks.h"
#include "server/shard.h"
#include "tests/sanitized.h"

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
constexpr uint64_t kWorkerBoots = 20;
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

// Minor faults: pages that were not there.
int64_t Faults() {
  rusage used{};
  EXPECT_EQ(getrusage(RUSAGE_THREAD, &used), 0);
  return used.ru_minflt;
}

PsClientOptions ClientOptions(uint32_t rank) {
  PsClientOptions options;
  options.rank = WorkerId{rank};
  options.boot = BootId{kWorkerBoots + rank};
  options.coordinator = kCoordinator;
  options.retry_after = std::chrono::seconds(5);
  return options;
}

struct Worker {
  Worker(uint32_t rank, bool shared) : agent(shared), client(ClientOptions(rank), agent.pool) {}

  Agent agent;
  PsClient client;
  std::vector<float> values = std::vector<float>(kFloats);
  std::vector<float> gradient = std::vector<float>(kFloats, 0.5F);
  std::vector<float> rows = std::vector<float>(kKeys * kDim, 0.25F);
  KeySet keys;
  Ticket weights_read;
  Ticket rows_read;
};

// Two workers and a shard that have joined a job, whose coordinator is this test.
class AllocationTest : public testing::TestWithParam<bool> {
 protected:
  AllocationTest() : server_(GetParam()) {
    KeepLargeBlocks();  // As the daemons do.
    const auto endpoint = server_.transport.Bind("tcp://127.0.0.1:*");
    ShardOptions options;
    options.boot = kShardBoot;
    options.coordinator = kCoordinator;
    shard_ = std::move(Shard::Make(options, server_.pool)).value();
    View view;
    view.number = ViewNumber{1};
    view.policy = {ApplyRule::kPerStep, true, 0};
    view.members = {{WorkerId{0}, Incarnation{1}, 0}, {WorkerId{1}, Incarnation{1}, 0}};
    view.shards = {{ShardId{0}, Term{1}, kShardBoot, endpoint.value()}};
    TableSpec rows;
    rows.name = "rows";
    rows.dim = kDim;
    view.tables = {{kDense, {"dense", kFloats, {}}, {0, kFloats}}, {kSparse, rows, {0, kBuckets}}};
    Order(Welcome{});
    Order(Freeze{view.number});
    Order(Install{view, {}});
    for (uint32_t rank = 0; rank < 2; ++rank) {
      workers_.push_back(std::make_unique<Worker>(rank, GetParam()));
      Join(rank, view, endpoint.value());
    }
  }

  // Every second key is of both workers, and so a row that two pushes change in a round.
  void Join(uint32_t rank, const View& view, const std::string& endpoint) {
    Worker& worker = *workers_[rank];
    Tell(worker, rank, Welcome{});
    Tell(worker, rank, Granted{WorkerId{rank}, Incarnation{1}, 0});
    Tell(worker, rank, ViewIs{view});
    worker.client.Attach(ShardId{0}, worker.agent.transport.Connect(endpoint).value());
    const TimePoint end = clock_.Now() + std::chrono::seconds(10);
    while (!worker.client.Ready() && clock_.Now() < end) Move();
    std::vector<uint64_t> keys(kKeys);
    for (uint64_t i = 0; i < kKeys; ++i) keys[i] = 77 * i + (i % 2) * rank;
    worker.keys = worker.client.Bind(*worker.client.FindTable("rows"), keys).value();
  }

  void Order(Message message) {
    const Stamp stamp{JobId{7}, {}, Term{1}, kCoordinatorBoot, kShardBoot};
    shard_->Handle({}, {kCoordinator, stamp, std::move(message)}, server_.outbox);
    server_.outbox.clear();
  }
  void Tell(Worker& worker, uint32_t rank, Message message) {
    const Stamp stamp{JobId{7}, {}, Term{}, kCoordinatorBoot, BootId{kWorkerBoots + rank}};
    worker.client.Handle(clock_.Now(), {kCoordinator, stamp, std::move(message)},
                         worker.agent.outbox);
    worker.agent.outbox.clear();
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
    for (const auto& worker : workers_) {
      worker->client.Tick(clock_.Now(), worker->agent.outbox);
      worker->agent.messenger.Send(worker->agent.outbox);
    }
    Turn(server_, *shard_);
    for (const auto& worker : workers_) Turn(worker->agent, worker->client);
  }

  void Begin(Worker& worker) {
    PsClient& client = worker.client;
    const TimePoint now = clock_.Now();
    const TablePlace& dense = *client.FindTable("dense");
    Outbox& outbox = worker.agent.outbox;
    worker.weights_read = client.Pull(now, dense, 0, worker.values, {}, outbox).value();
    worker.rows_read = client.Pull(now, worker.keys, worker.rows, {}, outbox).value();
    while (!client.Done(worker.weights_read) || !client.Done(worker.rows_read)) Move();
    client.Take(worker.weights_read);
    client.Take(worker.rows_read);
    ASSERT_TRUE(client.Push(now, dense, 0, worker.gradient, outbox).ok());
    ASSERT_TRUE(client.Push(now, worker.keys, worker.rows, outbox).ok());
    client.EndStep(now, 1, outbox);
  }

  void MakeStep() {
    for (const auto& worker : workers_) Begin(*worker);
    for (const auto& worker : workers_) {
      PsClient& client = worker->client;
      while (!client.Ended() && !client.failure()) Move();
      ASSERT_FALSE(client.failure()) << client.failure()->message;
      client.NextStep();
    }
  }

  uint64_t Mapped() const {
    uint64_t mapped = server_.pool.mapped_bytes();
    for (const auto& worker : workers_) mapped += worker->agent.pool.mapped_bytes();
    return mapped;
  }

  SteadyClock clock_;
  Agent server_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Shard> shard_;
};

TEST_P(AllocationTest, StepsAllocateAndMapNothingOnceTheyAreWarm) {
  for (const auto& worker : workers_) ASSERT_TRUE(worker->client.Ready());
  ASSERT_EQ(server_.transport.reach().shared_memory, GetParam() ? 2U : 0U);
  // How much is on its way at a time is chance: so that the working size is reached at last, not
  // after a certain step. What allocates in each step never comes to rest.
  constexpr int kStepsMax = 500;
  constexpr int kQuiet = 20;
  int steps = 0;
  int64_t faults = 0;
  for (int quiet = 0; quiet < kQuiet && steps < kStepsMax; ++steps) {
    const uint64_t before = Mapped() + allocations;
    if (quiet == 0) faults = Faults();
    MakeStep();
    quiet = Mapped() + allocations == before ? quiet + 1 : 0;
  }
  EXPECT_LT(steps, kStepsMax);
  // A step touches some thousand pages; the system may take and give back a few. A sanitizer's
  // malloc gives no block out twice in a row.
  if (!kSanitized) {
    EXPECT_LT(Faults() - faults, 100);
  }
  EXPECT_NEAR(workers_[0]->values[5], -0.5 * 0.1 * (steps - 1), 1e-2);
}

INSTANTIATE_TEST_SUITE_P(Links, AllocationTest, testing::Bool(),
                         [](const auto& shared) { return shared.param ? "SharedMemory" : "Tcp"; });

}  // namespace
}  // namespace shardmill
