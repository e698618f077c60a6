#include "bench/benchmarks.h"

#include <iterator>

namespace shardmill::bench {

std::vector<Benchmark> AllBenchmarks() {
  std::vector<Benchmark> all;
  for (std::vector<Benchmark> (*part)() :
       {DenseBenchmarks, RowBenchmarks, OptimizerBenchmarks, ReduceBenchmarks, GrowthBenchmarks,
        SnapshotBenchmarks, CopyBenchmarks, NetworkBenchmarks}) {
    std::vector<Benchmark> some = part();
    std::ranges::move(some, std::back_inserter(all));
  }
  return all;
}

}  // namespace shardmill::bench
