#include "client/data_feed.h"

#include <algorithm>

namespace shardmill {

void DataFeed::Take(const Leased& leased) {
  over_ = over_ || leased.over;
  for (const DataLease& lease : leased.leases) {
    if (lease.seq <= last_) continue;
    if (held_.empty()) {
      used_ = {lease.seq, 0};
      told_ = lease.seq;
    }
    last_ = lease.seq;
    held_.push_back(lease);
  }
}

GetLease DataFeed::Request(const Sender& sender) {
  told_ = used_.seq;
  return {sender, rows_, last_, used_};
}

DataRange DataFeed::Next(uint64_t places_max) {
  if (!ready()) return {};
  const DataRange& lease = held_[taken_lease_].range;
  const uint64_t begin = lease.begin + taken_offset_;
  const uint64_t end = std::min(lease.end - begin, places_max) + begin;
  taken_offset_ += end - begin;
  if (end == lease.end) {
    ++taken_lease_;
    taken_offset_ = 0;
  }
  return {lease.epoch, begin, end};
}

DataCursor DataFeed::taken() const {
  if (ready()) return {held_[taken_lease_].seq, taken_offset_};
  return {last_ == 0 ? 0 : last_ + 1, 0};
}

void DataFeed::FinishStep() {
  used_ = taken();
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(taken_lease_));
  taken_lease_ = 0;
}

void DataFeed::AbandonStep() {
  taken_lease_ = 0;
  const bool same = !held_.empty() && held_.front().seq == used_.seq;
  taken_offset_ = same ? used_.offset : 0;
}

}  // namespace shardmill
