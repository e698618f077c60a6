#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/view.h"
#include "server/log_entry.h"
#include "server/shard.h"
#include "sim/probe_model.h"

namespace shardmill::sim {

// What one shard must hold, by the steps that it says it has applied and by what the probe model
// has them push: each float and each row that an entry must change, the values of the tables that
// are merged, and the rows of all. Owned by a Ledger; one thread.
class Shadow final {
 public:
  Shadow(const ProbeModel& model, const Policy& policy, uint32_t shard);

  void TookView(const View& view);

  // An entry was applied. Words where it does not change what its steps push to this shard.
  std::string Take(const LogEntry& entry);
  // Entries of these steps, which were looked at before, are applied once more.
  void TakeAgain(std::span<const Contribution> made);
  // A new process has the shard: what it has counted begins anew.
  void ForgetCounts() { nonfinite_ = 0; }
  // Words where the shard holds something else.
  std::string Differs(const Shard& state) const;

 private:
  struct Table {
    TableId id;
    std::vector<float> floats;       // Of a dense table that is merged.
    std::map<uint64_t, float> rows;  // Of a sparse one; the values are right where it is merged.
  };

  bool Merged(ProbeTable table) const;
  bool Pushes(const Contribution& made) const;
  std::string CheckTable(ProbeTable table, const LogEntry& entry, const TableChange* change);
  void Merge(ProbeTable table, WorkerId rank, Step step);

  const ProbeModel* model_;
  Policy policy_;
  uint32_t shard_;
  std::array<Table, kProbeTables> tables_;
  uint64_t nonfinite_ = 0;  // Parts applied with a value that is no number.
};

}  // namespace shardmill::sim
