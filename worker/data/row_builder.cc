#include "worker/data/row_builder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/assert.h"

namespace shardmill {
namespace {

// Memory of this process.
class OwnMemory final : public SampleMemory {
 public:
  // Takes the segments one by one, so that all rows are never there twice.
  explicit OwnMemory(std::vector<std::vector<std::byte>> segments, uint64_t bytes) {
    bytes_.reserve(bytes);
    for (std::vector<std::byte>& segment : segments) {
      bytes_.insert(bytes_.end(), segment.begin(), segment.end());
      std::vector<std::byte>().swap(segment);
    }
  }
  std::span<const std::byte> bytes() const override { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

RowBuilder::RowBuilder(Columns columns, RowBudget& budget)
    : columns_(std::move(columns)),
      budget_(budget),
      arrays_(ArraysOf(columns_).size()),
      sparse_ends_(columns_.size()) {}

Result<> RowBuilder::Append(const Row& row, const RowPlace& place) {
  SM_ASSERT(row.size() == columns_.size());
  if (rows_ == kRowsMax) {
    return Error{ErrorCode::kBadInput, place.ToString() + ": a data set has up to " +
                                           std::to_string(kRowsMax) +
                                           " rows, and here is one "
                                           "more; train with some of the files"};
  }
  size_t array = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Cell& cell = row[i];
    Note(i, cell, place);
    switch (columns_[i].kind) {
      case ColumnKind::kFloats:
        SM_TRY(AppendBytes(array++, cell.floats.data(), cell.floats.size() * sizeof(float)));
        break;
      case ColumnKind::kIds:
        SM_TRY(AppendBytes(array++, cell.ids.data(), cell.ids.size() * sizeof(uint32_t)));
        break;
      case ColumnKind::kKeys:
        SM_TRY(AppendBytes(array++, cell.keys.data(), cell.keys.size() * sizeof(uint64_t)));
        break;
      case ColumnKind::kSparse:
        SM_ASSERT(cell.ids.size() == cell.floats.size());
        sparse_ends_[i] += cell.ids.size();
        SM_TRY(AppendBytes(array++, &sparse_ends_[i], sizeof(uint64_t)));
        SM_TRY(AppendBytes(array++, cell.ids.data(), cell.ids.size() * sizeof(uint32_t)));
        SM_TRY(AppendBytes(array++, cell.floats.data(), cell.floats.size() * sizeof(float)));
        break;
    }
  }
  ++rows_;
  return {};
}

void RowBuilder::Note(size_t column, const Cell& cell, const RowPlace& place) {
  Column& about = columns_[column];
  for (const uint32_t id : cell.ids) {
    if (id < about.ids_end) continue;
    about.ids_end = uint64_t{id} + 1;
    about.greatest_at = place.ToString();
  }
}

void RowBuilder::SetWords(size_t column, std::vector<std::string> words) {
  Column& about = columns_[column];
  if (words.size() > about.ids_end) {
    about.ids_end = words.size();
    about.greatest_at.clear();  // In another part.
  }
  about.words = std::move(words);
}

Result<> RowBuilder::AppendBytes(size_t array, const void* bytes, uint64_t count) {
  const auto* next = static_cast<const std::byte*>(bytes);
  Array& to = arrays_[array];
  while (count > 0) {
    if (to.segments.empty() || to.segments.back().size() == kSegmentBytes) {
      if (file_ != nullptr) SM_TRY(WriteOut(array));
      to.segments.emplace_back();
    }
    std::vector<std::byte>& segment = to.segments.back();
    const uint64_t part = std::min(count, kSegmentBytes - segment.size());
    segment.insert(segment.end(), next, next + part);
    next += part;
    count -= part;
    to.bytes += part;
    if (file_ == nullptr) budget_.bytes += part;
  }
  return {};
}

Result<> RowBuilder::WriteOut(size_t array) {
  for (const std::vector<std::byte>& segment : arrays_[array].segments) {
    SM_TRY(file_->Append(array, segment));
  }
  arrays_[array].segments.clear();
  return {};
}

Result<> RowBuilder::Spill(const std::string& path) {
  SM_ASSERT(file_ == nullptr);
  file_ = SM_TRY(RowFileWriter::Make(path));
  path_ = path;
  for (size_t i = 0; i < arrays_.size(); ++i) {
    Array& array = arrays_[i];
    budget_.bytes -= array.bytes;
    // A segment that is not full waits for the rest of it.
    std::vector<std::vector<std::byte>> last;
    if (!array.segments.empty() && array.segments.back().size() < kSegmentBytes) {
      last.push_back(std::move(array.segments.back()));
      array.segments.pop_back();
    }
    SM_TRY(WriteOut(i));
    array.segments = std::move(last);
  }
  return {};
}

Result<std::unique_ptr<SampleStore>> RowBuilder::Finish(const std::string& made_of,
                                                        uint64_t bad_rows) {
  if (file_ != nullptr) {
    for (size_t i = 0; i < arrays_.size(); ++i) SM_TRY(WriteOut(i));
    SM_TRY(file_->Finish(columns_, rows_, bad_rows, made_of));
    return OpenRowFile(path_, made_of, false);
  }
  std::vector<std::unique_ptr<SampleMemory>> memory;
  for (Array& array : arrays_) {
    memory.push_back(std::make_unique<OwnMemory>(std::move(array.segments), array.bytes));
  }
  auto store = std::make_unique<SampleStore>(std::move(columns_), rows_, std::move(memory));
  store->NoteBadRows(bad_rows);
  return store;
}

}  // namespace shardmill
