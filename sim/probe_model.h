#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/view.h"

namespace shardmill::sim {

// What simulated workers train, so that promises become arithmetic. All of it is a function of the
// history's seed, the rank, the step and what was read: a step that is made again by another
// process is the same step. A value; any thread.
//
//  - "probe", dense, added to: every shard has a line of numbers n[w], and a step of w adds one to
//    n[w] on each;
//  - "counts", rows of one float, added to: a step of w adds two to the row 1000 + w, by naming it
//    twice, and one to the row 7, which all share;
//  - "weights", dense, and "rows", rows of two floats: under an optimizer, by gradients that are
//    made of what was read.
class ProbeModel final {
 public:
  ProbeModel(uint64_t seed, uint32_t workers, uint32_t shards, const Policy& policy);

  static constexpr uint64_t kLine = 16;
  // Where n[w] of a shard stands in the probe: each shard has one line of its own.
  static uint64_t ProbeIndex(uint32_t shard, uint32_t worker) { return shard * kLine + worker; }
  static uint64_t CountKey(uint32_t worker) { return 1000 + worker; }
  static constexpr uint64_t kSharedKey = 7;
  static constexpr uint64_t kWeights = 40;
  static constexpr uint32_t kRowFloats = 2;

  uint32_t workers() const { return workers_; }
  uint32_t shards() const { return shards_; }
  // In the order in which they are made.
  const std::vector<TableSpec>& tables() const { return tables_; }
  const TableSpec& weights() const { return tables_[2]; }
  const TableSpec& rows() const { return tables_[3]; }

  // What the step weighs; 0: its worker has no batch left, and pushes nothing.
  double Samples(WorkerId rank, Step step) const;
  // Its gradient has a NaN in it, and is to be left out.
  bool Skipped(WorkerId rank, Step step) const;
  bool Contributes(WorkerId rank, Step step) const {
    return Samples(rank, step) > 0 && !Skipped(rank, step);
  }

  // What the step pushes.
  std::vector<float> Probe(WorkerId rank, Step step) const;
  std::vector<uint64_t> CountKeys(WorkerId rank) const;
  std::vector<float> Counts() const { return {1, 1, 1}; }
  std::vector<uint64_t> RowKeys(WorkerId rank, Step step) const;
  // The gradient of weights or rows that were read so.
  std::vector<float> Gradient(uint64_t salt, WorkerId rank, Step step,
                              std::span<const float> read) const;
  static constexpr uint64_t kOfWeights = 1;
  static constexpr uint64_t kOfRows = 2;

 private:
  uint64_t Chance(uint64_t salt, WorkerId rank, Step step) const;

  uint64_t seed_;
  uint32_t workers_;
  uint32_t shards_;
  bool skips_;
  std::vector<TableSpec> tables_;
};

}  // namespace shardmill::sim
