// What a shard does in one thread, without network: bazel run //bench:shard_bench

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "common/frame.h"
#include "common/frame_pool.h"
#include "common/messages.h"
#include "common/rng.h"
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
  explicit ReadyShard(const TableSpec& spec) {
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
    view.tables = {{TableId{1}, spec, {0, spec.sparse() ? kBuckets : spec.size}}};
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
  ReadyShard shard({"t", floats, {}});
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

// --- Rows: batches of random keys out of a million, each list of keys new to the shard.

constexpr uint64_t kRowsInAll = 1'000'000;
constexpr size_t kBatch = 65'536;
constexpr size_t kBatches = 32;
constexpr size_t kGrowth = 8192;  // New rows in a push.

UpdateSettings Rule(int64_t rule) {
  UpdateSettings update;
  update.rule = static_cast<UpdateRule>(rule);
  update.rate.base = 0.01;
  return update;
}

std::vector<uint64_t> RandomKeys(uint64_t count) {
  Rng rng(5);
  std::vector<uint64_t> keys(count);
  for (uint64_t& key : keys) key = rng.Next();
  return keys;
}

// As a client sends them: a key once in a batch.
std::vector<Frame> RandomBatches(std::vector<uint64_t> keys) {
  Rng rng(6);
  std::vector<Frame> batches;
  for (size_t batch = 0; batch < kBatches; ++batch) {
    for (size_t i = 0; i < kBatch; ++i) std::swap(keys[i], keys[i + rng.Below(keys.size() - i)]);
    batches.push_back(Frame::CopyOf(std::span<const uint64_t>(keys).first(kBatch)));
  }
  return batches;
}

void Report(benchmark::State& state) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBatch));
}

// One worker's pushes and pulls of rows.
class RowWorker final {
 public:
  explicit RowWorker(const TableSpec& spec) : shard_(spec) {}

  void Pull(const KeyList& keys, uint64_t count) {
    Say(shardmill::Pull{kSender, ++pulls_, step_, TableId{1}, 0, count, 0, keys});
  }
  void Push(const KeyList& keys, const Frame& values) {
    ++step_;
    Say(Unit{kSender, step_, 0, 0, TableId{1}, 0, values, keys});
    Say(End{kSender, step_, 0, 1, 1});
  }
  // Pushes the values of a batch to each key, a batch at a time.
  void Fill(std::span<const uint64_t> keys, uint32_t dim, const Frame& values) {
    for (size_t at = 0; at < keys.size(); at += kBatch) {
      const auto some = keys.subspan(at, std::min(kBatch, keys.size() - at));
      Push({NextList(), Frame::CopyOf(some)}, values.Slice(0, some.size() * dim * sizeof(float)));
    }
  }
  uint64_t NextList() { return ++lists_; }
  bool answered() const { return answered_; }

 private:
  static constexpr Sender kSender{WorkerId{0}, Incarnation{1}};

  void Say(Message message) {
    shard_.Say(kWorker, kWorkerBoot, std::move(message));
    answered_ = answered_ && shard_.outbox().size() == 1 &&
                !std::holds_alternative<Refused>(shard_.outbox()[0].message);
  }

  ReadyShard shard_;
  Step step_ = 0;
  uint64_t pulls_ = 0;
  uint64_t lists_ = 0;
  bool answered_ = true;
};

// A pull of a batch and a push of the same, applied; the push uses what the pull looked up.
void BM_Rows(benchmark::State& state) {
  const auto dim = static_cast<uint32_t>(state.range(0));
  RowWorker worker({"t", 0, {}, dim, Rule(state.range(1))});
  const std::vector<uint64_t> all = RandomKeys(kRowsInAll);
  const std::vector<Frame> batches = RandomBatches(all);
  const Frame gradient = Frame::CopyOf(std::vector<float>(kBatch * dim, 0.5F));
  worker.Fill(all, dim, gradient);
  for (auto _ : state) {
    const uint64_t list = worker.NextList();
    worker.Pull({list, batches[list % kBatches]}, kBatch);
    worker.Push({list, Frame()}, gradient);
  }
  if (!worker.answered()) state.SkipWithError("the shard refused");
  Report(state);
}
BENCHMARK(BM_Rows)
    ->ArgNames({"dim", "rule"})
    ->Args({16, static_cast<int64_t>(UpdateRule::kSgd)})
    ->Args({16, static_cast<int64_t>(UpdateRule::kAdagrad)})
    ->Args({16, static_cast<int64_t>(UpdateRule::kAdam)})
    ->Args({1, static_cast<int64_t>(UpdateRule::kSgd)})
    ->Args({1, static_cast<int64_t>(UpdateRule::kAdagrad)});

double ThreadMs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

// Pushes of batches of new keys until there are ten million rows; the longest of them in
// milliseconds of the thread's time, as others may have the processor in between.
void BM_GrowRows(benchmark::State& state) {
  constexpr uint64_t kRows = 10'000'000;
  const auto dim = static_cast<uint32_t>(state.range(0));
  const std::vector<uint64_t> keys = RandomKeys(kRows);
  const Frame values = Frame::CopyOf(std::vector<float>(kBatch * dim, 0.5F));
  double longest_ms = 0;
  for (auto _ : state) {
    RowWorker worker({"t", 0, {}, dim, Rule(0)});
    for (size_t at = 0; at < kRows; at += kGrowth) {
      const double before_ms = ThreadMs();
      worker.Fill(std::span(keys).subspan(at, std::min(kGrowth, kRows - at)), dim, values);
      longest_ms = std::max(longest_ms, ThreadMs() - before_ms);
    }
    if (!worker.answered()) state.SkipWithError("the shard refused");
  }
  state.counters["longest_ms"] = longest_ms;
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
}
BENCHMARK(BM_GrowRows)->ArgName("dim")->Arg(16)->Arg(1)->Iterations(1)->Unit(benchmark::kSecond);

// What BM_Rows does, by the standard library's map of rows by key.
void BM_RowsInAMap(benchmark::State& state) {
  const auto dim = static_cast<size_t>(state.range(0));
  const std::vector<uint64_t> all = RandomKeys(kRowsInAll);
  const std::vector<Frame> batches = RandomBatches(all);
  std::unordered_map<uint64_t, std::vector<float>> rows;
  for (const uint64_t key : all) rows[key].resize(dim);
  const std::vector<float> gradient(kBatch * dim, 0.5F);
  std::vector<float> pulled(kBatch * dim);
  size_t batch = 0;
  for (auto _ : state) {
    const auto keys = batches[++batch % kBatches].keys();
    for (size_t i = 0; i < kBatch; ++i) {
      std::ranges::copy(rows[keys[i]], pulled.begin() + static_cast<ptrdiff_t>(i * dim));
    }
    benchmark::DoNotOptimize(pulled.data());
    for (size_t i = 0; i < kBatch; ++i) {
      std::vector<float>& row = rows[keys[i]];
      for (size_t k = 0; k < dim; ++k) row[k] -= 0.01F * gradient[i * dim + k];
    }
  }
  Report(state);
}
BENCHMARK(BM_RowsInAMap)->ArgName("dim")->Arg(16)->Arg(1);

}  // namespace
}  // namespace shardmill
