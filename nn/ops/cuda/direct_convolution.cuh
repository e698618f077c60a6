#pragma once

#include "nn/ops/cuda/card.cuh"

// Convolutions straight from their definition, for what cuDNN does not do: one thread for each
// number that is made, or one team where it is a sum over all pictures.
namespace shardmill::nn {

void ConvolveDirectly(Card& card, const Convolution& how, ConstTensor input, ConstTensor weight,
                      Tensor output);
void FindInputGradient(Card& card, const Convolution& how, ConstTensor output_gradient,
                       ConstTensor weight, Tensor input_gradient);
void FindWeightGradient(Card& card, const Convolution& how, ConstTensor input,
                        ConstTensor output_gradient, Tensor weight_gradient);

}  // namespace shardmill::nn
