#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "snapshot/image.h"

// The logical hash of tables: a sum over their numbers of a hash of (table, slot, place, bits), so
// that parts can be summed in any order, and one state has one hash however many shards have it.
// Sums wrap around.
namespace shardmill {

// Floats of a dense table from `begin` on; slot 0 are the parameters.
uint64_t DenseContent(std::string_view table, uint32_t slot, uint64_t begin,
                      std::span<const float> floats);
uint64_t UpdatesContent(std::string_view table, std::span<const UpdateRun> runs);
// Rows with their keys and all of their state.
uint64_t RowsContent(std::string_view table, const RowBatch& batch);

}  // namespace shardmill
