#pragma once

#include <cstdint>
#include <span>

#include "nn/loss.h"
#include "nn/tensor.h"

// Softmax and cross entropy in one, since their gradient together is a subtraction. Labels must be
// below the number of classes. A row that holds a NaN or an infinity above gives a loss and
// gradients that are not finite, never a number that looks right.
namespace shardmill::nn::cpu {

// Both tensors [rows, classes]. A row is correct where its label's logit is the first greatest.
LossSums SoftmaxCrossEntropyForward(ConstTensor logits, std::span<const uint32_t> labels,
                                    Tensor probabilities);

// Turns probabilities into the gradient, by the logits, of `scale` times the sum of the losses.
void SoftmaxCrossEntropyBackward(std::span<const uint32_t> labels, float scale,
                                 Tensor probabilities);

}  // namespace shardmill::nn::cpu
