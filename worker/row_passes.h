#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "client/model.h"
#include "common/result.h"
#include "worker/data/batches.h"
#include "worker/parameter_reader.h"

namespace shardmill {

// Takes all rows of a part of the data through a model, in their order and as many at once as there
// is room for, whatever the batches of training are. Owned by whoever measures or predicts, on its
// thread; the rows must outlive it.
class RowPasses final {
 public:
  RowPasses(const SampleStore& rows, const Model& model)
      : rows_(rows), maker_(rows, KeyedInputs(model.Parameters())) {}

  using Pass = std::function<Result<>(uint64_t first, const Batch& batch,
                                      std::span<const std::span<const float>> parameters)>;
  // `pass` gets some rows, the first of them that number. Where they are too many for the
  // memory that there is (kFailed), it gets half as many, down to one.
  Result<> Run(ParameterReader& parameters, const Pass& pass);

 private:
  const SampleStore& rows_;
  BatchMaker maker_;
  BatchPart part_;
  GatheredRows gathered_;
  std::vector<uint32_t> numbers_;
};

}  // namespace shardmill
