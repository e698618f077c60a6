#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/elementwise.cuh"
#include "nn/ops/cuda/kernels.cuh"
#include "nn/ops/cuda/product.cuh"

// As on the CPU: all moments' inputs go through one product; what recurs goes moment by moment. On
// the way back the gradients by the gates take the place of the gates, and then all moments go
// through one product again.
namespace shardmill::nn {
namespace {

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

// The gates become what they let through, and the cell and the output follow. `before` is the
// moment before, or empty.
void LstmCell(Card& card, Matrix gates, ConstMatrix before, Matrix cell, Matrix output) {
  const uint64_t units = output.columns();
  const bool first = before.empty();
  const Cells<float> gate = CellsOf(gates), cells = CellsOf(cell), out = CellsOf(output);
  const Cells<const float> old = CellsOf(before);
  ForEachCell(card, output.rows(), units, [=] __device__(uint64_t row, uint64_t u) {
    const float in = Sigmoid(gate(row, u));
    const float forget = Sigmoid(gate(row, units + u));
    const float candidate = tanhf(gate(row, 2 * units + u));
    const float show = Sigmoid(gate(row, 3 * units + u));
    const float kept = first ? 0.0F : forget * old(row, u);
    const float now = kept + in * candidate;
    gate(row, u) = in;
    gate(row, units + u) = forget;
    gate(row, 2 * units + u) = candidate;
    gate(row, 3 * units + u) = show;
    cells(row, u) = now;
    out(row, u) = tanhf(now) * show;
  });
}

// `state` holds the gradient by what came out from the moment after, to which that given is added,
// and `cell_state` that by the cell; the latter becomes that for the moment before, and the gates
// their own gradients.
void LstmCellGradient(Card& card, Matrix gates, ConstMatrix before, ConstMatrix cell,
                      ConstMatrix given, Matrix state, Matrix cell_state) {
  const uint64_t units = cell.columns();
  const bool first = before.empty();
  const Cells<float> gate = CellsOf(gates), later = CellsOf(state), by_later = CellsOf(cell_state);
  const Cells<const float> old = CellsOf(before), cells = CellsOf(cell), by_output = CellsOf(given);
  ForEachCell(card, cell.rows(), units, [=] __device__(uint64_t row, uint64_t u) {
    const float back = later(row, u) + by_output(row, u);
    const float i = gate(row, u), f = gate(row, units + u);
    const float g = gate(row, 2 * units + u), o = gate(row, 3 * units + u);
    const float shown = tanhf(cells(row, u));
    const float by_cell = by_later(row, u) + back * o * (1.0F - shown * shown);
    by_later(row, u) = by_cell * f;
    gate(row, u) = by_cell * g * i * (1.0F - i);
    gate(row, units + u) = by_cell * (first ? 0.0F : old(row, u)) * f * (1.0F - f);
    gate(row, 2 * units + u) = by_cell * i * (1.0F - g * g);
    gate(row, 3 * units + u) = back * shown * o * (1.0F - o);
  });
}

void TanhCell(Card& card, ConstMatrix gates, Matrix output) {
  const Cells<const float> gate = CellsOf(gates);
  const Cells<float> out = CellsOf(output);
  ForEachCell(card, output.rows(), output.columns(),
              [=] __device__(uint64_t row, uint64_t u) { out(row, u) = tanhf(gate(row, u)); });
}

void TanhCellGradient(Card& card, ConstMatrix output, ConstMatrix given, ConstMatrix state,
                      Matrix gates) {
  const Cells<const float> out = CellsOf(output), by_output = CellsOf(given);
  const Cells<const float> later = CellsOf(state);
  const Cells<float> gate = CellsOf(gates);
  ForEachCell(card, output.rows(), output.columns(), [=] __device__(uint64_t row, uint64_t u) {
    const float seen = out(row, u);
    gate(row, u) = (later(row, u) + by_output(row, u)) * (1.0F - seen * seen);
  });
}

}  // namespace

uint64_t CudaBackend::RecurrentSaved(RecurrentCell cell, uint64_t times, uint64_t units) {
  const uint64_t cells = cell == RecurrentCell::kLstm ? 1 : 0;
  return times * (Gates(cell) + cells) * units + 2 * units;
}

void CudaBackend::Recur(RecurrentCell cell, ConstTensor input,
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
      Product(*card_, {before}, {by.recurrent}, 1.0F, gates);
    }
    if (cell == RecurrentCell::kTanh) {
      TanhCell(*card_, gates, out);
      continue;
    }
    ConstMatrix before;
    if (time > 0) before = Moment(kept.cells, time - 1, rows, times, units);
    LstmCell(*card_, gates, before, Moment(kept.cells, time, rows, times, units), out);
  }
}

void CudaBackend::RecurGradient(RecurrentCell cell, ConstTensor input,
                                const RecurrentWeights<const float>& by, ConstTensor output,
                                ConstTensor output_gradient, Tensor saved, Tensor input_gradient,
                                const RecurrentWeights<float>& gradients) {
  const uint64_t rows = input.rows(), times = input.shape().dim(1);
  const uint64_t units = output.shape().dim(2);
  const Saved kept(cell, rows, times, units, saved);
  const Matrix state(kept.state, rows, units, units);
  const Matrix cell_state(kept.cell_state, rows, units, units);
  Fill(0.0F, Tensor({kept.state, 2 * rows * units}, {2 * rows * units}));
  for (uint64_t time = times; time-- > 0;) {
    const Matrix gates = Moment(kept.gates, time, rows, times, kept.width);
    const ConstMatrix out = Moment(output.data(), time, rows, times, units);
    const ConstMatrix given = Moment(output_gradient.data(), time, rows, times, units);
    if (cell == RecurrentCell::kTanh) {
      TanhCellGradient(*card_, out, given, state, gates);
    } else {
      ConstMatrix before;
      if (time > 0) before = Moment(kept.cells, time - 1, rows, times, units);
      LstmCellGradient(*card_, gates, before, Moment(kept.cells, time, rows, times, units), given,
                       state, cell_state);
    }
    if (time > 0) Product(*card_, {gates}, {by.recurrent, true}, 0.0F, state);
  }
  const Matrix gates(kept.gates, rows * times, kept.width, kept.width);
  if (!gradients.input.empty()) {
    AffineParameterGradients(input, gates, gradients.input, gradients.bias);
  }
  if (!input_gradient.empty()) AffineInputGradient(gates, by.input, input_gradient);
  if (gradients.input.empty()) return;
  // Each moment's gates go with the output of the moment before, and so, with all of a batch in one
  // product, those of a first moment would with another row's last: they have served by now.
  const Matrix firsts = Moment(kept.gates, 0, rows, times, kept.width);
  const Cells<float> gate = CellsOf(firsts);
  ForEachCell(*card_, rows, kept.width,
              [=] __device__(uint64_t row, uint64_t column) { gate(row, column) = 0.0F; });
  const uint64_t pairs = rows * times - 1;
  if (pairs == 0) {
    Fill(0.0F, gradients.recurrent);
    return;
  }
  const ConstMatrix befores(output.data(), pairs, units, units);
  const ConstMatrix afters(kept.gates + kept.width, pairs, kept.width, kept.width);
  Product(*card_, {befores, true}, {afters}, 0.0F, gradients.recurrent);
}

}  // namespace shardmill::nn
