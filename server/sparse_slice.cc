#include "server/sparse_slice.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/assert.h"
#include "common/mutation.h"
#include "common/view.h"

namespace shardmill {
namespace {

// About what a slab takes; one row at least.
constexpr uint64_t kSlabBytes = uint64_t{1} << 20;

uint32_t SlabShift(uint64_t row_bytes) {
  const uint64_t rows = std::max<uint64_t>(kSlabBytes / row_bytes, 1);
  return static_cast<uint32_t>(std::bit_width(rows)) - 1;
}

}  // namespace

SparseSlice::SparseSlice(uint64_t begin, uint64_t end, uint32_t dim, const Initial& initial,
                         uint32_t slots)
    : begin_(begin),
      end_(end),
      dim_(dim),
      stride_(dim * (1 + slots) + 1),
      slab_shift_(SlabShift(stride_ * sizeof(float))),
      initial_(initial) {
  SM_ASSERT(begin <= end && dim > 0);
}

bool SparseSlice::Owns(uint64_t key) const {
  const uint64_t bucket = BucketOf(key);
  return bucket >= begin_ && bucket < end_;
}

Frame SparseSlice::Read(KeyRows& keys) const {
  const std::span<const uint64_t> names = keys.keys.keys();
  Buffer out = Buffer::OfFloats(names.size() * dim_);
  const std::span<float> floats = out.floats();
  for (size_t i = 0; i < names.size(); ++i) {
    const std::span<float> to = floats.subspan(i * dim_, dim_);
    const uint32_t row = Resolve(keys, i);
    if (row == RowIndex::kNone) {
      FillInitialRow(initial_, names[i], to);
    } else {
      std::memcpy(to.data(), Row(row), to.size_bytes());
    }
  }
  return std::move(out).Close();
}

void SparseSlice::Apply(std::span<const ChangePart> parts, float rate, const Optimizer& optimizer) {
  touched_.clear();
  change_.clear();
  weights_.clear();
  for (const ChangePart& part : parts) {
    KeyRows& keys = *part.keys;
    const std::span<const float> values = part.gradient.floats();
    SM_ASSERT(values.size() == keys.rows.size() * dim_);
    for (size_t i = 0; i < keys.rows.size(); ++i) {
      if (i > 0 && i + 1 == keys.rows.size() && Mutated(Mutation::kDropLastRow)) break;
      uint32_t row = Resolve(keys, i);
      if (row == RowIndex::kNone) row = keys.rows[i] = Make(keys.keys.keys()[i]);
      const bool first = place_[row] == RowIndex::kNone || Mutated(Mutation::kRowsOneByOne);
      if (first) {
        place_[row] = static_cast<uint32_t>(touched_.size());
        touched_.push_back(row);
        change_.resize(change_.size() + dim_);
        weights_.push_back(0);
      }
      weights_[place_[row]] += part.weight;
      const std::span<float> sum = std::span(change_).subspan(uint64_t{place_[row]} * dim_, dim_);
      CombineInto(optimizer.combine(), first, part.weight, values.subspan(i * dim_, dim_), sum);
    }
  }
  for (size_t i = 0; i < touched_.size(); ++i) {
    float* row = Row(touched_[i]);
    float& count = row[stride_ - 1];
    // A float counts exactly so far; what depends on the count has long settled by then.
    constexpr float kCountMax = 1 << 24;
    count = std::min(count + 1, kCountMax);
    optimizer.Step({rate, static_cast<uint64_t>(count), weights_[i]},
                   std::span(change_).subspan(i * dim_, dim_), {row, dim_}, {row + dim_, dim_});
    place_[touched_[i]] = RowIndex::kNone;
  }
}

float* SparseSlice::Row(uint32_t row) const {
  const uint64_t inside = row & ((uint64_t{1} << slab_shift_) - 1);
  return slabs_[row >> slab_shift_].get() + inside * stride_;
}

// Rows never move, so what was found once stays found.
uint32_t SparseSlice::Resolve(KeyRows& keys, size_t at) const {
  uint32_t& row = keys.rows[at];
  if (row == RowIndex::kNone) row = index_.Find(keys.keys.keys()[at]);
  return row;
}

uint32_t SparseSlice::Make(uint64_t key) {
  const auto row = static_cast<uint32_t>(keys_.size());
  if (row >> slab_shift_ == slabs_.size()) {
    slabs_.push_back(std::make_unique<float[]>(SlabFloats()));
  }
  index_.Add(key, row);
  keys_.push_back(key);
  place_.push_back(RowIndex::kNone);
  FillInitialRow(initial_, key, {Row(row), dim_});
  return row;
}

}  // namespace shardmill
