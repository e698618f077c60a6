#pragma once

#include "nn/ops/cuda/card.cuh"
#include "nn/ops/factor.h"

namespace shardmill::nn {

// out = left right + keep * out.
void Product(Card& card, const Factor& left, const Factor& right, float keep, Matrix out);

// The sums of the columns of all rows.
void SumColumns(Card& card, ConstMatrix matrix, Tensor sums);

}  // namespace shardmill::nn
