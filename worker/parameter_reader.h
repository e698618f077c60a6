#pragma once

#include <span>

#include "client/model.h"
#include "common/result.h"

namespace shardmill {

// Lends a model's parameters to who measures it or predicts with it, wherever they lie. Used on its
// owner's thread.
class ParameterReader {
 public:
  virtual ~ParameterReader() = default;

  // One span a parameter, as Model wants them for the batch; until the next call.
  virtual Result<std::span<const std::span<const float>>> For(const Batch& batch) = 0;
  // All of a dense parameter.
  virtual Result<std::span<const float>> Dense(size_t parameter) = 0;
  // The rows of these keys of a sparse parameter, each once, in their order; until the
  // next call.
  virtual Result<std::span<const float>> Rows(size_t parameter, std::span<const uint64_t> keys) = 0;
};

}  // namespace shardmill
