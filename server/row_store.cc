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
    // Together, so that the first slab lies in one mapping. Pages that no step uses are never
    // touched.
    const std::span<std::byte> all = memory_.Take(
        rows * (row_floats_ * sizeof(float) + sizeof(uint64_t) + sizeof(uint32_t) + sizeof(Mark)));
    auto* keys = reinterpret_cast<uint64_t*>(all.data());
    auto* floats = reinterpret_cast<float*>(keys + rows);
    auto* places = reinterpret_cast<uint32_t*>(floats + rows * row_floats_);
    slabs_.push_back({floats, keys, reinterpret_cast<Mark*>(places + rows), places});
  }
  slabs_[row >> shift_].keys[Inside(row)] = key;
  return row;
}

}  // namespace shardmill
