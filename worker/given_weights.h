#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "client/model.h"
#include "common/job/job.h"
#include "common/result.h"
#include "worker/data/row.h"
#include "worker/local_snapshot.h"
#include "worker/model_file.h"

namespace shardmill {

// The weights of another training that one begins with: of all its parameters, or of those of some
// layers. A value of whoever begins the training.
struct GivenWeights {
  std::unique_ptr<ModelFile> file;  // Has those that are given.
  std::vector<bool> given;          // Of each parameter.
  std::string words;                // For people: what was taken, and what was not.
};

// As the tables of a snapshot of step 0, whose optimizers have gathered nothing.
class GivenImages final : public LocalImages {
 public:
  explicit GivenImages(GivenWeights& weights) : weights_(weights) {}

  bool Has(size_t parameter) const override { return weights_.given[parameter]; }
  Result<DenseImage> Image(size_t parameter) override;
  std::vector<uint64_t> Keys(size_t parameter) const override;
  Result<RowBatch> RowImages(size_t parameter, std::span<const uint64_t> keys,
                             uint64_t state) override;

 private:
  GivenWeights& weights_;
};

// Reads what the job names in train.weights, which lies in `file`. `columns`: of the data that it
// trains with. What the file lacks, what has another shape there, and rows of ids or weights of
// columns that meant something else there are refused, with what to do.
Result<GivenWeights> OpenWeights(const JobOptions& job, const std::string& file,
                                 std::span<const ParameterSpec> parameters, const Columns& columns);

}  // namespace shardmill
