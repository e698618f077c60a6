#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/view.h"

namespace shardmill::sim {

// The tables of a history, in the order in which they are made and pushed to.
enum class ProbeTable : uint8_t { kProbe, kCounts, kWeights, kRows, kBounds, kMarks };
inline constexpr size_t kProbeTables = 6;

// What simulated workers train, so that promises become arithmetic. All of it is a function of the
// history's seed, the rank, the step and what was read: a step that is made again by another
// process is the same step. A value; any thread.
//
//  - "probe", dense, added to: every shard has a line of numbers n[w], and a step of w adds one to
//    n[w] on each shard that it touches;
//  - "counts", rows of one float, added to: a step of w adds two to the row 1000 + w, by naming it
//    twice, and one to the row 7, which all share;
//  - "weights", dense, and "rows", rows of two floats: under an optimizer or as averages, by
//    gradients that are made of what was read;
//  - "bounds", dense and pushed in ranges, and "marks", rows of one float: assigned, or the least
//  or
//    the greatest of what was pushed.
//
// A step touches all shards, or only some of them, or none: to the others it pushes nothing. Where
// the policy says what becomes of a gradient that is no number, some steps have one; of some of
// those only a shard can know.
class ProbeModel final {
 public:
  // Floats of a dense table, all on one shard.
  struct Range {
    uint32_t shard = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  // `leased`: what a step weighs is not the model's to say, but how much data its worker took for
  // it; and there are as many steps as that makes, so plans of `steps` steps come again and again.
  ProbeModel(uint64_t seed, uint32_t workers, uint32_t shards, Step steps, const Policy& policy,
             bool leased = false);

  static constexpr uint64_t kLine = 16;
  // Where n[w] of a shard stands in the probe: each shard has one line of its own.
  static uint64_t ProbeIndex(uint32_t shard, uint32_t worker) { return shard * kLine + worker; }
  static constexpr uint64_t kFloats = 40;  // Of "weights", and of "bounds".
  static constexpr uint32_t kRowFloats = 2;

  uint32_t workers() const { return workers_; }
  uint32_t shards() const { return shards_; }
  Step steps() const { return steps_; }
  bool leased() const { return leased_; }
  const std::vector<TableSpec>& tables() const { return tables_; }
  const TableSpec& Spec(ProbeTable table) const { return tables_[static_cast<size_t>(table)]; }
  // The shard that should have the float, or the row.
  uint32_t OwnerOf(ProbeTable table, uint64_t element) const;

  // What the step weighs; 0: its worker has no batch left, and pushes nothing.
  double Samples(WorkerId rank, Step step) const { return PlanOf(rank, step).samples; }
  bool Touches(WorkerId rank, Step step, uint32_t shard) const {
    return (PlanOf(rank, step).touched >> shard & 1) != 0;
  }
  uint32_t Touched(WorkerId rank, Step step) const { return PlanOf(rank, step).touched; }
  // Its gradient has something in it that is no number, and is to be left out, or not taken at all.
  bool Skipped(WorkerId rank, Step step) const;
  bool Rejected(WorkerId rank, Step step) const;
  // Where the gradient is whole as its worker has it, and is spoilt on its way: a float of
  // "weights".
  std::optional<uint64_t> SpoiltAt(WorkerId rank, Step step) const;
  // Whether it changes anything on the shards that it touches, unless it is discarded.
  bool Contributes(WorkerId rank, Step step) const {
    return Samples(rank, step) > 0 && !Skipped(rank, step) && !Rejected(rank, step);
  }

  // What the step pushes to a dense table.
  std::vector<Range> Ranges(ProbeTable table, WorkerId rank, Step step) const;
  // The floats of all its ranges, or the keys of a sparse table, which may repeat.
  std::vector<uint64_t> Elements(ProbeTable table, WorkerId rank, Step step) const;
  // The values for them; `read`: what was read there, of "weights" and "rows".
  std::vector<float> Values(ProbeTable table, WorkerId rank, Step step,
                            std::span<const float> read = {}) const;

 private:
  struct Plan {
    double samples = 0;
    uint32_t touched = 0;              // A bit for each shard.
    std::optional<ProbeTable> poison;  // Where it has a value that is no number.
    bool spoilt = false;               // It comes to be so on its way.
  };

  uint64_t Chance(uint64_t salt, WorkerId rank, Step step) const;
  const Plan& PlanOf(WorkerId rank, Step step) const;
  Plan MakePlan(WorkerId rank, Step step) const;
  std::optional<ProbeTable> PoisonOf(WorkerId rank, Step step) const;
  uint64_t CutOf(uint64_t pieces, uint32_t shard) const;
  float PoisonValue(ProbeTable table, WorkerId rank, Step step) const;

  uint64_t seed_;
  uint32_t workers_;
  uint32_t shards_;
  Step steps_;
  OnNonfinite nonfinite_;
  bool leased_;
  std::vector<TableSpec> tables_;
  std::vector<Plan> plans_;  // By rank, then step.
};

}  // namespace shardmill::sim
