#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "common/assert.h"
#include "nn/shape.h"

namespace shardmill::nn {

// Numbers that someone else owns, seen as rows and columns, the last axis densest. A value that
// borrows: the numbers must outlive it, and whoever owns them says which thread may use them. One
// that was made of nothing stands for "none", as where a gradient is not wanted.
template <class T>
class TensorView final {
 public:
  TensorView() = default;
  TensorView(std::span<T> numbers, const Shape& shape) : data_(numbers.data()), shape_(shape) {
    SM_ASSERT(numbers.size() == shape.size());
  }
  // Whoever may write may also read.
  operator TensorView<const T>() const requires(!std::is_const_v<T>) {
    return {std::span<const T>(data_, size()), shape_};
  }

  bool empty() const { return shape_.size() == 0; }
  T* data() const { return data_; }
  const Shape& shape() const { return shape_; }
  uint64_t size() const { return shape_.size(); }
  std::span<T> floats() const { return {data_, shape_.size()}; }

  // The first axis, and how many numbers lie under one of its places.
  uint64_t rows() const { return shape_.dim(0); }
  uint64_t row_size() const { return empty() ? 0 : shape_.size() / shape_.dim(0); }
  std::span<T> row(uint64_t index) const {
    SM_ASSERT(index < rows());
    return {data_ + index * row_size(), row_size()};
  }

  // The same numbers under another shape of the same size.
  TensorView As(const Shape& shape) const { return TensorView(std::span<T>(data_, size()), shape); }

 private:
  T* data_ = nullptr;
  Shape shape_;
};

using Tensor = TensorView<float>;
using ConstTensor = TensorView<const float>;
using IndexTensor = TensorView<const uint32_t>;

// Rows of which those numbers are listed that are not zero, each with the id of its column. Borrows
// as a TensorView does.
struct SparseRows {
  std::span<const uint32_t> ids = {};
  std::span<const float> numbers = {};  // One an id; none: each is 1.
  std::span<const uint64_t> ends = {};  // Of each row's ids; none: all rows have equally many.
  uint64_t rows = 0;

  uint64_t end(uint64_t row) const {
    return ends.empty() ? (row + 1) * (ids.size() / rows) : ends[row];
  }
  uint64_t begin(uint64_t row) const { return row == 0 ? 0 : end(row - 1); }
  float number(uint64_t place) const { return numbers.empty() ? 1.0F : numbers[place]; }
};

// Rows of floats of which one begins `stride` after the other: the only view that knows gaps, for
// one moment of a sequence or one part of joined channels. A tensor is one whose columns are its
// last axis. Borrows as a TensorView does.
template <class T>
class MatrixView final {
 public:
  MatrixView() = default;
  MatrixView(T* data, uint64_t rows, uint64_t columns, uint64_t stride)
      : data_(data), rows_(rows), columns_(columns), stride_(stride) {
    SM_ASSERT(columns <= stride);
  }
  MatrixView(const TensorView<T>& tensor)
      : data_(tensor.data()),
        columns_(tensor.shape().dim(tensor.shape().dims() - 1)),
        stride_(columns_) {
    rows_ = columns_ == 0 ? 0 : tensor.size() / columns_;
  }
  MatrixView(const TensorView<std::remove_const_t<T>>& tensor) requires(std::is_const_v<T>)
      : MatrixView(TensorView<T>(tensor)) {}
  operator MatrixView<const T>() const requires(!std::is_const_v<T>) {
    return {data_, rows_, columns_, stride_};
  }

  T* data() const { return data_; }
  uint64_t rows() const { return rows_; }
  uint64_t columns() const { return columns_; }
  uint64_t stride() const { return stride_; }
  bool empty() const { return rows_ * columns_ == 0; }
  T* row(uint64_t index) const { return data_ + index * stride_; }

  // Some of the columns of every row.
  MatrixView Columns(uint64_t begin, uint64_t count) const {
    SM_ASSERT(begin + count <= columns_);
    return {data_ + begin, rows_, count, stride_};
  }

 private:
  T* data_ = nullptr;
  uint64_t rows_ = 0;
  uint64_t columns_ = 0;
  uint64_t stride_ = 0;
};

using Matrix = MatrixView<float>;
using ConstMatrix = MatrixView<const float>;

}  // namespace shardmill::nn
