// Limits that hold whatever a peer does: windows, and the memory of who is not read from.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "client/ps_client.h"
#include "client/session.h"
#include "common/clock.h"
#include "common/fresh_id.h"
#include "common/net/endpoint.h"
#include "common/net/messenger.h"
#include "common/net/zmq_transport.h"
#include "tests/sanitized.h"
#include "tests/system/servers.h"

namespace shardmill {
namespace {

constexpr std::chrono::seconds kPatience{60};

// A queue of 64 MiB, the chunks that it holds, and what one step has under way.
constexpr uint64_t kGrowthMaxMiB = 300;

TEST(LimitsTest, AHundredChunksGoThroughAWindowOfSixtyFour) {
  const Servers servers({"policy.mode=sync"}, 1);
  SessionOptions options = servers.OptionsOf(0);
  options.unit_bytes = 4096;
  options.window_bytes = 64 * options.unit_bytes;
  auto session = Session::Open(options);
  ASSERT_TRUE(session.ok()) << session.error().message;
  constexpr uint64_t kFloats = 100 * 1024;
  const auto table = session.value()->Dense("t", kFloats);
  ASSERT_TRUE(table.ok()) << table.error().message;
  for (int round = 1; round <= 3; ++round) {
    auto step = session.value()->Begin(kPatience);
    ASSERT_TRUE(step.ok());
    const std::vector<float> gradient(kFloats, -1);
    ASSERT_TRUE(step.value().Push(table.value(), 0, gradient).ok());
    const auto finished = step.value().Finish(1);
    ASSERT_TRUE(finished.ok()) << finished.error().message;
  }
  auto step = session.value()->Begin(kPatience);
  std::vector<float> values(kFloats);
  const auto pull = step.value().Pull(table.value(), 0, values);
  ASSERT_TRUE(pull.ok() && step.value().Wait(pull.value()).ok());
  EXPECT_TRUE(std::ranges::all_of(values, [](float value) { return value == 3; }));
}

// More of them than one message may have frames.
TEST(LimitsTest, AStepOfThousandsOfPushesReachesAReplica) {
  const Servers servers({"policy.mode=sync", "replication.replicas=1"}, 1, 2);
  auto session = Session::Open(servers.OptionsOf(0));
  ASSERT_TRUE(session.ok()) << session.error().message;
  constexpr uint64_t kFloats = 12'000;
  const auto table = session.value()->Dense("t", kFloats);
  ASSERT_TRUE(table.ok()) << table.error().message;
  for (int round = 1; round <= 2; ++round) {
    auto step = session.value()->Begin(kPatience);
    ASSERT_TRUE(step.ok()) << step.error().message;
    const std::vector<float> one(1, -1);
    for (uint64_t at = 0; at < kFloats; ++at) {
      ASSERT_TRUE(step.value().Push(table.value(), at, one).ok());
    }
    const auto finished = step.value().Finish(1);
    ASSERT_TRUE(finished.ok()) << finished.error().message;
  }
}

TEST(LimitsTest, DenseTablesTogetherHaveALimit) {
  const Servers servers({"policy.mode=sync", "cluster.table_bytes=8KiB"}, 1);
  auto session = Session::Open(servers.OptionsOf(0));
  ASSERT_TRUE(session.ok()) << session.error().message;
  EXPECT_TRUE(session.value()->Dense("a", 1024).ok());
  const auto more = session.value()->Dense("b", 1025);
  ASSERT_FALSE(more.ok());
  EXPECT_NE(more.error().message.find("cluster.table_bytes"), std::string::npos)
      << more.error().message;
}

TEST(LimitsTest, SparseRowsTogetherHaveALimit) {
  const Servers servers({"policy.mode=async", "cluster.table_bytes=8KiB"}, 1);
  auto session = Session::Open(servers.OptionsOf(0));
  ASSERT_TRUE(session.ok()) << session.error().message;
  const auto table = session.value()->Sparse("rows", 16);
  ASSERT_TRUE(table.ok()) << table.error().message;
  // Rows of 64 bytes, and as much for each key.
  const auto push = [&](uint64_t first, uint64_t count) -> std::string {
    std::vector<uint64_t> keys(count);
    for (uint64_t i = 0; i < count; ++i) keys[i] = first + i;
    const auto bound = session.value()->Bind(table.value(), keys);
    auto step = session.value()->Begin(kPatience);
    if (!bound.ok() || !step.ok()) return "no step";
    const std::vector<float> gradient(16 * count, 1);
    const auto pushed = step.value().Push(bound.value(), gradient);
    if (!pushed.ok()) return pushed.error().message;
    const auto finished = step.value().Finish(1);
    return finished.ok() ? "" : finished.error().message;
  };
  EXPECT_EQ(push(0, 40), "");
  EXPECT_EQ(push(20, 44), "");
  const std::string words = push(0, 65);
  EXPECT_NE(words.find("cluster.table_bytes"), std::string::npos) << words;
}

// Asks for a table again and again, and never takes an answer from its socket.
class DeafReader final {
 public:
  explicit DeafReader(const std::string& address, uint32_t rank)
      : context_(1), transport_(context_, SmallQueues()), messenger_(transport_, frames_, {}) {
    const auto coordinator = transport_.Connect("tcp://" + address);
    PsClientOptions options;
    options.rank = WorkerId{rank};
    options.boot = BootId{FreshId()};
    options.coordinator = coordinator.value();
    options.window_bytes = uint64_t{1} << 40;
    client_.emplace(options, frames_);
  }

  // Joins and waits until the table is there.
  void Open(const std::string& table) {
    const SteadyClock clock;
    std::vector<Envelope> messages;
    std::vector<BadPacket> bad;
    bool asked = false;
    const TimePoint end = clock.Now() + kPatience;
    while (client_->FindTable(table) == nullptr && clock.Now() < end) {
      client_->Tick(clock.Now(), outbox_);
      if (client_->Ready() && !asked) {
        client_->MakeTable(clock.Now(), {table, kTableFloats, {}}, outbox_);
        asked = true;
      }
      messenger_.Send(outbox_);
      messages.clear();
      ASSERT_TRUE(messenger_.Poll(std::chrono::milliseconds(20), messages, bad).ok());
      for (const Envelope& message : messages) client_->Handle(clock.Now(), message, outbox_);
      for (const ShardPlace& place : client_->Unattached()) {
        client_->Attach(place.id, transport_.Connect(Endpoint::Parse(place.endpoint).tcp).value());
      }
    }
    ASSERT_NE(client_->FindTable(table), nullptr) << client_->WaitsFor();
    values_.resize(kTableFloats);
  }

  void AskForAll(const std::string& table) {
    const SteadyClock clock;
    const auto pull =
        client_->Pull(clock.Now(), *client_->FindTable(table), 0, values_, {}, outbox_);
    ASSERT_TRUE(pull.ok());
    messenger_.Send(outbox_);
  }

  static constexpr uint64_t kTableFloats = uint64_t{16} << 20;  // 64 MiB.

 private:
  // What this process would take in without being read from is little too.
  static ZmqOptions SmallQueues() {
    ZmqOptions options;
    options.queue_messages_max = 8;
    return options;
  }

  ZmqContext context_;
  ZmqTransport transport_;
  FramePool frames_{FramePool::Memory::kPrivate};
  Messenger messenger_;
  std::optional<PsClient> client_;
  Outbox outbox_;
  std::vector<float> values_;
};

TEST(LimitsTest, AReaderThatNeverReadsLeavesTheServersMemoryUnderItsCap) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own memory is larger than what is measured";
  const Servers servers({"policy.mode=async", "network.queue_bytes=64MiB"}, 2);
  DeafReader reader(servers.address(), 1);
  std::unique_ptr<Session> writer;
  std::thread opening([&] {
    auto opened = Session::Open(servers.OptionsOf(0));
    if (opened.ok()) writer = std::move(opened).value();
  });
  reader.Open("t");
  opening.join();
  ASSERT_NE(writer, nullptr);
  const auto table = writer->Dense("t", DeafReader::kTableFloats);
  ASSERT_TRUE(table.ok());
  const uint64_t before = servers.MemoryMiB();
  // Each round every chunk changes, so that answers on their way hold the chunks of before: without
  // a bound they would come to 40 times 64 MiB.
  const std::vector<float> gradient(DeafReader::kTableFloats, 0.5F);
  for (int round = 0; round < 40; ++round) {
    reader.AskForAll("t");
    auto step = writer->Begin(kPatience);
    ASSERT_TRUE(step.ok() && step.value().Push(table.value(), 0, gradient).ok());
    const auto finished = step.value().Finish(1);
    ASSERT_TRUE(finished.ok()) << finished.error().message;
  }
  const uint64_t after = servers.MemoryMiB();
  RecordProperty("grown_mib", static_cast<int>(after - before));
  EXPECT_LT(after, before + kGrowthMaxMiB);
}

}  // namespace
}  // namespace shardmill
