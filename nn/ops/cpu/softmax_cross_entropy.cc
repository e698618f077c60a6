#include "nn/ops/cpu/softmax_cross_entropy.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "common/assert.h"

namespace shardmill::nn::cpu {
namespace {

constexpr uint64_t kBlock = 16;
using Block = Eigen::Array<float, kBlock, 1>;

// out = exp(in - shift). By whole blocks of its own, so that each number takes the same way and has
// the same bits wherever the row lies in memory.
void ExpShifted(std::span<const float> in, float shift, std::span<float> out) {
  Block block = Block::Zero();
  for (uint64_t begin = 0; begin < in.size(); begin += kBlock) {
    const uint64_t count = std::min(kBlock, in.size() - begin);
    std::copy_n(in.data() + begin, count, block.data());
    block = (block - shift).exp();
    std::copy_n(block.data(), count, out.data() + begin);
  }
}

}  // namespace

LossSums SoftmaxCrossEntropyForward(ConstTensor logits, std::span<const uint32_t> labels,
                                    Tensor probabilities) {
  SM_ASSERT(logits.shape() == probabilities.shape());
  SM_ASSERT(logits.rows() == labels.size());
  LossSums sums;
  for (uint64_t row = 0; row < logits.rows(); ++row) {
    const std::span<const float> in = logits.row(row);
    const std::span<float> out = probabilities.row(row);
    const uint32_t label = labels[row];
    SM_ASSERT(label < in.size());
    // Shifted by the greatest, no exponential overflows, and one of them is 1.
    const auto greatest = std::max_element(in.begin(), in.end());
    ExpShifted(in, *greatest, out);
    double sum = 0;
    for (const float value : out) sum += static_cast<double>(value);
    const float inverse = static_cast<float>(1.0 / sum);
    for (float& value : out) value *= inverse;
    sums.loss += std::log(sum) + static_cast<double>(*greatest) - static_cast<double>(in[label]);
    if (greatest - in.begin() == label) ++sums.correct;
  }
  return sums;
}

void SoftmaxCrossEntropyBackward(std::span<const uint32_t> labels, float scale,
                                 Tensor probabilities) {
  SM_ASSERT(probabilities.rows() == labels.size());
  for (uint64_t row = 0; row < probabilities.rows(); ++row) {
    const std::span<float> values = probabilities.row(row);
    SM_ASSERT(labels[row] < values.size());
    values[labels[row]] -= 1.0F;
    for (float& value : values) value *= scale;
  }
}

}  // namespace shardmill::nn::cpu
