#include <algorithm>

#include "common/assert.h"
#include "nn/ops/cpu/backend.h"
#include "nn/ops/cpu/elementwise.h"
#include "nn/ops/cpu/product.h"

namespace shardmill::nn {
namespace {

void AddScaled(const float* from, float scale, uint64_t count, float* to) {
  for (uint64_t i = 0; i < count; ++i) to[i] += scale * from[i];
}

}  // namespace

void CpuBackend::Gather(IndexTensor ids, ConstTensor table, Tensor output) {
  const uint64_t dim = table.row_size();
  SM_ASSERT(output.size() == ids.size() * dim);
  for (uint64_t i = 0; i < ids.size(); ++i) {
    std::copy_n(table.row(ids.data()[i]).data(), dim, output.data() + i * dim);
  }
}

void CpuBackend::AddRows(IndexTensor ids, ConstTensor output_gradient, Tensor table_gradient) {
  const uint64_t dim = table_gradient.row_size();
  SM_ASSERT(output_gradient.size() == ids.size() * dim);
  for (uint64_t i = 0; i < ids.size(); ++i) {
    AddScaled(output_gradient.data() + i * dim, 1.0F, dim,
              table_gradient.row(ids.data()[i]).data());
  }
}

void CpuBackend::SparseAffine(const SparseRows& input, ConstTensor weight, ConstTensor bias,
                              const Elementwise& after, Tensor output) {
  const uint64_t units = output.row_size();
  SM_ASSERT(output.rows() == input.rows);
  for (uint64_t row = 0; row < input.rows; ++row) {
    float* const sum = output.row(row).data();
    if (bias.empty()) {
      std::fill_n(sum, units, 0.0F);
    } else {
      std::copy_n(bias.data(), units, sum);
    }
    for (uint64_t place = input.begin(row); place < input.end(row); ++place) {
      AddScaled(weight.row(input.ids[place]).data(), input.number(place), units, sum);
    }
    if (after.activation != Activation::kNone) ApplyTo(after, sum, units, sum);
  }
}

void CpuBackend::SparseAffineGradients(const SparseRows& input, ConstTensor output_gradient,
                                       Tensor weight_gradient, Tensor bias_gradient) {
  SM_ASSERT(output_gradient.rows() == input.rows);
  if (!bias_gradient.empty()) SumColumns(output_gradient, false, bias_gradient);
  if (weight_gradient.empty()) return;
  Fill(0.0F, weight_gradient);
  const uint64_t units = output_gradient.row_size();
  for (uint64_t row = 0; row < input.rows; ++row) {
    const float* const back = output_gradient.row(row).data();
    for (uint64_t place = input.begin(row); place < input.end(row); ++place) {
      AddScaled(back, input.number(place), units, weight_gradient.row(input.ids[place]).data());
    }
  }
}

// Each pair once: half of (the sum squared less the sum of squares).
void CpuBackend::PairwiseProducts(ConstTensor input, Tensor output) {
  const uint64_t fields = input.shape().dim(1);
  const uint64_t dim = input.shape().dim(2);
  for (uint64_t row = 0; row < input.rows(); ++row) {
    const float* const in = input.row(row).data();
    double products = 0;
    for (uint64_t d = 0; d < dim; ++d) {
      float sum = 0, squares = 0;
      for (uint64_t field = 0; field < fields; ++field) {
        const float value = in[field * dim + d];
        sum += value;
        squares += value * value;
      }
      products += 0.5 * static_cast<double>(sum * sum - squares);
    }
    output.data()[row] = static_cast<float>(products);
  }
}

void CpuBackend::PairwiseProductsGradient(ConstTensor input, ConstTensor output_gradient,
                                          Tensor input_gradient) {
  const uint64_t fields = input.shape().dim(1);
  const uint64_t dim = input.shape().dim(2);
  for (uint64_t row = 0; row < input.rows(); ++row) {
    const float* const in = input.row(row).data();
    float* const out = input_gradient.row(row).data();
    const float back = output_gradient.data()[row];
    for (uint64_t d = 0; d < dim; ++d) {
      float sum = 0;
      for (uint64_t field = 0; field < fields; ++field) sum += in[field * dim + d];
      for (uint64_t field = 0; field < fields; ++field) {
        out[field * dim + d] = back * (sum - in[field * dim + d]);
      }
    }
  }
}

}  // namespace shardmill::nn
