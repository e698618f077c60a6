// Rows of sparse tables: batches of random keys, each batch new to the shard.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "bench/benchmarks.h"
#include "bench/cluster.h"
#include "bench/ready_shard.h"
#include "bench/stopwatch.h"
#include "client/session.h"
#include "common/assert.h"
#include "common/rng.h"

namespace shardmill::bench {
namespace {

constexpr std::chrono::minutes kPatience{5};
constexpr uint64_t kAllKeys = 1'000'000;
constexpr uint64_t kBatchKeys = 65'536;
constexpr uint64_t kBatches = 32;
constexpr uint64_t kBatchesOfRun = 8;
constexpr float kRate = 0.01F;
constexpr float kEpsilon = 1e-8F;

// The key of each row: spread over all 64 bits.
uint64_t KeyOf(uint64_t row) { return Mix(row); }

using Batch = std::vector<uint64_t>;

// Batches without repeats, all of another choice.
std::vector<Batch> MakeBatches() {
  Rng rng(1);
  std::vector<Batch> batches(kBatches);
  for (Batch& batch : batches) {
    std::unordered_set<uint64_t> seen;
    while (batch.size() < kBatchKeys) {
      const uint64_t key = KeyOf(rng.Below(kAllKeys));
      if (seen.insert(key).second) batch.push_back(key);
    }
  }
  return batches;
}

// Batches that together touch every row once.
std::vector<Batch> AllRows() {
  std::vector<Batch> batches;
  for (uint64_t row = 0; row < kAllKeys; ++row) {
    if (row % kBatchKeys == 0) batches.emplace_back();
    batches.back().push_back(KeyOf(row));
  }
  return batches;
}

UpdateSettings SettingsOf(UpdateRule rule) {
  UpdateSettings settings;
  settings.rule = rule;
  settings.rate.base = kRate;
  return settings;
}

// What a program without a parameter server would write: a hash map of rows, read and stepped in
// one loop each.
template <size_t kDim, bool kAdagrad>
class MapRows final {
 public:
  MapRows() {
    map_.reserve(kAllKeys);
    for (uint64_t row = 0; row < kAllKeys; ++row) map_[KeyOf(row)] = {};
  }
  void PullAndPush(const Batch& keys, std::span<const float> gradient, std::span<float> into) {
    for (size_t i = 0; i < keys.size(); ++i) {
      std::copy_n(map_[keys[i]].values.data(), kDim, into.data() + i * kDim);
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      Row& row = map_[keys[i]];
      const float* g = gradient.data() + i * kDim;
      for (size_t at = 0; at < kDim; ++at) {
        if constexpr (kAdagrad) {
          row.squares[at] += g[at] * g[at];
          row.values[at] -= kRate * g[at] / (std::sqrt(row.squares[at]) + kEpsilon);
        } else {
          row.values[at] -= kRate * g[at];
        }
      }
    }
  }

 private:
  struct Row {
    std::array<float, kDim> values{};
    std::array<float, kAdagrad ? kDim : 0> squares{};
  };
  std::unordered_map<uint64_t, Row> map_;
};

// A baseline of MapRows, and what both sides need.
template <size_t kDim, bool kAdagrad>
class RowSides : public Sides {
 public:
  Result<double> Product() override {
    const Stopwatch watch;
    for (uint64_t i = 0; i < kBatchesOfRun; ++i) {
      SM_TRY(PullAndPush(batches_[next_++ % kBatches]));
    }
    return kBatchesOfRun * kBatchKeys / watch.Seconds() / 1e6;
  }
  Result<double> Baseline() override {
    const Stopwatch watch;
    for (uint64_t i = 0; i < kBatchesOfRun; ++i) {
      map_.PullAndPush(batches_[next_++ % kBatches], gradient_, into_);
    }
    return kBatchesOfRun * kBatchKeys / watch.Seconds() / 1e6;
  }

 protected:
  static constexpr UpdateRule kRule = kAdagrad ? UpdateRule::kAdagrad : UpdateRule::kSgd;

  virtual Result<> PullAndPush(const Batch& keys) = 0;
  std::span<const float> GradientFor(const Batch& keys) const {
    return std::span(gradient_).first(keys.size() * kDim);
  }
  std::span<float> IntoFor(const Batch& keys) { return std::span(into_).first(keys.size() * kDim); }

 private:
  std::vector<Batch> batches_ = MakeBatches();
  uint64_t next_ = 0;
  std::vector<float> gradient_ = std::vector<float>(kBatchKeys * kDim, 0.5F);
  std::vector<float> into_ = std::vector<float>(kBatchKeys * kDim);
  MapRows<kDim, kAdagrad> map_;
};

// Through the shard's state machine on this thread. Its messages are made without a copy, as the
// transport gives them.
template <size_t kDim, bool kAdagrad>
class ShardRows final : public RowSides<kDim, kAdagrad> {
 public:
  static Result<Prepared> Prepare(const Programs& /*programs*/) {
    auto sides = std::make_unique<ShardRows>();
    for (const Batch& batch : AllRows()) SM_TRY(sides->PullAndPush(batch));
    return Prepared{std::move(sides), ""};
  }

 protected:
  Result<> PullAndPush(const Batch& batch) override {
    const Frame keys = Frame::CopyOf(std::span<const uint64_t>(batch));
    const Frame gradient = Whole().Slice(0, batch.size() * kDim * sizeof(float));
    const Sender sender = ReadyShard::kSender;
    const uint64_t id = ++step_;
    Pull pull{sender, id, id, ReadyShard::kTable, 0, batch.size(), 0};
    pull.keys = {id, keys};
    const Outbox& answer = shard_.Say(pull);
    const auto* pulled = answer.empty() ? nullptr : std::get_if<Pulled>(&answer.front().message);
    if (pulled == nullptr) return Error{ErrorCode::kFailed, "the shard did not serve a pull"};
    shard_.Say(Unit{sender, id, 0, 0, ReadyShard::kTable, 0, gradient, {id, {}}});
    const Outbox& ended = shard_.Say(End{sender, id, 0, 1, 1});
    if (!ended.empty() && std::holds_alternative<Ended>(ended.front().message)) return {};
    return Error{ErrorCode::kFailed, "the shard did not apply a push"};
  }

 private:
  using Base = RowSides<kDim, kAdagrad>;

  static TableSpec Spec() {
    return {"rows", 0, {}, static_cast<uint32_t>(kDim), SettingsOf(Base::kRule)};
  }
  const Frame& Whole() {
    if (whole_.size() == 0) whole_ = Frame::CopyOf(std::vector<float>(kBatchKeys * kDim, 0.5F));
    return whole_;
  }

  ReadyShard shard_{Spec()};
  Frame whole_;
  uint64_t step_ = 0;
};

// From a worker's session to a server process and back.
template <size_t kDim, bool kShared>
class SessionRows final : public RowSides<kDim, false> {
 public:
  static Result<Prepared> Prepare(const Programs& programs) {
    auto sides = std::make_unique<SessionRows>();
    sides->cluster_ = SM_TRY(Cluster::Start(programs, {.shared_memory = kShared}));
    const SessionOptions options = SM_TRY(sides->cluster_->WorkerOptions(0));
    sides->session_ = SM_TRY(Session::Open(options));
    TableOptions sgd;
    sgd.update = SettingsOf(UpdateRule::kSgd);
    sides->table_ = SM_TRY(sides->session_->Sparse("rows", kDim, sgd));
    for (const Batch& batch : AllRows()) SM_TRY(sides->PullAndPush(batch));
    return Prepared{std::move(sides), ""};
  }

 protected:
  Result<> PullAndPush(const Batch& batch) override {
    TrainingStep step = SM_TRY(session_->Begin(kPatience));
    const KeySet keys = SM_TRY(session_->Bind(table_, batch));
    const Ticket pull = SM_TRY(step.Pull(keys, this->IntoFor(batch)));
    SM_TRY(step.Wait(pull));
    SM_TRY(step.Push(keys, this->GradientFor(batch)));
    SM_TRY(step.Finish(1));
    session_->Unbind(keys);
    return {};
  }

 private:
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Session> session_;
  SparseTable table_;
};

}  // namespace

std::vector<Benchmark> RowBenchmarks() {
  const std::string batches = " random keys out of a million, each batch new, pull and push, ";
  const std::string rows = "rows of 16 floats, batches of 65,536" + batches;
  const std::string floats = "single floats, batches of 65,536" + batches;
  const std::string map = "; baseline: the same by loops over a std::unordered_map in one process";
  const std::string alone = "through a shard alone on one thread, ";
  const std::string tcp = "SGD, 1 worker, 1 shard, TCP loopback" + map;
  const std::string shared = "SGD, 1 worker, 1 shard, shared memory" + map;
  return {
      {"rows.shard.sgd", "M rows/s", rows + alone + "SGD" + map, Judge::kValueAtLeast, 25,
       ShardRows<16, false>::Prepare},
      {"rows.shard.adagrad", "M rows/s", rows + alone + "Adagrad" + map, Judge::kValueAtLeast, 20,
       ShardRows<16, true>::Prepare},
      {"floats.shard.sgd", "M keys/s", floats + alone + "SGD" + map, Judge::kNothing, 0,
       ShardRows<1, false>::Prepare},
      {"rows.tcp", "M rows/s", rows + tcp, Judge::kNothing, 0, SessionRows<16, false>::Prepare},
      {"floats.tcp", "M keys/s", floats + tcp, Judge::kNothing, 0, SessionRows<1, false>::Prepare},
      {"rows.shared", "M rows/s", rows + shared, Judge::kValueAtLeast, 15,
       SessionRows<16, true>::Prepare},
      {"floats.shared", "M keys/s", floats + shared, Judge::kValueAtLeast, 25,
       SessionRows<1, true>::Prepare}};
}

}  // namespace shardmill::bench
