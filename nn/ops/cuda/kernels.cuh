#pragma once

#include <algorithm>
#include <cstdint>

#include "nn/ops/cuda/card.cuh"
#include "nn/tensor.h"

// The shapes that our kernels have. Each runs in order on the compute stream, and sums in an order
// that depends on sizes alone, so that the same arguments give the same bits.
namespace shardmill::nn {

// A matrix as kernels see it.
template <class T>
struct Cells {
  T* data;
  uint64_t stride;

  __device__ T& operator()(uint64_t row, uint64_t column) const {
    return data[row * stride + column];
  }
};
inline Cells<const float> CellsOf(ConstMatrix matrix) { return {matrix.data(), matrix.stride()}; }
inline Cells<float> CellsOf(Matrix matrix) { return {matrix.data(), matrix.stride()}; }

constexpr uint32_t kThreads = 256;

inline uint32_t BlocksOf(uint64_t count) {
  constexpr uint64_t kBlocksMax = 16384;
  return static_cast<uint32_t>(std::min((count + kThreads - 1) / kThreads, kBlocksMax));
}

// Begins a kernel; on a card that has failed none, as what it reads, ids among it, may never have
// come.
template <class... Parameters, class... Arguments>
void Launch(Card& card, void (*kernel)(Parameters...), const dim3& blocks, const dim3& threads,
            const Arguments&... arguments) {
  if (card.failed()) return;
  cudaLaunchConfig_t how{};
  how.gridDim = blocks;
  how.blockDim = threads;
  how.stream = card.compute();
  card.Check(cudaLaunchKernelEx(&how, kernel, arguments...));
}

template <class Function>
__global__ void EachKernel(uint64_t count, Function function) {
  const uint64_t step = uint64_t{gridDim.x} * blockDim.x;
  for (uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    function(i);
  }
}

// Calls `function(i)` for all i below the count.
template <class Function>
void ForEach(Card& card, uint64_t count, const Function& function) {
  if (count == 0) return;
  Launch(card, EachKernel<Function>, BlocksOf(count), kThreads, count, function);
}

template <class Index, class Function>
__global__ void CellsKernel(Index cells, Index columns, Function function) {
  const Index step = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < cells; i += step) {
    function(i / columns, i % columns);
  }
}

// Calls `function(row, column)` for all cells of a matrix.
template <class Function>
void ForEachCell(Card& card, uint64_t rows, uint64_t columns, const Function& function) {
  const uint64_t cells = rows * columns;
  if (cells == 0) return;
  // Divisions of 32 bits are several times quicker.
  if (cells < uint64_t{1} << 31) {
    Launch(card, CellsKernel<uint32_t, Function>, BlocksOf(cells), kThreads,
           static_cast<uint32_t>(cells), static_cast<uint32_t>(columns), function);
  } else {
    Launch(card, CellsKernel<uint64_t, Function>, BlocksOf(cells), kThreads, cells, columns,
           function);
  }
}

// The threads of a block, which work on one row together and all call the same.
class Team final {
 public:
  __device__ uint32_t first() const { return threadIdx.x; }
  __device__ uint32_t size() const { return blockDim.x; }
  __device__ bool leads() const { return threadIdx.x == 0; }

  // Over all threads, and the same bits in all of them.
  __device__ double Sum(double mine) const {
    return Join(mine, [](double a, double b) { return a + b; });
  }
  __device__ float Greatest(float mine) const {
    return Join(mine, [](float a, float b) { return fmaxf(a, b); });
  }

 private:
  static constexpr uint32_t kWarp = 32;

  template <class T, class Function>
  __device__ T Join(T mine, Function join) const {
    __shared__ T parts[kWarp];
    for (uint32_t apart = kWarp / 2; apart > 0; apart /= 2) {
      mine = join(mine, __shfl_xor_sync(0xffffffffU, mine, static_cast<int>(apart)));
    }
    if (blockDim.x == kWarp) return mine;
    if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = mine;
    __syncthreads();
    mine = parts[0];
    for (uint32_t warp = 1; warp < blockDim.x / kWarp; ++warp) mine = join(mine, parts[warp]);
    __syncthreads();  // Before the next one writes its parts.
    return mine;
  }
};

template <class Function>
__global__ void RowsKernel(uint64_t rows, Function function) {
  for (uint64_t row = blockIdx.x; row < rows; row += gridDim.x) function(row, Team());
}

// Calls `function(row, team)` for all rows, by as many threads as so many columns are worth.
template <class Function>
void ForEachRow(Card& card, uint64_t rows, uint64_t columns, const Function& function) {
  constexpr uint64_t kBlocksMax = (uint64_t{1} << 31) - 1;
  if (rows == 0) return;
  const auto blocks = static_cast<uint32_t>(std::min(rows, kBlocksMax));
  const uint32_t threads = columns <= 128 ? 32 : kThreads;
  Launch(card, RowsKernel<Function>, blocks, threads, rows, function);
}

// Calls `finish(sum)` with the sum of `term(i)` for all i below the count: each team has that of
// its part, and one then that of all.
template <class Term, class Finish>
void SumAll(Card& card, uint64_t count, const Term& term, const Finish& finish) {
  constexpr uint64_t kTeamsMax = 256;
  const uint64_t teams = std::min((count + kThreads - 1) / kThreads, kTeamsMax);
  double* const parts = card.ScratchOf<double>(Scratch::kSums, std::max<uint64_t>(teams, 1));
  if (parts == nullptr) return;
  ForEachRow(card, teams, kThreads, [=] __device__(uint64_t part, const Team& team) {
    double sum = 0;
    for (uint64_t i = part * team.size() + team.first(); i < count; i += teams * team.size()) {
      sum += term(i);
    }
    sum = team.Sum(sum);
    if (team.leads()) parts[part] = sum;
  });
  ForEachRow(card, 1, kThreads, [=] __device__(uint64_t, const Team& team) {
    double sum = 0;
    for (uint64_t i = team.first(); i < teams; i += team.size()) sum += parts[i];
    sum = team.Sum(sum);
    if (team.leads()) finish(sum);
  });
}

// Two sums over the rows of a column.
struct Sums {
  double first;
  double second;
};

constexpr uint32_t kTileColumns = 32;
constexpr uint32_t kTileRows = 8;

// Of the rows from `begin` to `end`; the threads of the tile's first row have the sums.
template <class Term>
__device__ Sums SumTile(uint64_t begin, uint64_t end, uint64_t column, uint64_t columns,
                        const Term& term) {
  __shared__ Sums parts[kTileRows][kTileColumns];
  Sums sums{0, 0};
  if (column < columns) {
    for (uint64_t row = begin + threadIdx.y; row < end; row += kTileRows) {
      const Sums more = term(row, column);
      sums.first += more.first;
      sums.second += more.second;
    }
  }
  parts[threadIdx.y][threadIdx.x] = sums;
  __syncthreads();
  if (threadIdx.y > 0) return sums;
  for (uint32_t y = 1; y < kTileRows; ++y) {
    sums.first += parts[y][threadIdx.x].first;
    sums.second += parts[y][threadIdx.x].second;
  }
  return sums;
}

template <class Term, class Finish>
__global__ void ColumnsKernel(uint64_t rows, uint64_t columns, uint64_t rows_each, Sums* partial,
                              Term term, Finish finish) {
  const uint64_t column = uint64_t{blockIdx.x} * kTileColumns + threadIdx.x;
  const uint64_t begin = blockIdx.y * rows_each;
  const uint64_t end = begin + rows_each < rows ? begin + rows_each : rows;
  const Sums sums = SumTile(begin, end, column, columns, term);
  if (threadIdx.y > 0 || column >= columns) return;
  if (gridDim.y == 1) {
    finish(column, sums);
  } else {
    partial[blockIdx.y * columns + column] = sums;
  }
}

template <class Finish>
__global__ void FinishColumnsKernel(uint64_t parts, uint64_t columns, const Sums* partial,
                                    Finish finish) {
  const uint64_t column = uint64_t{blockIdx.x} * kTileColumns + threadIdx.x;
  const auto term = [partial, columns](uint64_t row, uint64_t c) {
    return partial[row * columns + c];
  };
  const Sums sums = SumTile(0, parts, column, columns, term);
  if (threadIdx.y == 0 && column < columns) finish(column, sums);
}

// Calls `finish(column, sums)` with the sums of `term(row, column)` over all rows, for each column.
template <class Term, class Finish>
void ForEachColumn(Card& card, uint64_t rows, uint64_t columns, const Term& term,
                   const Finish& finish) {
  constexpr uint64_t kPartsMax = 512;
  constexpr uint64_t kRowsMin = 64;
  if (columns == 0) return;
  const uint64_t rows_each = std::max(kRowsMin, (rows + kPartsMax - 1) / kPartsMax);
  const uint64_t parts = std::max<uint64_t>(1, (rows + rows_each - 1) / rows_each);
  // One part is finished where it is summed.
  Sums* const partial = card.ScratchOf<Sums>(Scratch::kSums, parts == 1 ? 1 : parts * columns);
  if (partial == nullptr) return;
  const auto tiles = static_cast<uint32_t>((columns + kTileColumns - 1) / kTileColumns);
  const dim3 tile(kTileColumns, kTileRows);
  Launch(card, ColumnsKernel<Term, Finish>, dim3(tiles, static_cast<uint32_t>(parts)), tile, rows,
         columns, rows_each, partial, term, finish);
  if (parts == 1) return;
  Launch(card, FinishColumnsKernel<Finish>, tiles, tile, parts, columns, partial, finish);
}

}  // namespace shardmill::nn
