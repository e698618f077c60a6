#include "server/recent_items.h"

#include <algorithm>
#include <utility>

#include "common/payload.h"

namespace shardmill {

void RecentItems::Begin(uint64_t version) {
  items_.clear();
  bytes_ = 0;
  since_ = version;
}

void RecentItems::Add(const Entry& entry) {
  Entry own = entry;
  for (EntryChange& change : own.changes) {
    for (EntryPart& part : change.parts) {
      part.gradient = frames_->CopyOf(part.gradient.bytes());
      if (part.keys.size() > 0) part.keys = frames_->CopyOf(part.keys.bytes());
    }
  }
  const uint64_t bytes = PayloadOf(own).bytes;
  bytes_ += bytes;
  items_.push_back({0, std::move(own), entry.version, bytes});
}

void RecentItems::Add(const View& view, uint64_t version) {
  items_.push_back({0, view, version, 0});
}

// A view behind the last of them may be what somebody lacks.
void RecentItems::Drop(uint64_t kept) {
  since_ = std::max(since_, kept);
  while (!items_.empty() && items_.front().version < kept) {
    bytes_ -= items_.front().bytes;
    items_.pop_front();
  }
}

}  // namespace shardmill
