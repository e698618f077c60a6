#include "worker/data/sample_store.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"

namespace shardmill {
namespace {

template <class T>
std::span<const T> As(const SampleMemory& memory) {
  const std::span<const std::byte> bytes = memory.bytes();
  SM_ASSERT(bytes.size() % sizeof(T) == 0);
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

// Rows of a batch lie far from each other: without this the first lines of each are waited for.
template <class T>
void FetchEarly(std::span<const T> row) {
  constexpr size_t kLine = 64 / sizeof(T);
  for (size_t i = 0; i < row.size(); i += kLine) __builtin_prefetch(&row[i]);
}

template <class T>
void GatherFixed(std::span<const T> from, std::span<const uint32_t> numbers, uint64_t row_size,
                 std::vector<T>& to) {
  to.resize(numbers.size() * row_size);
  T* next = to.data();
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i + 1 < numbers.size()) FetchEarly(from.subspan(numbers[i + 1] * row_size, row_size));
    next = std::copy_n(from.data() + numbers[i] * row_size, row_size, next);
  }
}

}  // namespace

std::vector<RowArray> ArraysOf(const Columns& columns) {
  std::vector<RowArray> arrays;
  for (size_t i = 0; i < columns.size(); ++i) {
    switch (columns[i].kind) {
      case ColumnKind::kFloats:
      case ColumnKind::kIds:
        arrays.push_back({i, columns[i].row_size() * 4});
        break;
      case ColumnKind::kKeys:
        arrays.push_back({i, columns[i].row_size() * 8});
        break;
      case ColumnKind::kSparse:
        arrays.push_back({i, sizeof(uint64_t)});
        arrays.push_back({i, 0});
        arrays.push_back({i, 0});
        break;
    }
  }
  return arrays;
}

SampleStore::SampleStore(Columns columns, uint64_t rows,
                         std::vector<std::unique_ptr<SampleMemory>> memory)
    : columns_(std::move(columns)), rows_(rows), memory_(std::move(memory)) {
  size_t next = 0;
  for (const Column& column : columns_) {
    ColumnView& view = views_.emplace_back();
    switch (column.kind) {
      case ColumnKind::kFloats:
        view.floats = As<float>(*memory_[next++]);
        break;
      case ColumnKind::kIds:
        view.ids = As<uint32_t>(*memory_[next++]);
        break;
      case ColumnKind::kKeys:
        view.keys = As<uint64_t>(*memory_[next++]);
        break;
      case ColumnKind::kSparse:
        view.ends = As<uint64_t>(*memory_[next++]);
        view.ids = As<uint32_t>(*memory_[next++]);
        view.floats = As<float>(*memory_[next++]);
        break;
    }
    if (column.kind != ColumnKind::kSparse) {
      const uint64_t values = view.floats.size() + view.ids.size() + view.keys.size();
      SM_ASSERT(values == rows_ * column.row_size());
    }
  }
  SM_ASSERT(next == memory_.size());
}

void SampleStore::Gather(std::span<const uint32_t> numbers, GatheredRows& to) const {
  SM_ASSERT(std::ranges::all_of(numbers, [this](uint32_t number) { return number < rows_; }));
  to.rows = numbers.size();
  to.columns.resize(columns_.size());
  for (size_t i = 0; i < columns_.size(); ++i) {
    const uint64_t row_size = columns_[i].row_size();
    switch (columns_[i].kind) {
      case ColumnKind::kFloats:
        GatherFixed(views_[i].floats, numbers, row_size, to.columns[i].floats);
        break;
      case ColumnKind::kIds:
        GatherFixed(views_[i].ids, numbers, row_size, to.columns[i].ids);
        break;
      case ColumnKind::kKeys:
        GatherFixed(views_[i].keys, numbers, row_size, to.columns[i].keys);
        break;
      case ColumnKind::kSparse:
        GatherSparse(views_[i], numbers, to.columns[i]);
        break;
    }
  }
}

void SampleStore::GatherSparse(const ColumnView& from, std::span<const uint32_t> numbers,
                               GatheredRows::Part& to) const {
  to.ends.clear();
  to.ids.clear();
  to.floats.clear();
  for (const uint32_t number : numbers) {
    const uint64_t begin = number == 0 ? 0 : from.ends[number - 1];
    const uint64_t count = from.ends[number] - begin;
    const std::span<const uint32_t> ids = from.ids.subspan(begin, count);
    const std::span<const float> floats = from.floats.subspan(begin, count);
    to.ids.insert(to.ids.end(), ids.begin(), ids.end());
    to.floats.insert(to.floats.end(), floats.begin(), floats.end());
    to.ends.push_back(to.ids.size());
  }
}

void SampleStore::RaiseIdsEnd(size_t column, const Column& other) {
  Column& about = columns_[column];
  const bool known = other.ids_end < about.ids_end || !about.greatest_at.empty();
  if (other.ids_end <= about.ids_end && known) return;
  about.ids_end = other.ids_end;
  about.greatest_at = other.greatest_at;
}

}  // namespace shardmill
