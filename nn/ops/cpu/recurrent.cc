#include <algorithm>
#include <cmath>

#include "common/assert.h"
#include "nn/ops/cpu/backend.h"
#include "nn/ops/cpu/elementwise.h"
#include "nn/ops/cpu/product.h"

// All moments' inputs go through one product; what recurs goes moment by moment. On the way back
// the gradients by the gates take the place of the gates, and then all moments go through one
// product again.
namespace shardmill::nn {
namespace {

constexpr Elementwise kSigmoid{Activation::kSigmoid};
constexpr Elementwise kTanh{Activation::kTanh};

uint64_t Gates(RecurrentCell cell) { return cell == RecurrentCell::kLstm ? 4 : 1; }

// The parts of `saved`.
struct Saved {
  Saved(RecurrentCell cell, uint64_t rows, uint64_t times, uint64_t units, Tensor saved)
      : width(Gates(cell) * units),
        gates(saved.data()),
        cells(gates + rows * times * width),
        state(cells + (cell == RecurrentCell::kLstm ? rows * times * units : 0)),
        cell_state(state + rows * units) {}

  uint64_t width;
  float* gates;  // [rows, times, width]
  float* cells;  // [rows, times, units]; of kLstm.
  float* state;  // [rows, units]: the gradient that comes back from the moment after.
  float* cell_state;
};

// One moment of a [rows, times, width] tensor.
template <class T>
MatrixView<T> Moment(T* data, uint64_t time, uint64_t rows, uint64_t times, uint64_t width) {
  return {data + time * width, rows, width, times * width};
}

void LstmCell(float* gates, const float* cell_before, uint64_t units, float* cell, float* out) {
  ApplyTo(kSigmoid, gates, 2 * units, gates);
  ApplyTo(kTanh, gates + 2 * units, units, gates + 2 * units);
  ApplyTo(kSigmoid, gates + 3 * units, units, gates + 3 * units);
  const float* const in = gates;
  const float* const forget = gates + units;
  const float* const candidate = gates + 2 * units;
  const float* const show = gates + 3 * units;
  for (uint64_t u = 0; u < units; ++u) {
    const float kept = cell_before == nullptr ? 0.0F : forget[u] * cell_before[u];
    cell[u] = kept + in[u] * candidate[u];
  }
  ApplyTo(kTanh, cell, units, out);
  for (uint64_t u = 0; u < units; ++u) out[u] *= show[u];
}

// `state` holds the gradient by what came out and `cell_state` that by the cell from the moment
// after; the latter becomes that for the moment before, and the gates their own gradients.
void LstmCellGradient(float* gates, const float* cell_before, const float* cell, uint64_t units,
                      const float* state, float* cell_state) {
  float* const in = gates;
  float* const forget = gates + units;
  float* const candidate = gates + 2 * units;
  float* const show = gates + 3 * units;
  constexpr uint64_t kBlock = 64;
  float seen[kBlock];
  for (uint64_t first = 0; first < units; first += kBlock) {
    const uint64_t end = std::min(units, first + kBlock);
    ApplyTo(kTanh, cell + first, end - first, seen);
    for (uint64_t u = first; u < end; ++u) {
      const float shown = seen[u - first];
      const float by_cell = cell_state[u] + state[u] * show[u] * (1.0F - shown * shown);
      const float before = cell_before == nullptr ? 0.0F : cell_before[u];
      const float i = in[u], f = forget[u], g = candidate[u], o = show[u];
      cell_state[u] = by_cell * f;
      in[u] = by_cell * g * i * (1.0F - i);
      forget[u] = by_cell * before * f * (1.0F - f);
      candidate[u] = by_cell * i * (1.0F - g * g);
      show[u] = state[u] * shown * o * (1.0F - o);
    }
  }
}

void TanhCellGradient(const float* output, const float* state, uint64_t units, float* gates) {
  for (uint64_t u = 0; u < units; ++u) gates[u] = state[u] * (1.0F - output[u] * output[u]);
}

}  // namespace

uint64_t CpuBackend::RecurrentSaved(RecurrentCell cell, uint64_t times, uint64_t units) {
  const uint64_t cells = cell == RecurrentCell::kLstm ? 1 : 0;
  return times * (Gates(cell) + cells) * units + 2 * units;
}

void CpuBackend::Recur(RecurrentCell cell, ConstTensor input,
                       const RecurrentWeights<const float>& by, Tensor output, Tensor saved) {
  const uint64_t rows = input.rows(), times = input.shape().dim(1);
  const uint64_t units = output.shape().dim(2);
  const Saved kept(cell, rows, times, units, saved);
  Affine(input, by.input, by.bias, {}, Matrix(kept.gates, rows * times, kept.width, kept.width));
  for (uint64_t time = 0; time < times; ++time) {
    const Matrix gates = Moment(kept.gates, time, rows, times, kept.width);
    const Matrix out = Moment(output.data(), time, rows, times, units);
    if (time > 0) {
      const ConstMatrix before = Moment(output.data(), time - 1, rows, times, units);
      Product(Factor{before}, Factor{by.recurrent}, 1.0F, gates);
    }
    for (uint64_t row = 0; row < rows; ++row) {
      if (cell == RecurrentCell::kTanh) {
        ApplyTo(kTanh, gates.row(row), units, out.row(row));
        continue;
      }
      float* const cells = kept.cells + (row * times + time) * units;
      LstmCell(gates.row(row), time > 0 ? cells - units : nullptr, units, cells, out.row(row));
    }
  }
}

void CpuBackend::RecurGradient(RecurrentCell cell, ConstTensor input,
                               const RecurrentWeights<const float>& by, ConstTensor output,
                               ConstTensor output_gradient, Tensor saved, Tensor input_gradient,
                               const RecurrentWeights<float>& gradients) {
  const uint64_t rows = input.rows(), times = input.shape().dim(1);
  const uint64_t units = output.shape().dim(2);
  const Saved kept(cell, rows, times, units, saved);
  const Matrix state(kept.state, rows, units, units);
  std::fill_n(kept.state, 2 * rows * units, 0.0F);
  for (uint64_t time = times; time-- > 0;) {
    const Matrix gates = Moment(kept.gates, time, rows, times, kept.width);
    for (uint64_t row = 0; row < rows; ++row) {
      const uint64_t place = (row * times + time) * units;
      float* const back = state.row(row);
      const float* const given = output_gradient.data() + place;
      for (uint64_t u = 0; u < units; ++u) back[u] += given[u];
      if (cell == RecurrentCell::kTanh) {
        TanhCellGradient(output.data() + place, back, units, gates.row(row));
        continue;
      }
      const float* const cells = kept.cells + place;
      LstmCellGradient(gates.row(row), time > 0 ? cells - units : nullptr, cells, units, back,
                       kept.cell_state + row * units);
    }
    if (time > 0) Product(Factor{gates}, Factor{by.recurrent, true}, 0.0F, state);
  }
  const ConstMatrix gates(kept.gates, rows * times, kept.width, kept.width);
  if (!gradients.input.empty()) {
    AffineParameterGradients(input, gates, gradients.input, gradients.bias);
    Fill(0.0F, gradients.recurrent);
    for (uint64_t time = 1; time < times; ++time) {
      Product(Factor{Moment(output.data(), time - 1, rows, times, units), true},
              Factor{Moment<const float>(kept.gates, time, rows, times, kept.width)}, 1.0F,
              gradients.recurrent);
    }
  }
  if (!input_gradient.empty()) AffineInputGradient(gates, by.input, input_gradient);
}

}  // namespace shardmill::nn
