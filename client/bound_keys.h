#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/combine.h"
#include "common/frame.h"
#include "common/frame_pool.h"
#include "common/ids.h"
#include "common/messages.h"
#include "common/view.h"

namespace shardmill {

// A caller's list of keys, resolved once against a table's map: which shard has which row, in
// pieces of one message each, with equal keys found. Owned by a PsClient and by its operations
// under way, on one thread. Cannot fail.
class BoundKeys final {
 public:
  // A place of the caller's where a key stands that stood before.
  struct Repeat {
    uint32_t row;
    uint32_t at;
  };

  // A part of the list that goes to one shard in one message.
  struct Piece {
    ShardId shard;
    uint64_t id = 0;              // Its name on the wire.
    Frame keys;                   // Each once, in the caller's order.
    bool known = false;           // The shard has shown that it has the list.
    std::vector<uint32_t> first;  // By row: the first place of its key in the caller's list.
    std::vector<Repeat> repeats;  // In the caller's order.

    uint32_t rows() const { return static_cast<uint32_t>(first.size()); }
    // The rows are as many of the caller's, one after the other.
    bool IsRun() const { return repeats.empty() && first.back() - first.front() + 1 == rows(); }
    KeyList List() const { return {id, known ? Frame() : keys}; }
  };

  // `next_id` names the pieces and goes on counting.
  BoundKeys(const TablePlace& table, std::span<const uint64_t> keys, uint64_t piece_bytes,
            FramePool& frames, uint64_t& next_id);

  TableId table() const { return table_; }
  uint32_t dim() const { return dim_; }
  uint64_t count() const { return count_; }
  std::vector<Piece>& pieces() { return pieces_; }

  // The rows of a piece, from the caller's; rows of equal keys become one as the table combines
  // pushes: their sum, the last, the least or greatest, or the mean where tables are averaged.
  Frame Gather(const Piece& piece, std::span<const float> rows) const;
  // The rows of a piece, to each place where the caller named their keys.
  void Scatter(const Piece& piece, std::span<const float> values, std::span<float> rows) const;

 private:
  void Cut(const TablePlace& table, std::span<const uint64_t> keys, uint64_t rows_max);

  TableId table_;
  uint32_t dim_;
  Combine combine_;
  bool means_;  // Of the rows of equal keys.
  uint64_t count_;
  FramePool& frames_;
  std::vector<Piece> pieces_;  // By shard.
};

}  // namespace shardmill
