#pragma once

#include "nn/tensor.h"

namespace shardmill::nn {

// A factor of a product. A value that borrows, as a matrix does.
struct Factor {
  ConstMatrix matrix;
  bool transposed = false;

  uint64_t rows() const { return transposed ? matrix.columns() : matrix.rows(); }
  uint64_t columns() const { return transposed ? matrix.rows() : matrix.columns(); }
};

}  // namespace shardmill::nn
