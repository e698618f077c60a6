#include "server/row_image.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace shardmill {

RowImage::RowImage(const RowStore& store, uint32_t dim, uint64_t row_floats)
    : store_(store),
      dim_(dim),
      row_floats_(row_floats),
      rows_(store.size()),
      aside_((rows_ + kBatchRows - 1) / kBatchRows) {}

void RowImage::CopyAside(uint32_t row) {
  Aside& aside = aside_[row / kBatchRows];
  if (aside.kept.empty()) {
    aside.kept.resize(kBatchRows);
    aside.floats = std::make_unique_for_overwrite<float[]>(kBatchRows * row_floats_);
  }
  const uint64_t inside = row % kBatchRows;
  if (aside.kept[inside]) return;
  aside.kept[inside] = true;
  std::copy_n(store_.At(row), row_floats_, aside.floats.get() + inside * row_floats_);
}

// The row as it was.
const float* RowImage::At(uint32_t row) const {
  const Aside& aside = aside_[row / kBatchRows];
  const uint64_t inside = row % kBatchRows;
  const bool kept = !aside.kept.empty() && aside.kept[inside];
  return kept ? aside.floats.get() + inside * row_floats_ : store_.At(row);
}

std::optional<RowBatch> RowImage::Advance(uint64_t rows_max, FramePool& frames) {
  if (done()) return {};
  const uint64_t first = next_ / kBatchRows * kBatchRows;
  const uint64_t end = std::min(first + kBatchRows, rows_);
  const uint64_t state = row_floats_ - dim_;
  if (!now_) {
    const uint64_t count = end - first;
    now_ = Building{frames.OfBytes(count * sizeof(uint64_t)), frames.OfFloats(count * dim_),
                    frames.OfFloats(count * state)};
  }
  for (uint64_t left = rows_max; left > 0 && next_ < end; --left, ++next_) {
    const auto row = static_cast<uint32_t>(next_);
    const uint64_t key = store_.KeyOf(row);
    const uint64_t inside = next_ - first;
    std::memcpy(now_->keys.bytes().data() + inside * sizeof(key), &key, sizeof(key));
    std::copy_n(At(row), dim_, now_->values.floats().data() + inside * dim_);
    std::copy_n(At(row) + dim_, state, now_->state.floats().data() + inside * state);
  }
  if (next_ < end) return {};
  aside_[first / kBatchRows] = {};
  RowBatch batch{std::move(now_->keys).Close(), std::move(now_->values).Close(),
                 std::move(now_->state).Close()};
  now_.reset();
  return batch;
}

}  // namespace shardmill
