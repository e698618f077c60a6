#include <algorithm>
#include <cmath>

#include "common/assert.h"
#include "nn/ops/cpu/backend.h"
#include "nn/ops/cpu/elementwise.h"

namespace shardmill::nn {
namespace {

// The exponentials of a row, shifted by the greatest so that none overflows; returns their sum,
// which is at least 1.
double Exponentials(const float* in, uint64_t count, float greatest, float* out) {
  ExpShifted(in, greatest, count, out);
  double sum = 0;
  for (uint64_t i = 0; i < count; ++i) sum += static_cast<double>(out[i]);
  return sum;
}

// The same sum where nobody wants the exponentials, by the same path: bits are equal.
double SumOfExponentials(const float* in, uint64_t count, float greatest) {
  constexpr uint64_t kBlock = 64;
  float block[kBlock];
  double sum = 0;
  for (uint64_t begin = 0; begin < count; begin += kBlock) {
    const uint64_t size = std::min(kBlock, count - begin);
    ExpShifted(in + begin, greatest, size, block);
    for (uint64_t i = 0; i < size; ++i) sum += static_cast<double>(block[i]);
  }
  return sum;
}

}  // namespace

void CpuBackend::Softmax(ConstMatrix input, Matrix output) {
  SM_ASSERT(input.rows() == output.rows() && input.columns() == output.columns());
  for (uint64_t row = 0; row < input.rows(); ++row) {
    const float* const in = input.row(row);
    float* const out = output.row(row);
    const double sum =
        Exponentials(in, input.columns(), *std::max_element(in, in + input.columns()), out);
    const auto inverse = static_cast<float>(1.0 / sum);
    for (uint64_t i = 0; i < output.columns(); ++i) out[i] *= inverse;
  }
}

void CpuBackend::SoftmaxGradient(ConstMatrix output, ConstMatrix output_gradient,
                                 Matrix input_gradient) {
  for (uint64_t row = 0; row < output.rows(); ++row) {
    const float* const share = output.row(row);
    const float* const back = output_gradient.row(row);
    float* const out = input_gradient.row(row);
    double mean = 0;
    for (uint64_t i = 0; i < output.columns(); ++i) {
      mean += static_cast<double>(share[i]) * static_cast<double>(back[i]);
    }
    const auto shift = static_cast<float>(mean);
    for (uint64_t i = 0; i < output.columns(); ++i) out[i] = share[i] * (back[i] - shift);
  }
}

void CpuBackend::SoftmaxCrossEntropy(ConstMatrix logits, std::span<const uint32_t> labels,
                                     float scale, Tensor row_losses, Tensor gradient) {
  SM_ASSERT(logits.rows() == labels.size() && row_losses.size() == labels.size());
  const uint64_t classes = logits.columns();
  for (uint64_t row = 0; row < logits.rows(); ++row) {
    const float* const in = logits.row(row);
    SM_ASSERT(labels[row] < classes);
    const float greatest = *std::max_element(in, in + classes);
    double sum = 0;
    if (gradient.empty()) {
      sum = SumOfExponentials(in, classes, greatest);
    } else {
      float* const out = gradient.data() + row * classes;
      sum = Exponentials(in, classes, greatest, out);
      const auto inverse = static_cast<float>(1.0 / sum);
      for (uint64_t i = 0; i < classes; ++i) out[i] *= inverse;
      out[labels[row]] -= 1.0F;
      for (uint64_t i = 0; i < classes; ++i) out[i] *= scale;
    }
    row_losses.data()[row] = static_cast<float>(std::log(sum) + static_cast<double>(greatest) -
                                                static_cast<double>(in[labels[row]]));
  }
}

void CpuBackend::LogLoss(ConstMatrix output, std::span<const float> targets, float scale,
                         Tensor row_losses, Tensor gradient) {
  const uint64_t columns = output.columns();
  const float share_of_row = scale / static_cast<float>(columns);
  SM_ASSERT(targets.size() == output.rows() * columns && row_losses.size() == output.rows());
  for (uint64_t row = 0; row < output.rows(); ++row) {
    double loss = 0;
    for (uint64_t i = 0; i < columns; ++i) {
      const auto logit = static_cast<double>(output.row(row)[i]);
      const auto target = static_cast<double>(targets[row * columns + i]);
      // log(1 + exp(x)) - t x, without an exponential that overflows.
      const double small = std::exp(-std::abs(logit));
      loss += std::max(logit, 0.0) - target * logit + std::log1p(small);
      if (gradient.empty()) continue;
      const double share = (logit >= 0 ? 1.0 : small) / (1.0 + small);
      gradient.data()[row * columns + i] = share_of_row * static_cast<float>(share - target);
    }
    row_losses.data()[row] = static_cast<float>(loss / static_cast<double>(columns));
  }
}

void CpuBackend::DistanceLoss(Distance distance, ConstMatrix output, std::span<const float> targets,
                              float scale, Tensor row_losses, Tensor gradient) {
  const uint64_t columns = output.columns();
  const float share_of_row = scale / static_cast<float>(columns);
  SM_ASSERT(targets.size() == output.rows() * columns && row_losses.size() == output.rows());
  for (uint64_t row = 0; row < output.rows(); ++row) {
    double loss = 0;
    for (uint64_t i = 0; i < columns; ++i) {
      const float gap = output.row(row)[i] - targets[row * columns + i];
      const bool squared = distance == Distance::kSquared;
      const double wide = static_cast<double>(gap);
      loss += squared ? wide * wide : std::abs(wide);
      if (gradient.empty()) continue;
      const float sign = gap > 0 ? 1.0F : gap < 0 ? -1.0F : 0.0F;
      gradient.data()[row * columns + i] = share_of_row * (squared ? 2.0F * gap : sign);
    }
    row_losses.data()[row] = static_cast<float>(loss / static_cast<double>(columns));
  }
}

}  // namespace shardmill::nn
