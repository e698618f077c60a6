#include <algorithm>
#include <cmath>

#include "common/assert.h"
#include "nn/ops/cpu/backend.h"

// By column the sums of several rows are kept side by side in blocks, so that a block stays near
// while the rows go by.
namespace shardmill::nn {
namespace {

constexpr uint64_t kBlock = 64;

// Calls `block(first column, how many)` for all columns.
template <class Block>
void ForEachBlock(uint64_t columns, Block block) {
  for (uint64_t first = 0; first < columns; first += kBlock) {
    block(first, std::min(kBlock, columns - first));
  }
}

// out = in * factor + shift by column.
void ScaleColumns(ConstMatrix in, const float* factor, const float* shift, uint64_t first,
                  uint64_t count, Matrix out) {
  for (uint64_t row = 0; row < in.rows(); ++row) {
    const float* const from = in.row(row) + first;
    float* const to = out.row(row) + first;
    for (uint64_t c = 0; c < count; ++c) to[c] = from[c] * factor[c] + shift[c];
  }
}

// The mean of a block of columns, and then their variance about it.
void Moments(ConstMatrix in, uint64_t first, uint64_t count, float* mean, double* variance) {
  double sums[kBlock] = {};
  const auto rows = static_cast<double>(in.rows());
  for (uint64_t row = 0; row < in.rows(); ++row) {
    const float* const from = in.row(row) + first;
    for (uint64_t c = 0; c < count; ++c) sums[c] += static_cast<double>(from[c]);
  }
  double means[kBlock];
  for (uint64_t c = 0; c < count; ++c) {
    means[c] = sums[c] / rows;
    mean[c] = static_cast<float>(means[c]);
    variance[c] = 0;
  }
  for (uint64_t row = 0; row < in.rows(); ++row) {
    const float* const from = in.row(row) + first;
    for (uint64_t c = 0; c < count; ++c) {
      const double gap = static_cast<double>(from[c]) - means[c];
      variance[c] += gap * gap;
    }
  }
  for (uint64_t c = 0; c < count; ++c) variance[c] /= rows;
}

}  // namespace

void CpuBackend::BatchNorm(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                           Matrix output, Tensor mean, Tensor inverse_deviation) {
  ForEachBlock(input.columns(), [&](uint64_t first, uint64_t count) {
    double variance[kBlock];
    Moments(input, first, count, mean.data() + first, variance);
    float factor[kBlock], move[kBlock];
    for (uint64_t c = 0; c < count; ++c) {
      const double inverse = 1.0 / std::sqrt(variance[c] + static_cast<double>(epsilon));
      inverse_deviation.data()[first + c] = static_cast<float>(inverse);
      factor[c] = scale.data()[first + c] * static_cast<float>(inverse);
      move[c] = shift.data()[first + c] - mean.data()[first + c] * factor[c];
    }
    ScaleColumns(input, factor, move, first, count, output);
  });
}

void CpuBackend::BatchNormWith(ConstMatrix input, ConstTensor scale, ConstTensor shift,
                               float epsilon, ConstTensor mean, ConstTensor variance,
                               Matrix output) {
  ForEachBlock(input.columns(), [&](uint64_t first, uint64_t count) {
    float factor[kBlock], move[kBlock];
    for (uint64_t c = 0; c < count; ++c) {
      factor[c] = scale.data()[first + c] / std::sqrt(variance.data()[first + c] + epsilon);
      move[c] = shift.data()[first + c] - mean.data()[first + c] * factor[c];
    }
    ScaleColumns(input, factor, move, first, count, output);
  });
}

void CpuBackend::BatchNormGradient(ConstMatrix input, ConstTensor scale, ConstTensor mean,
                                   ConstTensor inverse_deviation, ConstMatrix output_gradient,
                                   Matrix input_gradient, Tensor scale_gradient,
                                   Tensor shift_gradient) {
  const auto rows = static_cast<float>(input.rows());
  ForEachBlock(input.columns(), [&](uint64_t first, uint64_t count) {
    double sums[kBlock] = {}, products[kBlock] = {};
    float middle[kBlock], inverse[kBlock];
    std::copy_n(mean.data() + first, count, middle);
    std::copy_n(inverse_deviation.data() + first, count, inverse);
    for (uint64_t row = 0; row < input.rows(); ++row) {
      const float* const in = input.row(row) + first;
      const float* const back = output_gradient.row(row) + first;
      for (uint64_t c = 0; c < count; ++c) {
        sums[c] += static_cast<double>(back[c]);
        products[c] += static_cast<double>(back[c] * (in[c] - middle[c]));
      }
    }
    float factor[kBlock], along[kBlock], constant[kBlock];
    for (uint64_t c = 0; c < count; ++c) {
      const auto sum = static_cast<float>(sums[c]);
      const float by_scale = static_cast<float>(products[c]) * inverse[c];
      if (!scale_gradient.empty()) scale_gradient.data()[first + c] = by_scale;
      if (!shift_gradient.empty()) shift_gradient.data()[first + c] = sum;
      factor[c] = scale.data()[first + c] * inverse[c];
      along[c] = factor[c] * inverse[c] * by_scale / rows;
      constant[c] = factor[c] * sum / rows;
    }
    if (input_gradient.empty()) return;
    for (uint64_t row = 0; row < input.rows(); ++row) {
      const float* const in = input.row(row) + first;
      const float* const back = output_gradient.row(row) + first;
      float* const to = input_gradient.row(row) + first;
      for (uint64_t c = 0; c < count; ++c) {
        to[c] = factor[c] * back[c] - along[c] * (in[c] - middle[c]) - constant[c];
      }
    }
  });
}

void CpuBackend::BatchNormStatistics(uint64_t rows, float epsilon, ConstTensor mean,
                                     ConstTensor inverse_deviation, ConstTensor running_mean,
                                     ConstTensor running_variance, Tensor mean_gradient,
                                     Tensor variance_gradient) {
  // What a batch shows of the variance outside it is larger by this.
  const float unbiased = rows > 1 ? static_cast<float>(rows) / static_cast<float>(rows - 1) : 1.0F;
  for (uint64_t c = 0; c < mean.size(); ++c) {
    const float inverse = inverse_deviation.data()[c];
    const float variance = std::max(1.0F / (inverse * inverse) - epsilon, 0.0F) * unbiased;
    mean_gradient.data()[c] = running_mean.data()[c] - mean.data()[c];
    variance_gradient.data()[c] = running_variance.data()[c] - variance;
  }
}

void CpuBackend::LayerNorm(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                           Matrix output, Tensor mean, Tensor inverse_deviation) {
  const auto columns = static_cast<double>(input.columns());
  for (uint64_t row = 0; row < input.rows(); ++row) {
    const float* const in = input.row(row);
    double sum = 0, squares = 0;
    for (uint64_t c = 0; c < input.columns(); ++c) sum += static_cast<double>(in[c]);
    const double middle = sum / columns;
    for (uint64_t c = 0; c < input.columns(); ++c) {
      const double gap = static_cast<double>(in[c]) - middle;
      squares += gap * gap;
    }
    const auto inverse =
        static_cast<float>(1.0 / std::sqrt(squares / columns + static_cast<double>(epsilon)));
    const auto center = static_cast<float>(middle);
    mean.data()[row] = center;
    inverse_deviation.data()[row] = inverse;
    float* const out = output.row(row);
    for (uint64_t c = 0; c < input.columns(); ++c) {
      out[c] = (in[c] - center) * inverse * scale.data()[c] + shift.data()[c];
    }
  }
}

void CpuBackend::LayerNormGradient(ConstMatrix input, ConstTensor scale, ConstTensor mean,
                                   ConstTensor inverse_deviation, ConstMatrix output_gradient,
                                   Matrix input_gradient, Tensor scale_gradient,
                                   Tensor shift_gradient) {
  const uint64_t columns = input.columns();
  if (!scale_gradient.empty()) Fill(0.0F, scale_gradient);
  if (!shift_gradient.empty()) Fill(0.0F, shift_gradient);
  for (uint64_t row = 0; row < input.rows(); ++row) {
    const float* const in = input.row(row);
    const float* const back = output_gradient.row(row);
    const float center = mean.data()[row];
    const float inverse = inverse_deviation.data()[row];
    if (!scale_gradient.empty()) {
      for (uint64_t c = 0; c < columns; ++c) {
        scale_gradient.data()[c] += back[c] * (in[c] - center) * inverse;
        shift_gradient.data()[c] += back[c];
      }
    }
    if (input_gradient.empty()) continue;
    double sum = 0, product = 0;
    for (uint64_t c = 0; c < columns; ++c) {
      const auto scaled = static_cast<double>(back[c] * scale.data()[c]);
      sum += scaled;
      product += scaled * static_cast<double>((in[c] - center) * inverse);
    }
    const auto constant = static_cast<float>(sum / static_cast<double>(columns));
    const auto along = static_cast<float>(product / static_cast<double>(columns));
    float* const to = input_gradient.row(row);
    for (uint64_t c = 0; c < columns; ++c) {
      const float normal = (in[c] - center) * inverse;
      to[c] = inverse * (back[c] * scale.data()[c] - constant - normal * along);
    }
  }
}

}  // namespace shardmill::nn
