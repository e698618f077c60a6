#include "worker/data/read_ahead.h"

#include <optional>
#include <utility>

#include "common/assert.h"

namespace shardmill {

ReadAhead::ReadAhead(size_t batches, Fill fill)
    : fill_(std::move(fill)), free_(batches), ready_(batches + 1) {
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
  for (;;) {
    std::optional<std::unique_ptr<GatheredRows>> rows = free_.Take();
    if (!rows.has_value()) return;
    const Result<> filled = fill_(**rows);
    if (!filled.ok()) {
      ready_.Put({nullptr, filled.error()});
      return;
    }
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
