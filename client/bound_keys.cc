#include "client/bound_keys.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "common/assert.h"
#include "common/rng.h"

namespace shardmill {
namespace {

constexpr uint32_t kNone = 0xffffffff;

uint32_t ShardOf(const TablePlace& table, uint64_t key) {
  if (table.cuts.size() == 2) return 0;
  const auto after = std::ranges::upper_bound(table.cuts, BucketOf(key));
  return static_cast<uint32_t>(after - table.cuts.begin() - 1);
}

// The coordinator has a sparse table name its update where the job's own is not a gradient's.
UpdateRule RuleOf(const TableSpec& spec) {
  return spec.update ? spec.update->rule : UpdateRule::kSgd;
}

// Which keys of a list may stand in it more than once: never says no of one that does. Most lists
// have next to none, and most keys are done with here, in little memory and without a branch.
class Suspects final {
 public:
  explicit Suspects(std::span<const uint64_t> keys)
      : mask_(std::bit_ceil(kBitsOfKey * keys.size() + 1) - 1),
        seen_(mask_ / kWordBits + 1),
        again_(seen_.size()) {
    for (const uint64_t key : keys) {
      const uint64_t hash = Mix(key) & mask_;
      uint64_t& seen = seen_[hash / kWordBits];
      const uint64_t bit = uint64_t{1} << hash % kWordBits;
      again_[hash / kWordBits] |= seen & bit;
      seen |= bit;
    }
  }
  bool Has(uint64_t key) const {
    const uint64_t hash = Mix(key) & mask_;
    return (again_[hash / kWordBits] >> hash % kWordBits & 1) != 0;
  }

 private:
  static constexpr uint64_t kBitsOfKey = 16;
  static constexpr uint64_t kWordBits = 64;

  uint64_t mask_;
  std::vector<uint64_t> seen_;
  std::vector<uint64_t> again_;
};

}  // namespace

BoundKeys::BoundKeys(const TablePlace& table, std::span<const uint64_t> keys, uint64_t piece_bytes,
                     FramePool& frames, uint64_t& next_id)
    : table_(table.id),
      dim_(table.spec.dim),
      combine_(CombineOf(RuleOf(table.spec))),
      means_(RuleOf(table.spec) == UpdateRule::kAverage),
      count_(keys.size()),
      frames_(frames) {
  // Rows travel with their keys, and both must fit.
  const uint64_t row_bytes = dim_ * sizeof(float) + sizeof(uint64_t);
  Cut(table, keys, std::max<uint64_t>(1, piece_bytes / row_bytes));
  std::ranges::stable_sort(pieces_, {}, &Piece::shard);
  for (Piece& piece : pieces_) {
    piece.id = next_id++;
    Buffer names = frames_.OfBytes(piece.first.size() * sizeof(uint64_t));
    auto* to = reinterpret_cast<uint64_t*>(names.bytes().data());
    for (const uint32_t at : piece.first) *to++ = keys[at];
    piece.keys = std::move(names).Close();
  }
}

void BoundKeys::Cut(const TablePlace& table, std::span<const uint64_t> keys, uint64_t rows_max) {
  struct Row {
    uint32_t piece;
    uint32_t row;
  };
  const Suspects suspects(keys);
  std::unordered_map<uint64_t, Row> suspected;
  std::vector<uint32_t> open(table.cuts.size() - 1, kNone);  // By shard: its piece with room.
  for (uint32_t at = 0; at < keys.size(); ++at) {
    Row* known = nullptr;
    if (suspects.Has(keys[at])) {
      const auto [found, is_new] = suspected.try_emplace(keys[at]);
      known = &found->second;
      if (!is_new) {
        pieces_[known->piece].repeats.push_back({known->row, at});
        continue;
      }
    }
    const uint32_t shard = ShardOf(table, keys[at]);
    uint32_t& piece = open[shard];
    if (piece == kNone || pieces_[piece].first.size() == rows_max) {
      piece = static_cast<uint32_t>(pieces_.size());
      pieces_.emplace_back().shard = ShardId{shard};
      pieces_.back().first.reserve(std::min<uint64_t>(rows_max, keys.size()));
    }
    if (known != nullptr) *known = {piece, pieces_[piece].rows()};
    pieces_[piece].first.push_back(at);
  }
}

Frame BoundKeys::Gather(const Piece& piece, std::span<const float> rows) const {
  Buffer out = frames_.OfFloats(uint64_t{piece.rows()} * dim_);
  float* to = out.floats().data();
  const auto row_of = [&](uint32_t at) { return rows.subspan(uint64_t{at} * dim_, dim_); };
  if (piece.IsRun()) {
    std::memcpy(to, row_of(piece.first.front()).data(), out.bytes().size());
    return std::move(out).Close();
  }
  for (const uint32_t at : piece.first) {
    std::memcpy(to, row_of(at).data(), dim_ * sizeof(float));
    to += dim_;
  }
  std::vector<uint32_t> times;
  if (means_ && !piece.repeats.empty()) {
    times.assign(piece.rows(), 1);
    for (const Repeat& repeat : piece.repeats) ++times[repeat.row];
    for (uint32_t row = 0; row < piece.rows(); ++row) {
      const std::span<float> sum = out.floats().subspan(uint64_t{row} * dim_, dim_);
      for (float& value : sum) value *= 1 / static_cast<float>(times[row]);
    }
  }
  for (const Repeat& repeat : piece.repeats) {
    const float weight = means_ ? 1 / static_cast<float>(times[repeat.row]) : 1;
    CombineInto(combine_, false, weight, row_of(repeat.at),
                out.floats().subspan(uint64_t{repeat.row} * dim_, dim_));
  }
  return std::move(out).Close();
}

void BoundKeys::Scatter(const Piece& piece, std::span<const float> values,
                        std::span<float> rows) const {
  SM_ASSERT(values.size() == uint64_t{piece.rows()} * dim_ && rows.size() == count_ * dim_);
  const auto copy = [&](uint32_t row, uint32_t at, uint64_t count) {
    std::memcpy(rows.data() + uint64_t{at} * dim_, values.data() + uint64_t{row} * dim_,
                count * dim_ * sizeof(float));
  };
  if (piece.IsRun()) {
    copy(0, piece.first.front(), piece.rows());
    return;
  }
  for (uint32_t row = 0; row < piece.rows(); ++row) copy(row, piece.first[row], 1);
  for (const Repeat& repeat : piece.repeats) copy(repeat.row, repeat.at, 1);
}

}  // namespace shardmill
