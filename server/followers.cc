#include "server/followers.h"

#include <algorithm>
#include <span>
#include <utility>

#include "common/combine.h"
#include "common/mutation.h"

namespace shardmill {
namespace {

using What = decltype(Follow::what);

uint64_t BytesOf(const Entry& entry) {
  uint64_t bytes = 0;
  for (const EntryChange& change : entry.changes) {
    for (const EntryPart& part : change.parts) bytes += part.gradient.size() + part.keys.size();
  }
  return bytes;
}

uint64_t BytesOf(const TablePiece& piece) {
  if (const auto* dense = std::get_if<DensePiece>(&piece)) return dense->floats.size();
  if (const auto* rows = std::get_if<RowBatch>(&piece)) {
    return rows->keys.size() + rows->values.size() + rows->state.size();
  }
  return std::get<UpdateRuns>(piece).size() * sizeof(UpdateRun);
}

bool SameRange(const ChangePart& a, const ChangePart& b) {
  return a.begin == b.begin && a.gradient.size() == b.gradient.size();
}

// Whether the parts that share an element share all of theirs: then a sum of them in their order is
// what the shard itself comes to.
bool Aligned(std::span<const ChangePart> parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    const uint64_t end = parts[i].begin + parts[i].gradient.size() / sizeof(float);
    for (size_t j = 0; j < i; ++j) {
      const uint64_t other_end = parts[j].begin + parts[j].gradient.size() / sizeof(float);
      const bool apart = end <= parts[j].begin || other_end <= parts[i].begin;
      if (!apart && !SameRange(parts[i], parts[j])) return false;
    }
  }
  return true;
}

// One part for each range of a dense table.
std::vector<EntryPart> Combined(std::span<const ChangePart> parts, Combine how, FramePool& frames) {
  std::vector<EntryPart> combined;
  std::vector<bool> done(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (done[i]) continue;
    const auto same = [&](size_t j) { return j > i && !done[j] && SameRange(parts[i], parts[j]); };
    EntryPart whole{parts[i].begin, parts[i].weight, parts[i].gradient};
    std::optional<Buffer> sum;
    for (size_t j = i + 1; j < parts.size(); ++j) {
      if (!same(j)) continue;
      if (!sum) {
        sum = frames.OfFloats(parts[i].gradient.floats().size());
        CombineInto(how, true, parts[i].weight, parts[i].gradient.floats(), sum->floats());
        whole.weight = 0.0F + parts[i].weight;
      }
      CombineInto(how, false, parts[j].weight, parts[j].gradient.floats(), sum->floats());
      whole.weight += parts[j].weight;
      done[j] = true;
    }
    if (sum) {
      whole.gradient = std::move(*sum).Close();
      whole.combined = true;
    }
    combined.push_back(std::move(whole));
  }
  return combined;
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

Followers::Followers(const FollowerOptions& options, ShardCopy& copy, FramePool& frames)
    : options_(options), copy_(copy), frames_(frames) {}

void Followers::Set(const Replicas& replicas) {
  if (replicas.number <= number_) return;
  number_ = replicas.number;
  std::vector<std::unique_ptr<Stream>> kept;
  for (const ReplicaPlace& place : replicas.replicas) {
    const auto same = [&place](const std::unique_ptr<Stream>& stream) {
      return stream != nullptr && stream->place.stream == place.stream &&
             stream->place.boot == place.boot;
    };
    const auto found = std::ranges::find_if(streams_, same);
    if (found != streams_.end()) {
      (*found)->place = place;
      kept.push_back(std::move(*found));
      continue;
    }
    kept.push_back(std::make_unique<Stream>());
    kept.back()->place = place;
  }
  streams_ = std::move(kept);
  const auto differs = [this](const auto& stream) { return stream->place.stream == differing_; };
  if (std::ranges::none_of(streams_, differs)) differing_ = 0;
}

std::vector<ReplicaPlace> Followers::Unattached() const {
  std::vector<ReplicaPlace> places;
  for (const auto& stream : streams_) {
    if (!stream->peer) places.push_back(stream->place);
  }
  return places;
}

void Followers::Attach(BootId replica, PeerId peer) {
  for (const auto& stream : streams_) {
    if (stream->place.boot == replica) stream->peer = peer;
  }
}

Followers::Item Followers::Make(const Stream& stream, What what, uint64_t bytes) const {
  Item item;
  item.message = {options_.shard, stream.place.stream, 0, std::move(what)};
  item.version = copy_.version();
  item.bytes = bytes;
  return item;
}

void Followers::Add(Stream& stream, Item item) {
  item.message.item = ++stream.last;
  stream.queued_bytes += item.bytes;
  stream.items.push_back(std::move(item));
}

void Followers::Append(const LogEntry& log) {
  if (std::ranges::none_of(streams_, [](const auto& stream) { return stream->begun; })) return;
  Entry entry{log.version, log.made, {}};
  for (const TableChange& change : log.changes) {
    EntryChange& to = entry.changes.emplace_back(EntryChange{change.table, change.rate, {}});
    const ShardCopy::Table& table = copy_.At(change.table);
    const bool sparse = table.place.spec.sparse();
    if (!sparse && change.parts.size() > 1 && Aligned(change.parts)) {
      to.parts = Combined(change.parts, table.optimizer->combine(), frames_);
      continue;
    }
    for (const ChangePart& part : change.parts) {
      to.parts.push_back({part.begin, part.weight, part.gradient,
                          part.keys ? part.keys->keys : Frame(), part.combined});
    }
  }
  const uint64_t bytes = BytesOf(entry);
  for (const auto& stream : streams_) {
    if (!stream->begun) continue;
    Item item = Make(*stream, stream->in_sync ? entry : Owned(entry, frames_), bytes);
    item.version = log.version;
    if (!stream->in_sync) stream->backlog_bytes += bytes;
    if (stream->image) {
      stream->later.push_back(std::move(item));
    } else {
      Add(*stream, std::move(item));
    }
  }
}

void Followers::AppendItem(What what) {
  for (const auto& stream : streams_) {
    if (!stream->begun) continue;
    Item item = Make(*stream, what, 0);
    if (stream->image) {
      stream->later.push_back(std::move(item));
    } else {
      Add(*stream, std::move(item));
    }
  }
}

void Followers::BeginAnew() {
  for (const auto& stream : streams_) Forget(*stream);
}

void Followers::DropImage() {
  for (const auto& stream : streams_) {
    if (stream->image) Forget(*stream);
  }
}

// Numbers go on: the receiver must not take an item of before for a later one.
void Followers::Forget(Stream& stream) {
  Stream anew;
  anew.place = stream.place;
  anew.peer = stream.peer;
  anew.last = anew.taken = anew.sent = stream.last;
  stream = std::move(anew);
}

void Followers::Begin(Stream& stream) {
  stream.begun = true;
  stream.filled = copy_.filled();
  stream.version = copy_.version();
  Add(stream,
      Make(stream,
           CopyHead{copy_.view(), copy_.version(), copy_.tracker().States(), copy_.last_close()},
           0));
  stream.image = std::make_unique<ShardImage>(copy_);
}

// As much of it as the window takes.
void Followers::ReadImage(Stream& stream) {
  constexpr uint64_t kRows = 2048;
  const uint64_t version = stream.version;
  while (stream.image && stream.queued_bytes < options_.window_bytes) {
    if (stream.image->done()) {
      stream.image.reset();
      Item end = Make(stream, CopyEnd{stream.filled}, 0);
      end.version = version;
      Add(stream, std::move(end));
      for (Item& item : stream.later) Add(stream, std::move(item));
      stream.later.clear();
      return;
    }
    auto piece = stream.image->Next(kRows, frames_);
    if (!piece) return;
    const uint64_t bytes = BytesOf(piece->second);
    Item item = Make(stream, CopyPiece{piece->first, std::move(piece->second)}, bytes);
    item.version = version;
    Add(stream, std::move(item));
  }
}

void Followers::Advance(TimePoint now, const Stamp& stamp, bool image_free, Outbox& outbox) {
  const auto reads = [](const auto& stream) { return stream->image != nullptr; };
  for (const auto& stream : streams_) {
    if (!stream->peer) continue;
    if (!stream->begun && image_free && std::ranges::none_of(streams_, reads)) Begin(*stream);
    if (stream->image) ReadImage(*stream);
    SendItems(*stream, now, stamp, outbox);
  }
}

// What was sent and is not taken in time goes again: it or its answer was lost.
void Followers::SendItems(Stream& stream, TimePoint now, const Stamp& stamp, Outbox& outbox) {
  if (stream.sent > stream.taken && now - stream.heard_at >= options_.retry_after) {
    stream.sent = stream.taken;
  }
  if (stream.sent == stream.taken) {
    stream.heard_at = now;
    stream.flying_bytes = 0;
  }
  Stamp to = stamp;
  to.to = stream.place.boot;
  for (size_t i = stream.sent - stream.taken; i < stream.items.size(); ++i) {
    const Item& item = stream.items[i];
    const bool none = stream.sent == stream.taken;
    if (!none && stream.flying_bytes + item.bytes > options_.window_bytes) break;
    stream.flying_bytes += item.bytes;
    stream.sent = item.message.item;
    outbox.push_back({*stream.peer, to, item.message});
  }
}

void Followers::On(const Followed& followed, const Envelope& from) {
  for (const auto& stream : streams_) {
    if (stream->place.stream != followed.stream || stream->place.boot != from.stamp.from) continue;
    if (!followed.differs.empty()) {
      differing_ = followed.stream;
      why_ = followed.differs;
    }
    if (followed.item <= stream->taken || followed.item > stream->last) return;
    while (!stream->items.empty() && stream->items.front().message.item <= followed.item) {
      const Item& item = stream->items.front();
      stream->version = item.version;
      stream->queued_bytes -= item.bytes;
      stream->flying_bytes -= std::min(stream->flying_bytes, item.bytes);
      if (std::holds_alternative<Entry>(item.message.what)) {
        stream->backlog_bytes -= std::min(stream->backlog_bytes, item.bytes);
      }
      stream->items.pop_front();
    }
    stream->taken = followed.item;
    stream->sent = std::max(stream->sent, stream->taken);
    const bool all = !stream->image && stream->items.empty();
    if (stream->begun && (all || Mutated(Mutation::kInSyncTooEarly))) stream->in_sync = true;
  }
}

uint64_t Followers::Kept() const {
  uint64_t kept = copy_.version();
  for (const auto& stream : streams_) {
    if (stream->in_sync) kept = std::min(kept, stream->version);
  }
  return kept;
}

uint32_t Followers::in_sync() const {
  return static_cast<uint32_t>(
      std::ranges::count_if(streams_, [](const auto& stream) { return stream->in_sync; }));
}

std::vector<uint64_t> Followers::InSync() const {
  std::vector<uint64_t> streams;
  for (const auto& stream : streams_) {
    if (stream->in_sync) streams.push_back(stream->place.stream);
  }
  return streams;
}

bool Followers::Crowded() const {
  return std::ranges::any_of(streams_, [this](const auto& stream) {
    return stream->backlog_bytes > options_.backlog_bytes;
  });
}

}  // namespace shardmill
