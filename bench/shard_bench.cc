// What a shard does in one thread, without network: bazel run //bench:shard_bench

#include <benchmark/benchmark.h>

#include <memory>
#include <utility>
#include <vector>

#include "common/messages.h"
#include "server/shard.h"

namespace shardmill {
namespace {

constexpr PeerId kCoordinator{1};
constexpr PeerId kWorker{2};
constexpr BootId kShardBoot{10};
constexpr BootId kWorkerBoot{20};

// One shard with one worker and one table, ready to train.
class ReadyShard final {
 public:
  explicit ReadyShard(uint64_t floats) {
    ShardOptions options;
    options.boot = kShardBoot;
    options.coordinator = kCoordinator;
    shard_ = std::move(Shard::Make(options, frames_)).value();
    Say(kCoordinator, BootId{30}, Welcome{});
    View view;
    view.number = ViewNumber{1};
    view.policy = {ApplyRule::kOnArrival, false, 0};
    view.members = {{WorkerId{0}, Incarnation{1}, 0}};
    view.shards = {{ShardId{0}, Term{1}, kShardBoot, ""}};
    view.tables = {{TableId{1}, {"t", floats, {}}, {0, floats}}};
    Say(kCoordinator, BootId{30}, Freeze{view.number});
    Say(kCoordinator, BootId{30}, Install{view, {}});
  }

  void Say(PeerId peer, BootId from, Message message) {
    outbox_.clear();
    const Stamp stamp{JobId{7}, {}, Term{1}, from, kShardBoot};
    shard_->Handle({}, {peer, stamp, std::move(message)}, outbox_);
  }
  const Outbox& outbox() const { return outbox_; }

 private:
  FramePool frames_{FramePool::Memory::kPrivate};
  std::unique_ptr<Shard> shard_;
  Outbox outbox_;
};

// A push of one tensor, applied, and a pull of it: bytes in and out.
void BM_PushAndPull(benchmark::State& state) {
  const auto bytes = static_cast<uint64_t>(state.range(0));
  const uint64_t floats = bytes / sizeof(float);
  const Sender sender{WorkerId{0}, Incarnation{1}};
  ReadyShard shard(floats);
  const Frame gradient = Frame::CopyOf(std::vector<float>(floats, 0.5F));
  Step step = 0;
  for (auto _ : state) {
    ++step;
    shard.Say(kWorker, kWorkerBoot, Unit{sender, step, 0, 0, TableId{1}, 0, gradient});
    shard.Say(kWorker, kWorkerBoot, End{sender, step, 0, 1, 1});
    shard.Say(kWorker, kWorkerBoot, Pull{sender, step + 1, step, TableId{1}, 0, floats, 0});
    if (shard.outbox().size() != 1) state.SkipWithError("the pull was not answered");
  }
  state.SetBytesProcessed(static_cast<int64_t>(2 * bytes * step));
}
BENCHMARK(BM_PushAndPull)->Arg(64)->Arg(64 << 10)->Arg(4 << 20);

}  // namespace
}  // namespace shardmill
