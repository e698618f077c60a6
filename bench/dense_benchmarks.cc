// Pushes and pulls of dense tables, summed on the shard.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/benchmarks.h"
#include "bench/cluster.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "bench/zmq_echo.h"
#include "client/session.h"

namespace shardmill::bench {
namespace {

constexpr std::chrono::minutes kPatience{5};
constexpr int kTables = 40;
constexpr uint64_t kTableFloats = uint64_t{1} << 20;
constexpr uint64_t kBothWays = 2 * kTables * kTableFloats * sizeof(float);
constexpr uint64_t kSmallFloats = 16;
constexpr int kRoundTrips = 300;  // Of which a run gives the median.

double GigabytesPerSecond(double seconds) { return kBothWays / seconds / 1e9; }

struct DenseOptions {
  int tables = kTables;
  uint64_t floats = kTableFloats;
  bool shared = false;
  bool spins = false;
  bool keys = false;
  bool in_place = false;  // What is read is used where it came in.
};

// Tables that sum what is pushed, one worker, one shard.
class DenseRunner final {
 public:
  static Result<std::unique_ptr<DenseRunner>> Start(const Programs& programs,
                                                    const DenseOptions& dense) {
    auto runner = std::make_unique<DenseRunner>();
    runner->in_place_ = dense.in_place;
    const uint64_t floats = dense.floats;
    runner->cluster_ = SM_TRY(Cluster::Start(
        programs, {.shared_memory = dense.shared, .keys = dense.keys, .spins = dense.spins}));
    const SessionOptions options = SM_TRY(runner->cluster_->WorkerOptions(0));
    runner->session_ = SM_TRY(Session::Open(options));
    TableOptions sums;
    sums.update.emplace().rule = UpdateRule::kAdd;
    for (int i = 0; i < dense.tables; ++i) {
      runner->tables_.push_back(
          SM_TRY(runner->session_->Dense("t" + std::to_string(i), floats, sums)));
      runner->into_.emplace_back(dense.in_place ? 0 : floats);
    }
    runner->gradient_.emplace(SM_TRY(runner->session_->Allocate(floats)));
    std::ranges::fill(runner->gradient_->floats(), 1.0F);
    return runner;
  }

  // One step: all tables are read into the caller's memory and pushed to, and it is acknowledged.
  // What was read was asked for with the end of the step before: it holds all that was pushed.
  Result<> Step() {
    TrainingStep step = SM_TRY(session_->Begin(kPatience));
    if (tickets_.empty()) SM_TRY(AskForAll(step, {}));
    for (const Ticket ticket : tickets_) SM_TRY(step.Wait(ticket));
    const auto summed = static_cast<float>(step.number() - 1);
    for (size_t i = 0; i < tables_.size(); ++i) {
      const std::span<const ReadPiece> pieces = step.Pieces(tickets_[i]);
      const float first = in_place_ ? pieces.front().values.front() : into_[i].front();
      const float last = in_place_ ? pieces.back().values.back() : into_[i].back();
      if (first == summed && last == summed) continue;
      return Error{ErrorCode::kFailed, "a table does not hold the sum of what was pushed"};
    }
    for (const DenseTable table : tables_) SM_TRY(step.Push(table, 0, gradient_->floats()));
    SM_TRY(AskForAll(step, {.next_step = true}));
    SM_TRY(step.Finish(1));
    return {};
  }

 private:
  Result<> AskForAll(TrainingStep& step, const PullOptions& options) {
    tickets_.clear();
    for (size_t i = 0; i < tables_.size(); ++i) {
      tickets_.push_back(in_place_ ? SM_TRY(step.Read(tables_[i], 0, tables_[i].size, options))
                                   : SM_TRY(step.Pull(tables_[i], 0, into_[i], options)));
    }
    return {};
  }

  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Session> session_;
  std::vector<DenseTable> tables_;
  std::vector<std::vector<float>> into_;
  bool in_place_ = false;
  std::optional<Memory> gradient_;  // Goes to the shard without a copy.
  std::vector<Ticket> tickets_;
};

// Bare ZeroMQ between two processes.
class EchoRunner final {
 public:
  static Result<std::unique_ptr<EchoRunner>> Start(const Programs& programs) {
    auto runner = std::make_unique<EchoRunner>();
    const std::string endpoint =
        SM_TRY(SpawnAnnounced(programs.scratch, "echo", {programs.peer, "echo"}, &runner->child_));
    runner->echo_ = std::make_unique<ZmqEcho>(SM_TRY(ZmqEcho::Connect(endpoint)));
    return runner;
  }
  Result<> Run(std::span<const float> floats, int count) {
    return echo_->Run(std::as_bytes(floats), count);
  }

 private:
  std::unique_ptr<Child> child_;
  std::unique_ptr<ZmqEcho> echo_;
};

template <bool kInPlace, bool kKeys = false>
class DenseAgainstEcho final : public Sides {
 public:
  static Result<Prepared> Prepare(const Programs& programs) {
    auto sides = std::make_unique<DenseAgainstEcho>();
    sides->product_ = SM_TRY(DenseRunner::Start(programs, {.keys = kKeys, .in_place = kInPlace}));
    sides->baseline_ = SM_TRY(EchoRunner::Start(programs));
    return Prepared{std::move(sides), ""};
  }
  Result<double> Product() override {
    const Stopwatch watch;
    SM_TRY(product_->Step());
    return GigabytesPerSecond(watch.Seconds());
  }
  Result<double> Baseline() override {
    const Stopwatch watch;
    SM_TRY(baseline_->Run(payload_, kTables));
    return GigabytesPerSecond(watch.Seconds());
  }

 private:
  std::unique_ptr<DenseRunner> product_;
  std::unique_ptr<EchoRunner> baseline_;
  std::vector<float> payload_ = std::vector<float>(kTableFloats, 1.0F);
};

template <bool kShared, bool kKeys = false>
class SmallAgainstEcho final : public Sides {
 public:
  static Result<Prepared> Prepare(const Programs& programs) {
    auto sides = std::make_unique<SmallAgainstEcho>();
    sides->product_ = SM_TRY(DenseRunner::Start(
        programs,
        {.tables = 1, .floats = kSmallFloats, .shared = kShared, .spins = kShared, .keys = kKeys}));
    sides->baseline_ = SM_TRY(EchoRunner::Start(programs));
    return Prepared{std::move(sides), ""};
  }
  Result<double> Product() override {
    return MedianMicroseconds([this] { return product_->Step(); });
  }
  Result<double> Baseline() override {
    return MedianMicroseconds([this] { return baseline_->Run(payload_, 1); });
  }

 private:
  template <class Run>
  Result<double> MedianMicroseconds(Run run) {
    std::vector<double> times;
    for (int i = 0; i < kRoundTrips; ++i) {
      const Stopwatch watch;
      SM_TRY(run());
      times.push_back(watch.Seconds() * 1e6);
    }
    return Median(times);
  }

  std::unique_ptr<DenseRunner> product_;
  std::unique_ptr<EchoRunner> baseline_;
  std::vector<float> payload_ = std::vector<float>(kSmallFloats, 1.0F);
};

// The same over shared memory, held against what is given as a baseline.
class SharedDense : public Sides {
 public:
  Result<double> Product() override {
    const Stopwatch watch;
    SM_TRY(product_->Step());
    return GigabytesPerSecond(watch.Seconds());
  }

 protected:
  Result<> StartProduct(const Programs& programs) {
    product_ = SM_TRY(DenseRunner::Start(programs, {.shared = true}));
    return {};
  }

 private:
  std::unique_ptr<DenseRunner> product_;
};

class SharedAgainstTcp final : public SharedDense {
 public:
  static Result<Prepared> Prepare(const Programs& programs) {
    auto sides = std::make_unique<SharedAgainstTcp>();
    SM_TRY(sides->StartProduct(programs));
    sides->baseline_ = SM_TRY(DenseRunner::Start(programs, {}));
    return Prepared{std::move(sides), ""};
  }
  Result<double> Baseline() override {
    const Stopwatch watch;
    SM_TRY(baseline_->Step());
    return GigabytesPerSecond(watch.Seconds());
  }

 private:
  std::unique_ptr<DenseRunner> baseline_;
};

class SharedAgainstLoops final : public SharedDense {
 public:
  static Result<Prepared> Prepare(const Programs& programs) {
    auto sides = std::make_unique<SharedAgainstLoops>();
    SM_TRY(sides->StartProduct(programs));
    return Prepared{std::move(sides), ""};
  }
  // Each table is summed up and then copied out.
  Result<double> Baseline() override {
    const Stopwatch watch;
    for (int i = 0; i < kTables; ++i) {
      float* to = tables_[static_cast<size_t>(i)].data();
      for (size_t at = 0; at < kTableFloats; ++at) to[at] += gradient_[at];
      std::memcpy(into_[static_cast<size_t>(i)].data(), to, kTableFloats * sizeof(float));
    }
    return GigabytesPerSecond(watch.Seconds());
  }

 private:
  using Tables = std::vector<std::vector<float>>;
  std::vector<float> gradient_ = std::vector<float>(kTableFloats, 1.0F);
  Tables tables_ = Tables(kTables, std::vector<float>(kTableFloats));
  Tables into_ = Tables(kTables, std::vector<float>(kTableFloats));
};

}  // namespace

std::vector<Benchmark> DenseBenchmarks() {
  const std::string dense = "push and pull of 40 x 4 MiB, summed, 1 worker, 1 shard, ";
  const std::string shared = dense + "shared memory, into the user's memory; both ways; baseline: ";
  const std::string small = "a step that pushes and pulls 64 bytes, acknowledged, p50, ";
  const std::string trip = "; baseline: a round trip of 64 bytes over bare ZeroMQ, p50";
  return {
      {"dense.tcp", "GB/s",
       dense + "TCP loopback, into the user's memory; both ways; baseline: a bare ZeroMQ "
               "DEALER/ROUTER echo of the same bytes, under the system's congestion control",
       Judge::kRatioAtLeast, 0.75, DenseAgainstEcho<false>::Prepare},
      {"dense.tcp.place", "GB/s",
       dense + "TCP loopback, used where it came in; both ways; baseline: the same echo",
       Judge::kRatioAtLeast, 0.9, DenseAgainstEcho<true>::Prepare},
      {"latency.tcp", "us", small + "TCP loopback" + trip, Judge::kRatioAtMost, 1.2,
       SmallAgainstEcho<false>::Prepare},
      {"dense.tcp.curve", "GB/s",
       dense + "TCP loopback, every frame encrypted, into the user's memory; both ways; baseline: "
               "the same echo, which is not",
       Judge::kNothing, 0, DenseAgainstEcho<false, true>::Prepare},
      {"latency.tcp.curve", "us", small + "TCP loopback, encrypted" + trip, Judge::kNothing, 0,
       SmallAgainstEcho<false, true>::Prepare},
      {"dense.shared", "GB/s", shared + "the same over TCP", Judge::kRatioAtLeast, 3,
       SharedAgainstTcp::Prepare},
      {"dense.shared.loops", "GB/s", shared + "the same sum and copy by plain loops in one process",
       Judge::kRatioAtLeast, 0.9, SharedAgainstLoops::Prepare},
      {"latency.shared", "us", small + "shared memory, both ends spinning" + trip,
       Judge::kValueAtMost, 5, SmallAgainstEcho<true>::Prepare}};
}

}  // namespace shardmill::bench
