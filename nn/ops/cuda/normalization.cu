#include "common/assert.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/kernels.cuh"

namespace shardmill::nn {
namespace {

// out = in * factor + shift by column.
void ScaleColumns(Card& card, ConstMatrix input, const float* factor, const float* shift,
                  Matrix output) {
  const Cells<const float> in = CellsOf(input);
  const Cells<float> out = CellsOf(output);
  ForEachCell(card, input.rows(), input.columns(), [=] __device__(uint64_t row, uint64_t column) {
    out(row, column) = in(row, column) * factor[column] + shift[column];
  });
}

// From the sums of a column's numbers and of their squares: of floats the squares are exact in
// double, and what their sums lose is far below a float's last bit.
__device__ double Variance(const Sums& sums, double rows) {
  const double mean = sums.first / rows;
  const double variance = sums.second / rows - mean * mean;
  // A NaN stays one.
  return variance < 0 ? 0.0 : variance;
}

}  // namespace

void CudaBackend::BatchNorm(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                            Matrix output, Tensor mean, Tensor inverse_deviation) {
  const uint64_t columns = input.columns();
  float* const factor = card_->ScratchOf<float>(Scratch::kColumns, 2 * columns);
  if (factor == nullptr) return;
  float* const move = factor + columns;
  const Cells<const float> in = CellsOf(input);
  const float* const scale_of = scale.data();
  const float* const shift_of = shift.data();
  float* const mean_of = mean.data();
  float* const inverse_of = inverse_deviation.data();
  const auto rows = static_cast<double>(input.rows());
  ForEachColumn(
      *card_, input.rows(), columns,
      [=] __device__(uint64_t row, uint64_t column) {
        const double value = in(row, column);
        return Sums{value, value * value};
      },
      [=] __device__(uint64_t column, const Sums& sums) {
        const auto middle = static_cast<float>(sums.first / rows);
        const auto inverse =
            static_cast<float>(1.0 / sqrt(Variance(sums, rows) + static_cast<double>(epsilon)));
        mean_of[column] = middle;
        inverse_of[column] = inverse;
        factor[column] = scale_of[column] * inverse;
        move[column] = shift_of[column] - middle * factor[column];
      });
  ScaleColumns(*card_, input, factor, move, output);
}

void CudaBackend::BatchNormWith(ConstMatrix input, ConstTensor scale, ConstTensor shift,
                                float epsilon, ConstTensor mean, ConstTensor variance,
                                Matrix output) {
  const uint64_t columns = input.columns();
  float* const factor = card_->ScratchOf<float>(Scratch::kColumns, 2 * columns);
  if (factor == nullptr) return;
  float* const move = factor + columns;
  const float* const scale_of = scale.data();
  const float* const shift_of = shift.data();
  const float* const mean_of = mean.data();
  const float* const variance_of = variance.data();
  ForEach(*card_, columns, [=] __device__(uint64_t column) {
    factor[column] = scale_of[column] / sqrtf(variance_of[column] + epsilon);
    move[column] = shift_of[column] - mean_of[column] * factor[column];
  });
  ScaleColumns(*card_, input, factor, move, output);
}

void CudaBackend::BatchNormGradient(ConstMatrix input, ConstTensor scale, ConstTensor mean,
                                    ConstTensor inverse_deviation, ConstMatrix output_gradient,
                                    Matrix input_gradient, Tensor scale_gradient,
                                    Tensor shift_gradient) {
  const uint64_t columns = input.columns();
  float* const factor = card_->ScratchOf<float>(Scratch::kColumns, 3 * columns);
  if (factor == nullptr) return;
  float* const along = factor + columns;
  float* const constant = along + columns;
  const Cells<const float> in = CellsOf(input);
  const Cells<const float> back = CellsOf(output_gradient);
  const float* const scale_of = scale.data();
  const float* const mean_of = mean.data();
  const float* const inverse_of = inverse_deviation.data();
  float* const by_scale = scale_gradient.empty() ? nullptr : scale_gradient.data();
  float* const by_shift = shift_gradient.empty() ? nullptr : shift_gradient.data();
  const auto rows = static_cast<float>(input.rows());
  ForEachColumn(
      *card_, input.rows(), columns,
      [=] __device__(uint64_t row, uint64_t column) {
        const float gradient = back(row, column);
        return Sums{static_cast<double>(gradient),
                    static_cast<double>(gradient * (in(row, column) - mean_of[column]))};
      },
      [=] __device__(uint64_t column, const Sums& sums) {
        const auto sum = static_cast<float>(sums.first);
        const float inverse = inverse_of[column];
        const float product = static_cast<float>(sums.second) * inverse;
        if (by_scale != nullptr) by_scale[column] = product;
        if (by_shift != nullptr) by_shift[column] = sum;
        factor[column] = scale_of[column] * inverse;
        along[column] = factor[column] * inverse * product / rows;
        constant[column] = factor[column] * sum / rows;
      });
  if (input_gradient.empty()) return;
  const Cells<float> to = CellsOf(input_gradient);
  ForEachCell(*card_, input.rows(), columns, [=] __device__(uint64_t row, uint64_t column) {
    to(row, column) = factor[column] * back(row, column) -
                      along[column] * (in(row, column) - mean_of[column]) - constant[column];
  });
}

void CudaBackend::BatchNormStatistics(uint64_t rows, float epsilon, ConstTensor mean,
                                      ConstTensor inverse_deviation, ConstTensor running_mean,
                                      ConstTensor running_variance, Tensor mean_gradient,
                                      Tensor variance_gradient) {
  // What a batch shows of the variance outside it is larger by this.
  const float unbiased = rows > 1 ? static_cast<float>(rows) / static_cast<float>(rows - 1) : 1.0F;
  const float* const mean_of = mean.data();
  const float* const inverse_of = inverse_deviation.data();
  const float* const running_mean_of = running_mean.data();
  const float* const running_variance_of = running_variance.data();
  float* const by_mean = mean_gradient.data();
  float* const by_variance = variance_gradient.data();
  ForEach(*card_, mean.size(), [=] __device__(uint64_t column) {
    const float inverse = inverse_of[column];
    const float found = 1.0F / (inverse * inverse) - epsilon;
    const float variance = (found < 0 ? 0.0F : found) * unbiased;
    by_mean[column] = running_mean_of[column] - mean_of[column];
    by_variance[column] = running_variance_of[column] - variance;
  });
}

void CudaBackend::LayerNorm(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                            Matrix output, Tensor mean, Tensor inverse_deviation) {
  const uint64_t columns = input.columns();
  const Cells<const float> in = CellsOf(input);
  const Cells<float> out = CellsOf(output);
  const float* const scale_of = scale.data();
  const float* const shift_of = shift.data();
  float* const mean_of = mean.data();
  float* const inverse_of = inverse_deviation.data();
  ForEachRow(*card_, input.rows(), columns, [=] __device__(uint64_t row, const Team& team) {
    double sum = 0;
    for (uint64_t c = team.first(); c < columns; c += team.size()) sum += in(row, c);
    const double middle = team.Sum(sum) / static_cast<double>(columns);
    double squares = 0;
    for (uint64_t c = team.first(); c < columns; c += team.size()) {
      const double gap = in(row, c) - middle;
      squares += gap * gap;
    }
    const double variance = team.Sum(squares) / static_cast<double>(columns);
    const auto inverse = static_cast<float>(1.0 / sqrt(variance + static_cast<double>(epsilon)));
    const auto center = static_cast<float>(middle);
    if (team.leads()) {
      mean_of[row] = center;
      inverse_of[row] = inverse;
    }
    for (uint64_t c = team.first(); c < columns; c += team.size()) {
      out(row, c) = (in(row, c) - center) * inverse * scale_of[c] + shift_of[c];
    }
  });
}

void CudaBackend::LayerNormGradient(ConstMatrix input, ConstTensor scale, ConstTensor mean,
                                    ConstTensor inverse_deviation, ConstMatrix output_gradient,
                                    Matrix input_gradient, Tensor scale_gradient,
                                    Tensor shift_gradient) {
  const uint64_t columns = input.columns();
  const Cells<const float> in = CellsOf(input);
  const Cells<const float> back = CellsOf(output_gradient);
  const float* const scale_of = scale.data();
  const float* const mean_of = mean.data();
  const float* const inverse_of = inverse_deviation.data();
  if (!scale_gradient.empty()) {
    float* const by_scale = scale_gradient.data();
    float* const by_shift = shift_gradient.data();
    ForEachColumn(
        *card_, input.rows(), columns,
        [=] __device__(uint64_t row, uint64_t column) {
          const float gradient = back(row, column);
          const float normal = (in(row, column) - mean_of[row]) * inverse_of[row];
          return Sums{static_cast<double>(gradient * normal), static_cast<double>(gradient)};
        },
        [=] __device__(uint64_t column, const Sums& sums) {
          by_scale[column] = static_cast<float>(sums.first);
          by_shift[column] = static_cast<float>(sums.second);
        });
  }
  if (input_gradient.empty()) return;
  const Cells<float> to = CellsOf(input_gradient);
  ForEachRow(*card_, input.rows(), columns, [=] __device__(uint64_t row, const Team& team) {
    const float center = mean_of[row];
    const float inverse = inverse_of[row];
    double sum = 0, product = 0;
    for (uint64_t c = team.first(); c < columns; c += team.size()) {
      const double scaled = back(row, c) * scale_of[c];
      sum += scaled;
      product += scaled * static_cast<double>((in(row, c) - center) * inverse);
    }
    const auto constant = static_cast<float>(team.Sum(sum) / static_cast<double>(columns));
    const auto along = static_cast<float>(team.Sum(product) / static_cast<double>(columns));
    for (uint64_t c = team.first(); c < columns; c += team.size()) {
      const float normal = (in(row, c) - center) * inverse;
      to(row, c) = inverse * (back(row, c) * scale_of[c] - constant - normal * along);
    }
  });
}

}  // namespace shardmill::nn
