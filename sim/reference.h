#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "optim/optimizer.h"
#include "server/shard.h"
#include "sim/probe_model.h"

namespace shardmill::sim {

// The same training in one process: rounds one after the other, all ranks' gradients joined, one
// optimizer step a round, no shards and no messages. Under a synchronous policy the cluster must
// come to these very bits. Used once; one thread.
class Reference final {
 public:
  Reference(const ProbeModel& model, const Policy& policy);

  void Train(Step steps);

  // Words where a shard has something else.
  std::string Differs(const View& view, const std::vector<std::unique_ptr<Shard>>& shards) const;

 private:
  struct Row {
    std::vector<float> values;
    std::vector<float> state;
    uint64_t count = 0;
  };
  struct Table {
    TableSpec spec;
    std::unique_ptr<Optimizer> optimizer;
  };

  Row& RowOf(uint64_t key);
  void Round(Step step);
  std::vector<float> WeightsOfRound(Step step) const;

  const ProbeModel& model_;
  Policy policy_;
  Table weights_;
  Table rows_;
  Row all_;  // The weights, as one row.
  std::map<uint64_t, Row> by_key_;
};

}  // namespace shardmill::sim
