#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "server/row_memory.h"

namespace shardmill {

// Which row of a table a key has: linear hashing over segments, each with open addressing by
// buckets; never emptied. It grows by splitting one segment at a time, so that no call waits for
// all of it to be moved. Owned by a SparseSlice, on its thread. Cannot fail; it holds up to
// kRowsMax rows, which its owner sees to.
class RowIndex final {
 public:
  static constexpr uint32_t kNone = 0xffffffff;
  static constexpr uint64_t kRowsMax = kNone;  // 0 to kNone - 1.

  RowIndex();

  // The key's row, or kNone.
  uint32_t Find(uint64_t key) const;
  // Looks up each key whose row is kNone, many at a time.
  void FindMissing(std::span<const uint64_t> keys, std::span<uint32_t> rows) const;
  // Gives a key that has none the row `row`.
  void Add(uint64_t key, uint32_t row);

  // Calls `visit(key, row)` for each, in no order.
  template <class Visit>
  void ForEach(Visit visit) const {
    for (const Segment& segment : segments_) {
      for (const Bucket& bucket : std::span(segment.buckets, segment.mask + 1)) {
        for (uint32_t i = 0; i < kBucketKeys; ++i) {
          if (bucket.next_rows[i] != 0) visit(bucket.keys[i], bucket.next_rows[i] - 1);
        }
      }
    }
  }

  uint64_t size() const { return size_; }
  // Keys that growth has moved since the beginning, for tests.
  uint64_t moved() const { return moved_; }

 private:
  static constexpr uint32_t kBucketKeys = 5;
  // A cache line, filled from its beginning. What does not fit goes on in the next.
  struct alignas(64) Bucket {
    std::array<uint64_t, kBucketKeys> keys;
    std::array<uint32_t, kBucketKeys> next_rows;  // The row and one more; 0: there is no key.

    bool full() const { return next_rows[kBucketKeys - 1] != 0; }
  };
  struct Segment {
    Bucket* buckets = nullptr;
    uint64_t mask = 0;
    uint64_t size = 0;
  };

  static uint32_t FindIn(const Segment& segment, uint64_t hash, uint64_t key);
  static void AddTo(Segment& segment, uint64_t hash, uint64_t key, uint32_t next_row);
  uint64_t SegmentOf(uint64_t hash) const;
  Segment MakeSegment(uint64_t buckets);
  void Widen(Segment& segment);
  void SplitNext();
  void Refill(std::span<const Bucket> from);

  RowMemory memory_;
  std::vector<Segment> segments_;
  uint64_t segment_mask_ = 0;  // Of the numbers of segments, those of the next power of two.
  uint64_t size_ = 0;
  uint64_t moved_ = 0;
  std::vector<Bucket> scratch_;  // Of the segment that is split.
};

}  // namespace shardmill
