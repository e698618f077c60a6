#pragma once

#include <vector>

#include "bench/benchmark.h"

namespace shardmill::bench {

// Dense tables between one worker and one shard, as real processes.
std::vector<Benchmark> DenseBenchmarks();
// Rows of sparse tables, through a shard alone and between processes.
std::vector<Benchmark> RowBenchmarks();
// The update rules over ten million floats.
std::vector<Benchmark> OptimizerBenchmarks();
// A model of ResNet-50's size between two workers, against all-reduce.
std::vector<Benchmark> ReduceBenchmarks();
// The longest pause while a sparse table grows.
std::vector<Benchmark> GrowthBenchmarks();
// Networks, by one worker alone and by two together.
std::vector<Benchmark> NetworkBenchmarks();
// What replicas and logs cost.
std::vector<Benchmark> CopyBenchmarks();
// What a worker notices of snapshots.
std::vector<Benchmark> SnapshotBenchmarks();

// All of these, in the order of the report.
std::vector<Benchmark> AllBenchmarks();

}  // namespace shardmill::bench
