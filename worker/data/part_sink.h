#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "worker/data/row_builder.h"
#include "worker/data/row_cache.h"
#include "worker/data/rows.h"

namespace shardmill {

// Deals rows to the parts of a data set by chance: of every thousand in a row each part has its
// share, to the row. A function of seed, shares and the number of the row. Cannot fail; one thread.
class RowSplit final {
 public:
  // Shares that add up to 1.
  RowSplit(std::vector<double> shares, uint64_t seed);

  // The part of the next row.
  size_t Next();

 private:
  static constexpr size_t kBlock = 1000;

  void DealBlock();

  const std::vector<double> shares_;
  const uint64_t seed_;
  uint64_t rows_ = 0;
  std::array<uint8_t, kBlock> deal_{};
};

// Where the rows of all parts of a data set go: to memory while they fit, and then to files of the
// cache, unless another process has made them by then. Owned by whoever reads, on its thread.
class PartSink final : public RowSink {
 public:
  struct Options {
    size_t parts = 1;
    uint64_t memory = 0;
    uint64_t bad_rows_max = 0;
    std::function<bool()> stopped;  // Asked now and then.
  };

  PartSink(Options options, RowCache& cache);

  // The rows that come now go to this part, or are dealt among all.
  void Fill(size_t part) {
    part_ = part;
    split_.reset();
  }
  void Deal(RowSplit split) { split_ = std::make_unique<RowSplit>(std::move(split)); }

  Result<> Begin(const Columns& columns) override;
  Result<> Take(const Row& row, const RowPlace& place) override;
  Result<> TakeBad(const RowPlace& place, const std::string& words) override;

  // Words of columns, of all parts.
  void SetWords(const std::vector<std::vector<std::string>>& words);
  Result<std::vector<std::unique_ptr<SampleStore>>> Finish();

  // Rows that another process had packed when these no longer fitted; reading them then ends with
  // an error that means nothing.
  std::vector<std::unique_ptr<SampleStore>>& found() { return found_; }
  const BadRows& bad_rows() const { return bad_rows_; }
  std::vector<std::string>& notes() { return notes_; }

 private:
  Result<> Overflow();
  Result<> CheckStop();

  const Options options_;
  RowCache& cache_;
  RowBudget budget_;
  BadRows bad_rows_;
  std::vector<std::string> notes_;
  size_t part_ = 0;
  std::unique_ptr<RowSplit> split_;
  std::vector<std::unique_ptr<RowBuilder>> builders_;  // One a part, once columns are known.
  bool spilled_ = false;
  uint64_t rows_ = 0;
  std::vector<std::unique_ptr<SampleStore>> found_;
};

}  // namespace shardmill
