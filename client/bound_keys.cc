#include "client/bound_keys.h"

#include <algorithm>
#include <cstring>

#include "common/assert.h"

namespace shardmill {
namespace {

struct Place {
  uint32_t shard;
  uint64_t key;
  uint32_t at;

  auto operator<=>(const Place&) const = default;
};

uint32_t ShardOf(const TablePlace& table, uint64_t key) {
  const auto after = std::ranges::upper_bound(table.cuts, BucketOf(key));
  return static_cast<uint32_t>(after - table.cuts.begin() - 1);
}

// The coordinator has a sparse table name its update where the job's own is not a gradient's.
UpdateRule RuleOf(const TableSpec& spec) {
  return spec.update ? spec.update->rule : UpdateRule::kSgd;
}

}  // namespace

BoundKeys::BoundKeys(const TablePlace& table, std::span<const uint64_t> keys, uint64_t piece_bytes,
                     uint64_t& next_id)
    : table_(table.id),
      dim_(table.spec.dim),
      combine_(CombineOf(RuleOf(table.spec))),
      means_(RuleOf(table.spec) == UpdateRule::kAverage),
      count_(keys.size()) {
  std::vector<Place> places(keys.size());
  for (uint32_t i = 0; i < keys.size(); ++i) places[i] = {ShardOf(table, keys[i]), keys[i], i};
  std::ranges::sort(places);
  const uint64_t rows_max = std::max<uint64_t>(1, piece_bytes / (dim_ * sizeof(float)));
  std::vector<uint64_t> names;
  for (size_t i = 0; i < places.size();) {
    Piece piece;
    piece.shard = ShardId{places[i].shard};
    piece.id = next_id++;
    names.clear();
    for (; i < places.size() && places[i].shard == piece.shard.value; ++i) {
      if (names.empty() || names.back() != places[i].key) {
        if (names.size() == rows_max) break;
        names.push_back(places[i].key);
      }
      piece.places.emplace_back(static_cast<uint32_t>(names.size() - 1), places[i].at);
    }
    piece.keys = Frame::CopyOf(names);
    pieces_.push_back(std::move(piece));
  }
}

Frame BoundKeys::Gather(const Piece& piece, std::span<const float> rows) const {
  Buffer out = Buffer::OfFloats(uint64_t{piece.rows()} * dim_);
  const auto& places = piece.places;
  for (size_t begin = 0; begin < places.size();) {
    const uint32_t row = places[begin].first;
    size_t end = begin + 1;
    while (end < places.size() && places[end].first == row) ++end;
    const float weight = means_ ? 1 / static_cast<float>(end - begin) : 1;
    const std::span<float> to = out.floats().subspan(uint64_t{row} * dim_, dim_);
    for (size_t i = begin; i < end; ++i) {
      CombineInto(combine_, i == begin, weight,
                  rows.subspan(uint64_t{places[i].second} * dim_, dim_), to);
    }
    begin = end;
  }
  return std::move(out).Close();
}

void BoundKeys::Scatter(const Piece& piece, std::span<const float> values,
                        std::span<float> rows) const {
  SM_ASSERT(values.size() == uint64_t{piece.rows()} * dim_ && rows.size() == count_ * dim_);
  for (const auto& [row, at] : piece.places) {
    std::memcpy(rows.data() + uint64_t{at} * dim_, values.data() + uint64_t{row} * dim_,
                dim_ * sizeof(float));
  }
}

}  // namespace shardmill
