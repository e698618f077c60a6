#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/model.h"
#include "common/result.h"
#include "nn/metrics.h"
#include "worker/parameter_reader.h"
#include "worker/row_passes.h"

namespace shardmill {

using Figures = std::vector<std::pair<std::string, double>>;

// How well a model does on the rows of a part of the data: the figures that a job wants, from the
// outputs of all of them. Owned by whoever measures, on its thread; the rows and the model must
// outlive it. Fails as the model and the reader do.
class Measurer final {
 public:
  // Fails on a metric that does not fit what is learnt. `outputs`: of the model, a row. `target`:
  // the input that they are compared with; none: the batches' labels or values.
  static Result<std::unique_ptr<Measurer>> Make(const std::vector<std::string>& metrics,
                                                const SampleStore& rows, Model& model,
                                                uint64_t outputs,
                                                std::optional<size_t> target = {});

  Result<Figures> Measure(ParameterReader& parameters);

 private:
  // "accuracy" and "loss" come of the model's own sums.
  struct Figure {
    std::string name;
    std::unique_ptr<nn::Metric> metric;
  };

  Measurer(const SampleStore& rows, Model& model, std::optional<size_t> target)
      : rows_(rows), model_(model), target_(target), passes_(rows, model) {}

  Result<> Add(const Batch& batch, const Evaluation& found);

  const SampleStore& rows_;
  Model& model_;
  const std::optional<size_t> target_;
  std::vector<Figure> figures_;
  RowPasses passes_;
  std::vector<float> label_values_;  // For metrics that read numbers.
};

}  // namespace shardmill
