#include "common/assert.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/kernels.cuh"

namespace shardmill::nn {
namespace {

// The greatest of a row, so that no exponential overflows, and the sum of those shifted by it.
struct Exponentials {
  float greatest;
  double sum;
};

__device__ Exponentials SumExponentials(const float* in, uint64_t count, const Team& team) {
  float greatest = in[0];
  for (uint64_t i = team.first(); i < count; i += team.size()) greatest = fmaxf(greatest, in[i]);
  greatest = team.Greatest(greatest);
  double sum = 0;
  for (uint64_t i = team.first(); i < count; i += team.size()) sum += expf(in[i] - greatest);
  return {greatest, team.Sum(sum)};
}

}  // namespace

void CudaBackend::Softmax(ConstMatrix input, Matrix output) {
  SM_ASSERT(input.rows() == output.rows() && input.columns() == output.columns());
  const Cells<const float> from = CellsOf(input);
  const Cells<float> to = CellsOf(output);
  const uint64_t columns = input.columns();
  ForEachRow(*card_, input.rows(), columns, [=] __device__(uint64_t row, const Team& team) {
    const float* const in = &from(row, 0);
    const Exponentials found = SumExponentials(in, columns, team);
    const auto inverse = static_cast<float>(1.0 / found.sum);
    for (uint64_t i = team.first(); i < columns; i += team.size()) {
      to(row, i) = expf(in[i] - found.greatest) * inverse;
    }
  });
}

void CudaBackend::SoftmaxGradient(ConstMatrix output, ConstMatrix output_gradient,
                                  Matrix input_gradient) {
  const Cells<const float> share = CellsOf(output);
  const Cells<const float> back = CellsOf(output_gradient);
  const Cells<float> to = CellsOf(input_gradient);
  const uint64_t columns = output.columns();
  ForEachRow(*card_, output.rows(), columns, [=] __device__(uint64_t row, const Team& team) {
    double mean = 0;
    for (uint64_t i = team.first(); i < columns; i += team.size()) {
      mean += static_cast<double>(share(row, i)) * static_cast<double>(back(row, i));
    }
    const auto shift = static_cast<float>(team.Sum(mean));
    for (uint64_t i = team.first(); i < columns; i += team.size()) {
      to(row, i) = share(row, i) * (back(row, i) - shift);
    }
  });
}

void CudaBackend::SoftmaxCrossEntropy(ConstMatrix logits, std::span<const uint32_t> labels,
                                      float scale, Tensor row_losses, Tensor gradient) {
  SM_ASSERT(logits.rows() == labels.size() && row_losses.size() == labels.size());
  const Cells<const float> from = CellsOf(logits);
  const uint64_t classes = logits.columns();
  const uint32_t* const label_of = labels.data();
  float* const losses = row_losses.data();
  float* const to = gradient.empty() ? nullptr : gradient.data();
  ForEachRow(*card_, logits.rows(), classes, [=] __device__(uint64_t row, const Team& team) {
    const float* const in = &from(row, 0);
    const uint32_t label = label_of[row];
    const Exponentials found = SumExponentials(in, classes, team);
    if (team.leads()) {
      losses[row] = static_cast<float>(log(found.sum) + static_cast<double>(found.greatest) -
                                       static_cast<double>(in[label]));
    }
    if (to == nullptr) return;
    const auto inverse = static_cast<float>(1.0 / found.sum);
    for (uint64_t i = team.first(); i < classes; i += team.size()) {
      const float share = expf(in[i] - found.greatest) * inverse;
      to[row * classes + i] = scale * (i == label ? share - 1.0F : share);
    }
  });
}

void CudaBackend::LogLoss(ConstMatrix output, std::span<const float> targets, float scale,
                          Tensor row_losses, Tensor gradient) {
  const uint64_t columns = output.columns();
  SM_ASSERT(targets.size() == output.rows() * columns && row_losses.size() == output.rows());
  const float share_of_row = scale / static_cast<float>(columns);
  const Cells<const float> from = CellsOf(output);
  const float* const want = targets.data();
  float* const losses = row_losses.data();
  float* const to = gradient.empty() ? nullptr : gradient.data();
  ForEachRow(*card_, output.rows(), columns, [=] __device__(uint64_t row, const Team& team) {
    double loss = 0;
    for (uint64_t i = team.first(); i < columns; i += team.size()) {
      const double logit = from(row, i);
      const double target = want[row * columns + i];
      // log(1 + exp(x)) - t x, without an exponential that overflows.
      const double small = exp(-fabs(logit));
      // Not fmax, which would lose a NaN.
      loss += (logit < 0 ? 0.0 : logit) - target * logit + log1p(small);
      const double share = (logit >= 0 ? 1.0 : small) / (1.0 + small);
      if (to != nullptr) {
        to[row * columns + i] = share_of_row * static_cast<float>(share - target);
      }
    }
    loss = team.Sum(loss);
    if (team.leads()) losses[row] = static_cast<float>(loss / static_cast<double>(columns));
  });
}

void CudaBackend::DistanceLoss(Distance distance, ConstMatrix output,
                               std::span<const float> targets, float scale, Tensor row_losses,
                               Tensor gradient) {
  const uint64_t columns = output.columns();
  SM_ASSERT(targets.size() == output.rows() * columns && row_losses.size() == output.rows());
  const float share_of_row = scale / static_cast<float>(columns);
  const bool squared = distance == Distance::kSquared;
  const Cells<const float> from = CellsOf(output);
  const float* const want = targets.data();
  float* const losses = row_losses.data();
  float* const to = gradient.empty() ? nullptr : gradient.data();
  ForEachRow(*card_, output.rows(), columns, [=] __device__(uint64_t row, const Team& team) {
    double loss = 0;
    for (uint64_t i = team.first(); i < columns; i += team.size()) {
      const float gap = from(row, i) - want[row * columns + i];
      const double wide = gap;
      loss += squared ? wide * wide : fabs(wide);
      const float sign = gap > 0 ? 1.0F : gap < 0 ? -1.0F : 0.0F;
      if (to != nullptr) to[row * columns + i] = share_of_row * (squared ? 2.0F * gap : sign);
    }
    loss = team.Sum(loss);
    if (team.leads()) losses[row] = static_cast<float>(loss / static_cast<double>(columns));
  });
}

}  // namespace shardmill::nn
