#include "server/row_store.h"

#include <algorithm>
#include <bit>

namespace shardmill {
namespace {

// About what the floats of a slab take; one row at least.
constexpr uint64_t kSlabBytes = uint64_t{1} << 20;

uint32_t Shift(uint64_t row_floats) {
  const uint64_t rows = std::max<uint64_t>(kSlabBytes / (row_floats * sizeof(float)), 1);
  return static_cast<uint32_t>(std::bit_width(rows)) - 1;
}

}  // namespace

RowStore::RowStore(uint64_t row_floats) : row_floats_(row_floats), shift_(Shift(row_floats)) {}

uint32_t RowStore::Make(uint64_t key) {
  const auto row = static_cast<uint32_t>(size_++);
  if (row >> shift_ == slabs_.size()) {
    const uint64_t rows = uint64_t{1} << shift_;
    // Pages that no step uses are never touched.
    const auto floats = memory_.Take(rows * row_floats_ * sizeof(float));
    const auto keys = memory_.Take(rows * sizeof(uint64_t));
    const auto marks = memory_.Take(rows * sizeof(Mark));
    const auto places = memory_.Take(rows * sizeof(uint32_t));
    slabs_.push_back(
        {reinterpret_cast<float*>(floats.data()), reinterpret_cast<uint64_t*>(keys.data()),
         reinterpret_cast<Mark*>(marks.data()), reinterpret_cast<uint32_t*>(places.data())});
  }
  slabs_[row >> shift_].keys[Inside(row)] = key;
  return row;
}

}  // namespace shardmill
