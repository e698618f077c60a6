#include "nn/shape.h"

#include <algorithm>

namespace shardmill::nn {
namespace {

// Nothing where the extents are fit for a Shape, else what is wrong with them.
std::string WhatIsWrong(std::span<const uint64_t> dims) {
  if (dims.empty() || dims.size() > Shape::kDimsMax) {
    return "a shape has 1 to " + std::to_string(Shape::kDimsMax) + " extents, not " +
           std::to_string(dims.size());
  }
  uint64_t size = 1;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] == 0 && axis > 0) {
      return "extent " + std::to_string(axis + 1) + " of a shape is 0";
    }
    if (dims[axis] > Shape::kSizeMax / std::max<uint64_t>(size, 1)) {
      return "a shape holds more than " + std::to_string(Shape::kSizeMax) + " numbers";
    }
    size *= dims[axis];
  }
  return {};
}

}  // namespace

Result<Shape> Shape::Make(std::span<const uint64_t> dims) {
  std::string wrong = WhatIsWrong(dims);
  if (!wrong.empty()) return Error{ErrorCode::kBadUsage, std::move(wrong)};
  Shape shape;
  shape.Set(dims);
  return shape;
}

Shape::Shape(std::initializer_list<uint64_t> dims) {
  const std::span<const uint64_t> span(dims.begin(), dims.size());
  SM_ASSERT(WhatIsWrong(span).empty());
  Set(span);
}

void Shape::Set(std::span<const uint64_t> dims) {
  extents_ = {};
  std::copy(dims.begin(), dims.end(), extents_.begin());
  dims_count_ = dims.size();
  size_ = 1;
  for (const uint64_t extent : dims) size_ *= extent;
}

Shape Shape::Rows(uint64_t rows) const {
  SM_ASSERT(dims_count_ < kDimsMax);
  std::array<uint64_t, kDimsMax> dims{rows};
  std::copy_n(extents_.begin(), dims_count_, dims.begin() + 1);
  const std::span<const uint64_t> span(dims.data(), dims_count_ + 1);
  SM_ASSERT(WhatIsWrong(span).empty());
  Shape shape;
  shape.Set(span);
  return shape;
}

std::string Shape::ToString() const {
  std::string text = std::to_string(extents_[0]);
  for (size_t axis = 1; axis < dims_count_; ++axis) text += 'x' + std::to_string(extents_[axis]);
  return text;
}

}  // namespace shardmill::nn
