// Pushes and pulls of dense tables, summed on the shard.
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/benchmarks.h"
#include "bench/cluster.h"
#include "bench/dense_runner.h"
#include "bench/stopwatch.h"
#include "bench/zmq_echo.h"

namespace shardmill::bench {
namespace {

constexpr int kTables = kLargeStep.tables;
constexpr uint64_t kTableFloats = kLargeStep.floats;

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
    sides->product_ = SM_TRY(DenseRunner::Start(programs, {.keys = kKeys}, kLargeStep, kInPlace));
    sides->baseline_ = SM_TRY(EchoRunner::Start(programs));
    return Prepared{std::move(sides), ""};
  }
  Result<double> Product() override { return product_->GigabytesPerSecond(); }
  Result<double> Baseline() override {
    const Stopwatch watch;
    SM_TRY(baseline_->Run(payload_, kTables));
    return kLargeStep.GigabytesBothWays() / watch.Seconds();
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
        programs, {.shared_memory = kShared, .keys = kKeys, .spins = kShared}, kSmallStep));
    sides->baseline_ = SM_TRY(EchoRunner::Start(programs));
    return Prepared{std::move(sides), ""};
  }
  Result<double> Product() override { return product_->MedianMicroseconds(); }
  Result<double> Baseline() override {
    return MedianMicrosecondsOf([this] { return baseline_->Run(payload_, 1); });
  }

 private:
  std::unique_ptr<DenseRunner> product_;
  std::unique_ptr<EchoRunner> baseline_;
  std::vector<float> payload_ = std::vector<float>(kSmallStep.floats, 1.0F);
};

// The same over shared memory, held against what is given as a baseline.
class SharedDense : public Sides {
 public:
  Result<double> Product() override { return product_->GigabytesPerSecond(); }

 protected:
  Result<> StartProduct(const Programs& programs) {
    product_ = SM_TRY(DenseRunner::Start(programs, {.shared_memory = true}, kLargeStep));
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
    sides->baseline_ = SM_TRY(DenseRunner::Start(programs, {}, kLargeStep));
    return Prepared{std::move(sides), ""};
  }
  Result<double> Baseline() override { return baseline_->GigabytesPerSecond(); }

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
    return kLargeStep.GigabytesBothWays() / watch.Seconds();
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
