#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "common/assert.h"
#include "nn/shape.h"

namespace shardmill::nn {

// Floats that someone else owns, seen as rows and columns, the last axis densest. A value that
// borrows: the floats must outlive it, and whoever owns them says which thread may use them. One
// that was made of nothing stands for "none", as where a gradient is not wanted.
template <class T>
class TensorView final {
 public:
  TensorView() = default;
  TensorView(std::span<T> floats, const Shape& shape) : data_(floats.data()), shape_(shape) {
    SM_ASSERT(floats.size() == shape.size());
  }
  // Whoever may write may also read.
  operator TensorView<const T>() const requires(!std::is_const_v<T>) { return {floats(), shape_}; }

  bool empty() const { return shape_.size() == 0; }
  T* data() const { return data_; }
  const Shape& shape() const { return shape_; }
  uint64_t size() const { return shape_.size(); }
  std::span<T> floats() const { return {data_, shape_.size()}; }

  // The first axis, and how many floats lie under one of its places.
  uint64_t rows() const { return shape_.dim(0); }
  uint64_t row_size() const { return empty() ? 0 : shape_.size() / shape_.dim(0); }
  std::span<T> row(uint64_t index) const {
    SM_ASSERT(index < rows());
    return {data_ + index * row_size(), row_size()};
  }

  // The same floats under another shape of the same size.
  TensorView As(const Shape& shape) const { return TensorView(floats(), shape); }

 private:
  T* data_ = nullptr;
  Shape shape_;
};

using Tensor = TensorView<float>;
using ConstTensor = TensorView<const float>;

}  // namespace shardmill::nn
