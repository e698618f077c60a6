#include "server/follow_stream.h"

#include <algorithm>
#include <compare>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/combine.h"
#include "common/mutation.h"
#include "common/payload.h"

namespace shardmill {
namespace {

// The floats of a dense table that a part changes.
struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;

  auto operator<=>(const Range&) const = default;
};

Range RangeOf(const ChangePart& part) {
  return {part.begin, part.begin + part.gradient.size() / sizeof(float)};
}

// Whether the parts that share an element share all of theirs: then a sum of them in their order is
// what the shard itself comes to.
bool Aligned(std::span<const ChangePart> parts) {
  std::vector<Range> ranges;
  ranges.reserve(parts.size());
  for (const ChangePart& part : parts) ranges.push_back(RangeOf(part));
  std::ranges::sort(ranges);
  const auto cross = [](const Range& a, const Range& b) { return a != b && b.begin < a.end; };
  return std::ranges::adjacent_find(ranges, cross) == ranges.end();
}

// One part for each range of a dense table.
std::vector<EntryPart> Combined(std::span<const ChangePart> parts, Combine how, FramePool& frames) {
  std::vector<EntryPart> combined;
  std::vector<std::optional<Buffer>> sums;
  std::map<Range, size_t> places;
  for (const ChangePart& part : parts) {
    const auto [place, first] = places.try_emplace(RangeOf(part), combined.size());
    if (first) {
      combined.push_back({part.begin, part.weight, part.gradient});
      sums.emplace_back();
      continue;
    }
    EntryPart& whole = combined[place->second];
    std::optional<Buffer>& sum = sums[place->second];
    if (!sum) {
      sum = frames.OfFloats(whole.gradient.floats().size());
      CombineInto(how, true, whole.weight, whole.gradient.floats(), sum->floats());
      whole.weight = 0.0F + whole.weight;
      whole.combined = true;
    }
    CombineInto(how, false, part.weight, part.gradient.floats(), sum->floats());
    whole.weight += part.weight;
  }
  for (size_t i = 0; i < combined.size(); ++i) {
    if (sums[i]) combined[i].gradient = std::move(*sums[i]).Close();
  }
  return combined;
}

// No more than so many bytes each, but for a part that is more alone; nor more frames than travel
// together.
std::vector<Entry> Pieces(const Entry& entry, uint64_t bytes_max) {
  std::vector<Entry> pieces(1);
  Payload load;
  for (const EntryChange& change : entry.changes) {
    pieces.back().changes.push_back({change.table, change.rate, {}});
    for (const EntryPart& part : change.parts) {
      const Payload more = PayloadOf(part);
      const bool over =
          load.bytes + more.bytes > bytes_max || load.frames + more.frames > kTogetherFramesMax;
      if (over && load.frames > 0) {
        pieces.back().more = true;
        pieces.emplace_back().changes.push_back({change.table, change.rate, {}});
        load = {};
      }
      load += more;
      pieces.back().changes.back().parts.push_back(part);
    }
  }
  for (Entry& piece : pieces) piece.version = entry.version;
  pieces.back().made = entry.made;
  return pieces;
}

// What is pushed may lie in memory that its worker writes again when the shard has answered.
Entry Owned(Entry entry, FramePool& frames) {
  for (EntryChange& change : entry.changes) {
    for (EntryPart& part : change.parts) {
      if (!part.combined) part.gradient = frames.CopyOf(part.gradient.bytes());
      if (part.keys.size() > 0) part.keys = frames.CopyOf(part.keys.bytes());
    }
  }
  return entry;
}

}  // namespace

Entry EntryOf(const LogEntry& log, const ShardCopy& copy, FramePool& frames) {
  Entry entry{log.version, log.made, {}};
  for (const TableChange& change : log.changes) {
    EntryChange& to = entry.changes.emplace_back(EntryChange{change.table, change.rate, {}});
    const ShardCopy::Table& table = copy.At(change.table);
    const bool sparse = table.place.spec.sparse();
    if (!sparse && change.parts.size() > 1 && Aligned(change.parts)) {
      to.parts = Combined(change.parts, table.optimizer->combine(), frames);
      continue;
    }
    for (const ChangePart& part : change.parts) {
      to.parts.push_back({part.begin, part.weight, part.gradient,
                          part.keys ? part.keys->keys : Frame(), part.combined});
    }
  }
  return entry;
}

FollowStream::FollowStream(ShardCopy& copy, FramePool& frames, uint64_t window_bytes)
    : copy_(copy), frames_(frames), window_bytes_(window_bytes) {}

void FollowStream::Begin() {
  begun_ = true;
  filled_ = copy_.filled();
  version_ = copy_.version();
  const CopyHead head{copy_.view(), copy_.version(), copy_.tracker().States(), copy_.last_close()};
  Add({0, head, version_, 0});
  image_ = std::make_unique<ShardImage>(copy_);
}

void FollowStream::Resume(const CopyResume& from, const std::deque<Item>& items) {
  begun_ = true;
  version_ = from.since;
  Add({0, from, from.since, 0});
  for (const Item& item : items) {
    if (const auto* entry = std::get_if<Entry>(&item.what)) {
      PushPieces(*entry);
    } else {
      Push(item);
    }
  }
}

void FollowStream::BeginAnew() {
  begun_ = in_sync_ = false;
  image_.reset();
  later_.clear();
  items_.clear();
  given_ = taken_ = last_;
  version_ = queued_bytes_ = given_bytes_ = backlog_bytes_ = 0;
}

void FollowStream::ReadImage() {
  constexpr uint64_t kRows = 2048;
  const uint64_t version = version_;
  while (image_ && queued_bytes_ < window_bytes_) {
    if (image_->done()) {
      image_.reset();
      Add({0, CopyEnd{filled_}, version, 0});
      for (Item& item : later_) Add(std::move(item));
      later_.clear();
      return;
    }
    auto piece = image_->Next(kRows, frames_);
    if (!piece) return;
    const uint64_t bytes = PayloadOf(piece->second).bytes;
    Add({0, CopyPiece{piece->first, std::move(piece->second)}, version, bytes});
  }
}

void FollowStream::Append(const Entry& entry) {
  if (!begun_) return;
  PushPieces(in_sync_ ? entry : Owned(entry, frames_));
}

void FollowStream::PushPieces(const Entry& entry) {
  for (Entry& piece : Pieces(entry, window_bytes_)) {
    const uint64_t bytes = PayloadOf(piece).bytes;
    const uint64_t version = piece.more ? piece.version - 1 : piece.version;
    if (!in_sync_) backlog_bytes_ += bytes;
    Push({0, std::move(piece), version, bytes});
  }
}

void FollowStream::AppendItem(What what) {
  if (begun_) Push({0, std::move(what), copy_.version(), 0});
}

void FollowStream::Push(Item item) {
  if (image_) {
    later_.push_back(std::move(item));
  } else {
    Add(std::move(item));
  }
}

void FollowStream::Add(Item item) {
  item.number = ++last_;
  queued_bytes_ += item.bytes;
  items_.push_back(std::move(item));
}

const FollowStream::Item* FollowStream::Next() {
  if (given_ == last_) return nullptr;
  const Item& item = items_.at(given_ - taken_);
  if (waits() && given_bytes_ + item.bytes > window_bytes_) return nullptr;
  given_bytes_ += item.bytes;
  given_ = item.number;
  return &item;
}

void FollowStream::GiveAgain() {
  given_ = taken_;
  given_bytes_ = 0;
}

bool FollowStream::Taken(uint64_t number) {
  if (number <= taken_ || number > last_) return false;
  while (!items_.empty() && items_.front().number <= number) {
    const Item& item = items_.front();
    version_ = item.version;
    queued_bytes_ -= item.bytes;
    given_bytes_ -= std::min(given_bytes_, item.bytes);
    if (std::holds_alternative<Entry>(item.what)) {
      backlog_bytes_ -= std::min(backlog_bytes_, item.bytes);
    }
    items_.pop_front();
  }
  taken_ = number;
  given_ = std::max(given_, taken_);
  if (given_ == taken_) given_bytes_ = 0;
  const bool all = !image_ && items_.empty();
  if (begun_ && (all || Mutated(Mutation::kInSyncTooEarly))) in_sync_ = true;
  return true;
}

}  // namespace shardmill
