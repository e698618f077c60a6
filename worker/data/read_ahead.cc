#include "worker/data/read_ahead.h"

#include <optional>
#include <utility>

#include "common/assert.h"

namespace shardmill {

ReadAhead::ReadAhead(const SampleStore& store, size_t batches, Order order)
    : store_(store), order_(std::move(order)), free_(batches), ready_(batches + 1) {
  SM_ASSERT(batches >= 2);
  for (size_t i = 0; i < batches; ++i) free_.Put(std::make_unique<GatheredRows>());
  thread_ = std::thread([this] { Work(); });
}

ReadAhead::~ReadAhead() {
  free_.Close();
  ready_.Close();
  thread_.join();
}

void ReadAhead::Work() {
  std::vector<uint32_t> numbers;
  for (;;) {
    std::optional<std::unique_ptr<GatheredRows>> rows = free_.Take();
    if (!rows.has_value()) return;
    numbers.clear();
    const Result<> ordered = order_(numbers);
    if (!ordered.ok()) {
      ready_.Put({nullptr, ordered.error()});
      return;
    }
    store_.Gather(numbers, **rows);
    if (!ready_.Put({*std::move(rows)})) return;
  }
}

Result<const GatheredRows*> ReadAhead::Next() {
  if (failed_) return current_.error;
  if (current_.rows != nullptr) free_.Put(std::move(current_.rows));
  std::optional<Ready> next = ready_.Take();
  SM_ASSERT(next.has_value());  // Only the destructor closes the box.
  current_ = *std::move(next);
  failed_ = current_.rows == nullptr;
  if (failed_) return current_.error;
  return current_.rows.get();
}

}  // namespace shardmill
