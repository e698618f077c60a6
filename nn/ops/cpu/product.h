#pragma once

#include "nn/ops/factor.h"
#include "nn/tensor.h"

namespace shardmill::nn {

// out = left right + keep * out.
void Product(const Factor& left, const Factor& right, float keep, Matrix out);

// The sums of the columns of all rows, as they are or added to what is there.
void SumColumns(ConstMatrix matrix, bool add, Tensor sums);

}  // namespace shardmill::nn
