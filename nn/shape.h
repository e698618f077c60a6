#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "common/result.h"

namespace shardmill::nn {

// How many floats lie along each axis of a tensor, the outermost first. A value of one to four
// extents, each at least 1 but for the first, which may be 0: a batch without rows.
class Shape final {
 public:
  static constexpr size_t kDimsMax = 4;
  // 4 TiB of floats. A larger tensor is a mistake in a file, and would overflow further on.
  static constexpr uint64_t kSizeMax = uint64_t{1} << 40;

  // For extents from outside: refuses what no tensor can have.
  static Result<Shape> Make(std::span<const uint64_t> dims);

  // One axis without floats.
  Shape() : Shape({0}) {}
  // For extents that are known to be right.
  Shape(std::initializer_list<uint64_t> dims);

  size_t dims() const { return dims_count_; }
  uint64_t dim(size_t axis) const {
    SM_ASSERT(axis < dims_count_);
    return extents_[axis];
  }
  uint64_t size() const { return size_; }

  // `rows` tensors of this shape, one after the other.
  Shape Rows(uint64_t rows) const;

  // "28x28".
  std::string ToString() const;

  bool operator==(const Shape&) const = default;

 private:
  void Set(std::span<const uint64_t> dims);

  std::array<uint64_t, kDimsMax> extents_{};
  size_t dims_count_ = 0;
  uint64_t size_ = 0;
};

}  // namespace shardmill::nn
