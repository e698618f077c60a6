#include "server/sparse_slice.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "common/assert.h"
#include "common/crc32c.h"
#include "common/mutation.h"
#include "common/view.h"

namespace shardmill {
namespace {

// Rows on their way from memory while those before them are used.
constexpr size_t kAhead = 64;

// The processor goes on by itself where a row is long.
void Prefetch(const float* row, uint64_t floats) {
  constexpr uint64_t kLine = 16;
  constexpr uint64_t kLinesMax = 4;
  const uint64_t end = std::min(floats, kLinesMax * kLine);
  for (uint64_t at = 0; at < end; at += kLine) __builtin_prefetch(row + at);
}

// The rows that a push changes.
std::span<uint32_t> RowsOf(KeyRows& keys) {
  const bool drop = Mutated(Mutation::kDropLastRow) && keys.rows.size() > 1;
  return std::span(keys.rows).first(keys.rows.size() - (drop ? 1 : 0));
}

}  // namespace

SparseSlice::SparseSlice(uint64_t begin, uint64_t end, uint32_t dim, const Initial& initial,
                         const Optimizer& optimizer)
    : begin_(begin),
      end_(end),
      dim_(dim),
      row_floats_(RowFloats(dim, optimizer)),
      initial_(initial),
      store_(row_floats_) {
  SM_ASSERT(begin <= end && dim > 0);
}

bool SparseSlice::Owns(std::span<const uint64_t> keys) const {
  if (begin_ == 0 && end_ == kBuckets) return true;
  return std::ranges::all_of(keys, [this](uint64_t key) {
    const uint64_t bucket = BucketOf(key);
    return bucket >= begin_ && bucket < end_;
  });
}

// Rows never move, so what was found once stays found.
Frame SparseSlice::Read(KeyRows& keys, FramePool& frames) const {
  index_.FindMissing(keys.keys.keys(), keys.rows);
  Buffer out = frames.OfFloats(keys.rows.size() * dim_);
  float* to = out.floats().data();
  switch (dim_) {
    case 1:
      Copy<1>(keys, to);
      break;
    case 8:
      Copy<8>(keys, to);
      break;
    case 16:
      Copy<16>(keys, to);
      break;
    case 32:
      Copy<32>(keys, to);
      break;
    default:
      Copy<0>(keys, to);
  }
  return std::move(out).Close();
}

// kDim: the row's size where it is known; 0 elsewhere.
template <uint32_t kDim>
void SparseSlice::Copy(const KeyRows& keys, float* to) const {
  const uint64_t dim = kDim != 0 ? kDim : dim_;
  const std::span<const uint32_t> rows = keys.rows;
  for (size_t i = 0; i < rows.size(); ++i, to += dim) {
    if (i + kAhead < rows.size() && rows[i + kAhead] != RowIndex::kNone) {
      Prefetch(store_.At(rows[i + kAhead]), dim);
    }
    if (rows[i] == RowIndex::kNone) {
      FillInitialRow(initial_, keys.keys.keys()[i], {to, dim});
    } else {
      std::memcpy(to, store_.At(rows[i]), dim * sizeof(float));
    }
  }
}

void SparseSlice::Apply(std::span<const ChangePart> parts, float rate, const Optimizer& optimizer) {
  several_.clear();
  for (const ChangePart& part : parts) {
    SM_ASSERT(part.gradient.floats().size() == part.keys->rows.size() * dim_);
    MakeMissing(*part.keys);
    if (!Mutated(Mutation::kRowsOneByOne)) MarkRows(RowsOf(*part.keys));
    if (image_ == nullptr || Mutated(Mutation::kChangeImagedRows)) continue;
    for (const uint32_t row : RowsOf(*part.keys)) image_->Keep(row);
  }
  for (const ChangePart& part : parts) StepOnce(part, rate, optimizer);
  if (!several_.empty()) StepSeveral(parts, rate, optimizer);
}

void SparseSlice::MakeMissing(KeyRows& keys) {
  const std::span<const uint64_t> names = keys.keys.keys();
  index_.FindMissing(names, keys.rows);
  const std::span<uint32_t> rows = RowsOf(keys);
  for (size_t i = 0; i < rows.size(); ++i) {
    uint32_t& row = rows[i];
    // The list may have the key twice.
    if (row == RowIndex::kNone) row = index_.Find(names[i]);
    if (row != RowIndex::kNone) continue;
    row = store_.Make(names[i]);
    index_.Add(names[i], row);
    FillInitialRow(initial_, names[i], {store_.At(row), dim_});
  }
}

void SparseSlice::MarkRows(std::span<const uint32_t> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i + kAhead < rows.size()) __builtin_prefetch(&store_.MarkOf(rows[i + kAhead]));
    RowStore::Mark& mark = store_.MarkOf(rows[i]);
    if (mark == RowStore::Mark::kNone) {
      mark = RowStore::Mark::kOnce;
    } else if (mark == RowStore::Mark::kOnce) {
      mark = RowStore::Mark::kSeveral;
      store_.PlaceOf(rows[i]) = static_cast<uint32_t>(several_.size());
      several_.push_back(rows[i]);
    }
  }
}

// Steps the rows that no other push of the entry has, as most are, straight from the push.
void SparseSlice::StepOnce(const ChangePart& part, float rate, const Optimizer& optimizer) {
  const std::span<const uint32_t> rows = RowsOf(*part.keys);
  const float* values = part.gradient.floats().data();
  const float scale = ScaleOf(optimizer.combine(), part.weight);
  std::array<std::array<RowChange, kAhead>, 2> changes;
  std::array<size_t, 2> counts = {0, 0};
  size_t now = 0;
  for (size_t next = 0; next < rows.size() || counts[now] > 0; now = 1 - now) {
    size_t count = 0;
    for (; next < rows.size() && count < kAhead; ++next) {
      RowStore::Mark& mark = store_.MarkOf(rows[next]);
      if (mark == RowStore::Mark::kSeveral) continue;
      mark = RowStore::Mark::kNone;
      float* row = store_.At(rows[next]);
      Prefetch(row, row_floats_);
      changes[1 - now][count++] = {row, values + next * dim_, scale, part.weight};
    }
    optimizer.StepRows(rate, dim_, std::span(changes[now]).first(counts[now]));
    counts[now] = 0;
    counts[1 - now] = count;
  }
}

void SparseSlice::StepSeveral(std::span<const ChangePart> parts, float rate,
                              const Optimizer& optimizer) {
  const Combine combine = optimizer.combine();
  change_.resize(several_.size() * dim_);
  weights_.assign(several_.size(), 0);
  begun_.assign(several_.size(), false);
  for (const ChangePart& part : parts) {
    const std::span<const uint32_t> rows = RowsOf(*part.keys);
    const std::span<const float> values = part.gradient.floats();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (store_.MarkOf(rows[i]) != RowStore::Mark::kSeveral) continue;
      const uint64_t place = store_.PlaceOf(rows[i]);
      const std::span<float> sum = std::span(change_).subspan(place * dim_, dim_);
      CombineInto(combine, !begun_[place], part.weight, values.subspan(i * dim_, dim_), sum);
      begun_[place] = true;
      weights_[place] += part.weight;
    }
  }
  for (size_t i = 0; i < several_.size(); ++i) {
    const RowChange change{store_.At(several_[i]), change_.data() + i * dim_, 1, weights_[i]};
    optimizer.StepRows(rate, dim_, {&change, 1});
    store_.MarkOf(several_[i]) = RowStore::Mark::kNone;
  }
}

SparseHead SparseSlice::Head() const {
  return {begin_, end_, dim_, static_cast<uint32_t>(row_floats_ - dim_), store_.size()};
}

void SparseSlice::BeginImage() { image_ = std::make_unique<RowImage>(store_, dim_, row_floats_); }

std::optional<RowBatch> SparseSlice::NextRows(uint64_t rows_max, FramePool& frames) {
  SM_ASSERT(image_ != nullptr);
  return image_->Advance(rows_max, frames);
}

uint32_t SparseSlice::Checksum(uint64_t begin, uint64_t count) const {
  SM_ASSERT(begin + count <= rows());
  uint32_t crc = 0;
  for (uint64_t i = begin; i < begin + count; ++i) {
    const auto row = static_cast<uint32_t>(i);
    const uint64_t key = store_.KeyOf(row);
    crc = Crc32c(std::as_bytes(std::span(&key, 1)), crc);
    crc = Crc32c(std::as_bytes(std::span(store_.At(row), row_floats_)), crc);
  }
  return crc;
}

Result<> SparseSlice::Restore(const RowBatch& batch) {
  const std::span<const uint64_t> keys = batch.keys.keys();
  const uint64_t state = row_floats_ - dim_;
  if (batch.values.floats().size() != keys.size() * dim_ ||
      batch.state.floats().size() != keys.size() * state) {
    return Error{ErrorCode::kBadInput, "a snapshot has rows of another size than the table's"};
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!Owns(keys.subspan(i, 1)) || index_.Find(keys[i]) != RowIndex::kNone ||
        store_.size() == RowIndex::kRowsMax) {
      return Error{ErrorCode::kBadInput, "a snapshot has the row " + std::to_string(keys[i]) +
                                             " where it does not belong, or twice"};
    }
    const uint32_t row = store_.Make(keys[i]);
    index_.Add(keys[i], row);
    std::ranges::copy(batch.values.floats().subspan(i * dim_, dim_), store_.At(row));
    std::ranges::copy(batch.state.floats().subspan(i * state, state), store_.At(row) + dim_);
  }
  return {};
}

}  // namespace shardmill
