#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "client/model.h"
#include "worker/data/row.h"

namespace shardmill {

// Bytes that rows lie in: the process's own or those of a mapped file. Made by one thread, owned by
// a SampleStore, which never writes them.
class SampleMemory {
 public:
  virtual ~SampleMemory() = default;
  virtual std::span<const std::byte> bytes() const = 0;
};

// Some rows of all columns, copied together. A value that is filled again and again, so that it
// allocates only while batches grow. One thread.
struct GatheredRows {
  struct Part {
    std::vector<float> floats;
    std::vector<uint32_t> ids;
    std::vector<uint64_t> keys;
    std::vector<uint64_t> ends;

    ColumnView view() const { return {floats, ids, keys, ends}; }
  };
  std::vector<Part> columns;  // As the store has them.
  uint64_t rows = 0;
};

// Rows by number, wherever they lie: in this process's memory, or in a file that is mapped and that
// other processes share. Whoever reads it cannot tell, but by the time that it takes. Made by a
// RowBuilder or from a file; any thread may read it once it is there; cannot fail.
class SampleStore final {
 public:
  // `memory` holds what ArraysOf(columns) lists, in that order.
  SampleStore(Columns columns, uint64_t rows, std::vector<std::unique_ptr<SampleMemory>> memory);

  const Columns& columns() const { return columns_; }
  const Column& target() const { return columns_.back(); }
  uint64_t rows() const { return rows_; }
  // Rows of the data set's files that could not be read, and were left out.
  uint64_t bad_rows() const { return bad_rows_; }
  void NoteBadRows(uint64_t rows) { bad_rows_ = rows; }
  // All rows of a column.
  const ColumnView& column(size_t index) const { return views_[index]; }

  // The rows of these numbers, each below rows(), in this order.
  void Gather(std::span<const uint32_t> numbers, GatheredRows& to) const;

  // Makes a column's bound of ids that of another part of the data set, where that is greater: one
  // network fits them all.
  void RaiseIdsEnd(size_t column, const Column& other);

 private:
  void GatherSparse(const ColumnView& from, std::span<const uint32_t> numbers,
                    GatheredRows::Part& to) const;

  Columns columns_;
  const uint64_t rows_;
  uint64_t bad_rows_ = 0;
  const std::vector<std::unique_ptr<SampleMemory>> memory_;
  std::vector<ColumnView> views_;
};

// One of the arrays that columns come to: of a fixed number of bytes a row, or of any.
struct RowArray {
  size_t column = 0;
  uint64_t row_bytes = 0;  // 0: as many as the row has ids.
};

// A sparse column is three: ends, ids, numbers.
std::vector<RowArray> ArraysOf(const Columns& columns);

}  // namespace shardmill
