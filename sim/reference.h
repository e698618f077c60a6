#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "optim/optimizer.h"
#include "server/shard.h"
#include "sim/ledger.h"
#include "sim/probe_model.h"

namespace shardmill::sim {

// The same training in one process: rounds one after the other, the gradients of all that count
// joined, one optimizer step a round, and no messages. Under a synchronous policy the cluster must
// come to these very bits. Who counts is the ledger's to say, where rounds are closed without some.
// Of shards it knows only that each counts the steps of its own dense range. Used once; one thread.
class Reference final {
 public:
  Reference(const ProbeModel& model, const Policy& policy, const Ledger& ledger);

  void Train();

  // Words where a shard has something else.
  std::string Differs(const View& view, const std::vector<const Shard*>& shards) const;

 private:
  struct Row {
    std::vector<float> values;
    std::vector<float> state;
    uint64_t count = 0;
  };
  // What pushes come to, and what they weigh together.
  struct Change {
    uint64_t begin = 0;
    float weight = 0;
    std::vector<float> values;
  };
  struct Table {
    TableSpec spec;
    std::unique_ptr<Optimizer> optimizer;
  };

  Row& RowOf(uint64_t key);
  void Round(Step step);
  std::vector<float> WeightsOfRound(Step step) const;
  void AddWeights(WorkerId rank, Step step, float weight);
  void AddRows(WorkerId rank, Step step, float weight);

  const ProbeModel& model_;
  Policy policy_;
  const Ledger& ledger_;
  Table weights_;
  Table rows_;
  Row all_;                        // The weights, as one row.
  std::vector<uint64_t> updates_;  // Of the weights, by shard.
  std::map<uint64_t, Row> by_key_;
  // What the round comes to: ranges of the weights by shard, and rows.
  std::map<uint32_t, Change> changes_;
  std::map<uint64_t, Change> row_changes_;
};

}  // namespace shardmill::sim
