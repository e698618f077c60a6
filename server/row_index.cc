#include "server/row_index.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "common/assert.h"
#include "common/rng.h"

namespace shardmill {
namespace {

constexpr uint64_t kSegmentBucketsMin = 16;  // Of the first one, which is widened as it fills.
constexpr uint64_t kSegmentBuckets = 2048;
// The low bits of the mixed key are the place in a segment, the ones from here on its segment. The
// high ones choose the key's bucket of the table, and so are alike on a shard.
constexpr int kSegmentShift = 20;
// Keys looked up at once: enough to wait for memory together, few enough to stay in the cache.
constexpr size_t kBatch = 64;

}  // namespace

// These three are what a look-up is made of: inline, or a shared library could replace them.

// The key's next_row, or 0. Whether a key is in the first bucket, and where, is no branch.
inline uint32_t RowIndex::FindIn(const Segment& segment, uint64_t hash, uint64_t key) {
  for (uint64_t at = hash;; ++at) {
    const Bucket& bucket = segment.buckets[at & segment.mask];
    uint32_t next_row = 0;
    for (uint32_t i = 0; i < kBucketKeys; ++i) {
      next_row |= bucket.next_rows[i] & (0U - static_cast<uint32_t>(bucket.keys[i] == key));
    }
    if (next_row != 0 || !bucket.full()) return next_row;
  }
}

inline void RowIndex::AddTo(Segment& segment, uint64_t hash, uint64_t key, uint32_t next_row) {
  uint64_t at = hash;
  while (segment.buckets[at & segment.mask].full()) ++at;
  Bucket& bucket = segment.buckets[at & segment.mask];
  const auto free = std::ranges::find(bucket.next_rows, 0U) - bucket.next_rows.begin();
  bucket.keys[static_cast<size_t>(free)] = key;
  bucket.next_rows[static_cast<size_t>(free)] = next_row;
  ++segment.size;
}

// Segments that are not there yet have their keys in the one that they will be split from.
inline uint64_t RowIndex::SegmentOf(uint64_t hash) const {
  const uint64_t number = (hash >> kSegmentShift) & segment_mask_;
  return number < segments_.size() ? number : number & (segment_mask_ >> 1);
}

RowIndex::RowIndex() { segments_.push_back(MakeSegment(kSegmentBucketsMin)); }

uint32_t RowIndex::Find(uint64_t key) const {
  const uint64_t hash = Mix(key);
  return FindIn(segments_[SegmentOf(hash)], hash, key) - 1;  // Of 0 makes kNone.
}

void RowIndex::FindMissing(std::span<const uint64_t> keys, std::span<uint32_t> rows) const {
  SM_ASSERT(keys.size() == rows.size());
  struct Probe {
    const Segment* segment;
    uint64_t hash;
    size_t at;
  };
  // One batch is on its way from memory while the one before it is looked up.
  std::array<std::array<Probe, kBatch>, 2> probes;
  std::array<size_t, 2> counts = {0, 0};
  size_t now = 0;
  for (size_t next = 0; next < keys.size() || counts[now] > 0; now = 1 - now) {
    size_t count = 0;
    for (; next < keys.size() && count < kBatch; ++next) {
      if (rows[next] != kNone) continue;
      const uint64_t hash = Mix(keys[next]);
      const Segment& segment = segments_[SegmentOf(hash)];
      __builtin_prefetch(&segment.buckets[hash & segment.mask]);
      probes[1 - now][count++] = {&segment, hash, next};
    }
    for (size_t i = 0; i < counts[now]; ++i) {
      const Probe& probe = probes[now][i];
      rows[probe.at] = FindIn(*probe.segment, probe.hash, keys[probe.at]) - 1;
    }
    counts[now] = 0;
    counts[1 - now] = count;
  }
}

void RowIndex::Add(uint64_t key, uint32_t row) {
  SM_ASSERT(row != kNone);
  const uint64_t hash = Mix(key);
  Segment& segment = segments_[SegmentOf(hash)];
  const uint64_t buckets = segment.mask + 1;
  // Fuller than this a segment is only where keys were chosen to be alike; or it is the first one.
  const uint64_t full = buckets * kBucketKeys / 8 * (buckets < kSegmentBuckets ? 4 : 7);
  if (segment.size >= full) Widen(segment);
  AddTo(segments_[SegmentOf(hash)], hash, key, row + 1);
  ++size_;
  // So full are segments on average: those that wait for their turn to be split hold up to twice as
  // much, which still ends a search soon.
  constexpr uint64_t kSegmentFill = kSegmentBuckets * kBucketKeys / 8 * 3;
  if (size_ > segments_.size() * kSegmentFill) SplitNext();
}

RowIndex::Segment RowIndex::MakeSegment(uint64_t buckets) {
  const std::span<std::byte> bytes = memory_.Take(buckets * sizeof(Bucket));
  return {reinterpret_cast<Bucket*>(bytes.data()), buckets - 1, 0};
}

void RowIndex::Widen(Segment& segment) {
  const Segment before = std::exchange(segment, MakeSegment(2 * (segment.mask + 1)));
  Refill({before.buckets, before.mask + 1});
}

void RowIndex::SplitNext() {
  const uint64_t made = segments_.size();
  Segment& from = segments_[made - std::bit_floor(made)];
  scratch_.assign(from.buckets, from.buckets + from.mask + 1);
  std::fill_n(from.buckets, from.mask + 1, Bucket{});
  from.size = 0;
  segments_.push_back(MakeSegment(from.mask + 1));
  segment_mask_ = std::bit_ceil(made + 1) - 1;
  Refill(scratch_);
}

void RowIndex::Refill(std::span<const Bucket> from) {
  for (const Bucket& bucket : from) {
    for (uint32_t i = 0; i < kBucketKeys && bucket.next_rows[i] != 0; ++i) {
      const uint64_t hash = Mix(bucket.keys[i]);
      AddTo(segments_[SegmentOf(hash)], hash, bucket.keys[i], bucket.next_rows[i]);
      ++moved_;
    }
  }
}

}  // namespace shardmill
