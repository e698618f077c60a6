#pragma once

#include "nn/tensor.h"

// The matrix products of an affine layer. Each runs on the calling thread alone, whatever the
// machine has: sums split over threads would give other bits on another number of cores.
namespace shardmill::nn::cpu {

// output = input weight + bias. input [rows, in], weight [in, out], bias [out], output [rows, out].
void AffineForward(ConstTensor input, ConstTensor weight, ConstTensor bias, Tensor output);

// weight_gradient [in, out] = inputT output_gradient; bias_gradient [out] = its column sums.
void AffineBackwardParameters(ConstTensor input, ConstTensor output_gradient,
                              Tensor weight_gradient, Tensor bias_gradient);

// input_gradient [rows, in] = output_gradient weightT.
void AffineBackwardInput(ConstTensor output_gradient, ConstTensor weight, Tensor input_gradient);

}  // namespace shardmill::nn::cpu
