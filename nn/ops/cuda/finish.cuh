#pragma once

#include "common/assert.h"
#include "nn/ops/cuda/elementwise.cuh"
#include "nn/ops/cuda/kernels.cuh"

namespace shardmill::nn {

// What comes behind a product, in place: output = f(output + bias). Bias [columns] or none.
inline void AddBiasAndApply(Card& card, ConstTensor bias, const Elementwise& after, Matrix output) {
  if (bias.empty() && after.activation == Activation::kNone) return;
  SM_ASSERT(bias.empty() || bias.size() == output.columns());
  const Elementwise f = after;
  const float* const shift = bias.empty() ? nullptr : bias.data();
  const Cells<float> out = CellsOf(output);
  ForEachCell(card, output.rows(), output.columns(), [=] __device__(uint64_t row, uint64_t column) {
    float& cell = out(row, column);
    cell = Value(f, shift == nullptr ? cell : cell + shift[column]);
  });
}

}  // namespace shardmill::nn
