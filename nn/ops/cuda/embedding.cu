#include <bit>
#include <cub/device/device_radix_sort.cuh>

#include "common/assert.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/finish.cuh"
#include "nn/ops/cuda/product.cuh"

// Gradients of rows that several ids name are added up in an order that depends on the ids alone:
// ids are sorted with their places, those of one row are added up in stretches, one thread each,
// and then the stretches.
namespace shardmill::nn {
namespace {

// Sparse rows as kernels see them.
struct Bags {
  explicit Bags(const SparseRows& rows)
      : ids(rows.ids.data()),
        numbers(rows.numbers.empty() ? nullptr : rows.numbers.data()),
        ends(rows.ends.empty() ? nullptr : rows.ends.data()),
        each(rows.rows == 0 ? 0 : rows.ids.size() / rows.rows) {}

  __device__ uint64_t end(uint64_t row) const {
    return ends == nullptr ? (row + 1) * each : ends[row];
  }
  __device__ uint64_t begin(uint64_t row) const { return row == 0 ? 0 : end(row - 1); }
  __device__ float number(uint64_t place) const {
    return numbers == nullptr ? 1.0F : numbers[place];
  }

  const uint32_t* ids;
  const float* numbers;
  const uint64_t* ends;
  uint64_t each;
};

// Ids in their order, and where each was; those that are alike stay in order. Null without room.
struct Sorted {
  const uint32_t* ids = nullptr;
  const uint32_t* places = nullptr;
};

Sorted Sort(Card& card, std::span<const uint32_t> ids, uint64_t rows) {
  const uint64_t count = ids.size();
  SM_ASSERT(count <= UINT32_MAX);
  // Of ids, which have 32, however many rows there are.
  const int bits = std::clamp(static_cast<int>(std::bit_width(rows - 1)), 1, 32);
  size_t bytes = 0;
  const uint32_t* const none = nullptr;
  uint32_t* const nowhere = nullptr;
  card.Check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, none, nowhere, none, nowhere, count, 0,
                                             bits, card.compute()));
  uint32_t* const sorted = card.ScratchOf<uint32_t>(Scratch::kSort, 3 * count);
  char* const work = card.ScratchOf<char>(Scratch::kWorkspace, bytes);
  if (sorted == nullptr || work == nullptr) return {};
  uint32_t* const places = sorted + count;
  uint32_t* const sorted_places = places + count;
  ForEach(card, count, [=] __device__(uint64_t i) { places[i] = static_cast<uint32_t>(i); });
  card.Check(cub::DeviceRadixSort::SortPairs(work, bytes, ids.data(), sorted, places, sorted_places,
                                             count, 0, bits, card.compute()));
  return {sorted, sorted_places};
}

// Places that one thread adds up: of an id that fills a batch, such as that of padding, it would
// else be all of them, one after the other.
constexpr uint64_t kStretch = 64;

// to[id] += the sum of term(place, column) over the places that name the id.
template <class Term>
void AddSorted(Card& card, std::span<const uint32_t> ids, const Term& term, Tensor table) {
  if (ids.empty()) return;
  const uint64_t count = ids.size(), dim = table.row_size();
  const Sorted sorted = Sort(card, ids, table.rows());
  const uint64_t stretches = (count + kStretch - 1) / kStretch;
  float* const sums = card.ScratchOf<float>(Scratch::kSums, stretches * dim);
  if (sorted.ids == nullptr || sums == nullptr) return;
  float* const to = table.data();
  const uint32_t* const ids_of = sorted.ids;
  // From `at` to the end of its stretch, or of its id.
  const auto add = [=] __device__(uint64_t at, uint64_t column) {
    const uint64_t next_stretch = (at / kStretch + 1) * kStretch;
    const uint64_t end = next_stretch < count ? next_stretch : count;
    float sum = 0;
    for (uint64_t next = at; next < end && ids_of[next] == ids_of[at]; ++next) {
      sum += term(sorted.places[next], column);
    }
    return sum;
  };
  // Of those that begin amid an id.
  ForEachCell(card, stretches, dim, [=] __device__(uint64_t stretch, uint64_t column) {
    const uint64_t at = stretch * kStretch;
    if (at == 0 || ids_of[at - 1] != ids_of[at]) return;
    sums[stretch * dim + column] = add(at, column);
  });
  ForEachCell(card, count, dim, [=] __device__(uint64_t at, uint64_t column) {
    const uint32_t id = ids_of[at];
    if (at > 0 && ids_of[at - 1] == id) return;
    float sum = to[id * dim + column] + add(at, column);
    for (uint64_t next = at / kStretch + 1; next < stretches; ++next) {
      if (ids_of[next * kStretch] != id) break;
      sum += sums[next * dim + column];
    }
    to[id * dim + column] = sum;
  });
}

}  // namespace

void CudaBackend::Gather(IndexTensor ids, ConstTensor table, Tensor output) {
  const uint64_t dim = table.row_size();
  SM_ASSERT(output.size() == ids.size() * dim);
  const uint32_t* const id_of = ids.data();
  const float* const from = table.data();
  float* const to = output.data();
  ForEachCell(*card_, ids.size(), dim, [=] __device__(uint64_t place, uint64_t column) {
    to[place * dim + column] = from[id_of[place] * dim + column];
  });
}

void CudaBackend::AddRows(IndexTensor ids, ConstTensor output_gradient, Tensor table_gradient) {
  const uint64_t dim = table_gradient.row_size();
  SM_ASSERT(output_gradient.size() == ids.size() * dim);
  const float* const back = output_gradient.data();
  AddSorted(
      *card_, ids.floats(),
      [=] __device__(uint64_t place, uint64_t column) { return back[place * dim + column]; },
      table_gradient);
}

void CudaBackend::SparseAffine(const SparseRows& input, ConstTensor weight, ConstTensor bias,
                               const Elementwise& after, Tensor output) {
  SM_ASSERT(output.rows() == input.rows);
  const uint64_t units = output.row_size();
  const Elementwise f = after;
  const Bags bags(input);
  const float* const weight_of = weight.data();
  const float* const shift = bias.empty() ? nullptr : bias.data();
  float* const to = output.data();
  ForEachCell(*card_, input.rows, units, [=] __device__(uint64_t row, uint64_t unit) {
    float sum = shift == nullptr ? 0.0F : shift[unit];
    const uint64_t end = bags.end(row);
    for (uint64_t place = bags.begin(row); place < end; ++place) {
      sum += bags.number(place) * weight_of[bags.ids[place] * units + unit];
    }
    to[row * units + unit] = Value(f, sum);
  });
}

void CudaBackend::SparseAffineGradients(const SparseRows& input, ConstTensor output_gradient,
                                        Tensor weight_gradient, Tensor bias_gradient) {
  SM_ASSERT(output_gradient.rows() == input.rows);
  if (!bias_gradient.empty()) SumColumns(*card_, output_gradient, bias_gradient);
  if (weight_gradient.empty()) return;
  Fill(0.0F, weight_gradient);
  uint32_t* const row_of = card_->ScratchOf<uint32_t>(Scratch::kColumns, input.ids.size());
  if (row_of == nullptr) return;
  const uint64_t units = output_gradient.row_size();
  const Bags bags(input);
  const float* const back = output_gradient.data();
  ForEach(*card_, input.rows, [=] __device__(uint64_t row) {
    const uint64_t end = bags.end(row);
    for (uint64_t place = bags.begin(row); place < end; ++place) {
      row_of[place] = static_cast<uint32_t>(row);
    }
  });
  AddSorted(
      *card_, input.ids,
      [=] __device__(uint64_t place, uint64_t unit) {
        return bags.number(place) * back[row_of[place] * units + unit];
      },
      weight_gradient);
}

// Each pair once: half of (the sum squared less the sum of squares).
void CudaBackend::PairwiseProducts(ConstTensor input, Tensor output) {
  const uint64_t fields = input.shape().dim(1), dim = input.shape().dim(2);
  const float* const from = input.data();
  float* const to = output.data();
  ForEachRow(*card_, input.rows(), dim, [=] __device__(uint64_t row, const Team& team) {
    const float* const in = from + row * fields * dim;
    double products = 0;
    for (uint64_t d = team.first(); d < dim; d += team.size()) {
      float sum = 0, squares = 0;
      for (uint64_t field = 0; field < fields; ++field) {
        const float value = in[field * dim + d];
        sum += value;
        squares += value * value;
      }
      products += 0.5 * static_cast<double>(sum * sum - squares);
    }
    products = team.Sum(products);
    if (team.leads()) to[row] = static_cast<float>(products);
  });
}

void CudaBackend::PairwiseProductsGradient(ConstTensor input, ConstTensor output_gradient,
                                           Tensor input_gradient) {
  const uint64_t fields = input.shape().dim(1), dim = input.shape().dim(2);
  const float* const from = input.data();
  const float* const back = output_gradient.data();
  float* const to = input_gradient.data();
  ForEachCell(*card_, input.rows(), dim, [=] __device__(uint64_t row, uint64_t d) {
    const float* const in = from + row * fields * dim;
    float* const out = to + row * fields * dim;
    float sum = 0;
    for (uint64_t field = 0; field < fields; ++field) sum += in[field * dim + d];
    for (uint64_t field = 0; field < fields; ++field) {
      out[field * dim + d] = back[row] * (sum - in[field * dim + d]);
    }
  });
}

}  // namespace shardmill::nn
