// What it costs that a step is in replicas, or in logs, before it is acknowledged.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/benchmarks.h"
#include "bench/dense_runner.h"

namespace shardmill::bench {
namespace {

// A cluster with copies of its shards, and one that is the same without.
class CopySides final : public Sides {
 public:
  static Result<Prepared> Prepare(const Programs& programs, const ClusterOptions& options,
                                  const StepSize& size) {
    ClusterOptions plain = options;
    plain.replicas = 0;
    plain.logs = false;
    auto sides = std::make_unique<CopySides>();
    sides->small_ = size.tables == kSmallStep.tables;
    sides->copied_ = SM_TRY(DenseRunner::Start(programs, options, size));
    sides->plain_ = SM_TRY(DenseRunner::Start(programs, plain, size));
    return Prepared{std::move(sides), ""};
  }
  Result<double> Product() override { return Run(*copied_); }
  Result<double> Baseline() override { return Run(*plain_); }

 private:
  Result<double> Run(DenseRunner& runner) const {
    return small_ ? runner.MedianMicroseconds() : runner.GigabytesPerSecond();
  }

  bool small_ = false;
  std::unique_ptr<DenseRunner> copied_;
  std::unique_ptr<DenseRunner> plain_;
};

}  // namespace

std::vector<Benchmark> CopyBenchmarks() {
  struct Level {
    std::string name;
    std::string about;
    ClusterOptions options;
  };
  const std::vector<Level> levels{
      {"replicas.1", "in 1 replica, 2 servers", {.servers = 2, .replicas = 1}},
      {"replicas.2", "in 2 replicas, 3 servers", {.servers = 3, .replicas = 2}},
      {"logs", "in its log and synced, 1 server", {.logs = true}}};
  std::vector<Benchmark> all;
  for (const Level& level : levels) {
    const std::string about =
        ", acknowledged when it is " + level.about + ", TCP; baseline: the same without";
    const auto prepare = [options = level.options](const StepSize& size) {
      return [options, size](const Programs& programs) {
        return CopySides::Prepare(programs, options, size);
      };
    };
    all.push_back({level.name + ".dense", "GB/s",
                   "push and pull of 40 x 4 MiB, summed" + about + ", both ways", Judge::kNothing,
                   0, prepare(kLargeStep)});
    all.push_back({level.name + ".latency", "us",
                   "a step that pushes and pulls 64 bytes, p50" + about, Judge::kNothing, 0,
                   prepare(kSmallStep)});
  }
  return all;
}

}  // namespace shardmill::bench
