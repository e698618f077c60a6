#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "common/combine.h"
#include "common/frame.h"
#include "common/ids.h"
#include "common/messages.h"
#include "common/view.h"

namespace shardmill {

// A caller's list of keys, resolved once against a table's map: which shard has which row, in
// pieces of one message each, with equal keys found. Owned by a PsClient and by its operations
// under way, on one thread. Cannot fail.
class BoundKeys final {
 public:
  // A part of the list that goes to one shard in one message.
  struct Piece {
    ShardId shard;
    uint64_t id = 0;     // Its name on the wire.
    Frame keys;          // Each once.
    bool known = false;  // The shard has shown that it has the list.
    // Its rows: (row in the piece, place in the caller's list), in order of rows.
    std::vector<std::pair<uint32_t, uint32_t>> places;

    uint32_t rows() const { return static_cast<uint32_t>(keys.size() / sizeof(uint64_t)); }
    KeyList List() const { return {id, known ? Frame() : keys}; }
  };

  // `next_id` names the pieces and goes on counting.
  BoundKeys(const TablePlace& table, std::span<const uint64_t> keys, uint64_t piece_bytes,
            uint64_t& next_id);

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
  TableId table_;
  uint32_t dim_;
  Combine combine_;
  bool means_;  // Of the rows of equal keys.
  uint64_t count_;
  std::vector<Piece> pieces_;
};

}  // namespace shardmill
