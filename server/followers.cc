#include "server/followers.h"

#include <algorithm>
#include <utility>

namespace shardmill {

Followers::Followers(const FollowerOptions& options, ShardCopy& copy, FramePool& frames)
    : options_(options),
      copy_(copy),
      frames_(frames),
      patience_(kPatienceLeast * options.give_up_after) {}

void Followers::Set(const Replicas& replicas) {
  if (replicas.number <= number_) return;
  number_ = replicas.number;
  log_ = replicas.log;
  std::vector<std::unique_ptr<Replica>> kept;
  for (const ReplicaPlace& place : replicas.replicas) {
    const auto same = [&place](const std::unique_ptr<Replica>& replica) {
      return replica != nullptr && replica->place.stream == place.stream &&
             replica->place.boot == place.boot;
    };
    const auto found = std::ranges::find_if(replicas_, same);
    if (found != replicas_.end()) {
      (*found)->place = place;
      kept.push_back(std::move(*found));
      continue;
    }
    kept.push_back(std::make_unique<Replica>(
        Replica{place, std::nullopt, FollowStream(copy_, frames_, options_.window_bytes),
                options_.retry_after}));
  }
  replicas_ = std::move(kept);
  const auto differs = [this](const auto& one) { return one->place.stream == differing_; };
  if (std::ranges::none_of(replicas_, differs)) differing_ = 0;
}

std::vector<ReplicaPlace> Followers::Unattached() const {
  std::vector<ReplicaPlace> places;
  for (const auto& replica : replicas_) {
    if (!replica->peer) places.push_back(replica->place);
  }
  return places;
}

void Followers::Attach(BootId boot, PeerId peer) {
  for (const auto& replica : replicas_) {
    if (replica->place.boot == boot) replica->peer = peer;
  }
}

void Followers::GoOn(const CopyResume& resume, RecentItems items) {
  heritage_.emplace(resume, std::move(items));
}

void Followers::Append(const Entry& entry) {
  for (const auto& replica : replicas_) replica->stream.Append(entry);
  if (heritage_) heritage_->items.Add(entry);
}

void Followers::Append(const View& view) {
  for (const auto& replica : replicas_) replica->stream.Append(view);
  if (heritage_) heritage_->items.Add(view, copy_.version());
}

void Followers::Append(const CopyCheck& check) {
  for (const auto& replica : replicas_) replica->stream.Append(check);
}

bool Followers::begun() const {
  return heritage_ ||
         std::ranges::any_of(replicas_, [](const auto& one) { return one->stream.begun(); });
}

bool Followers::ReadsImage() const {
  return std::ranges::any_of(replicas_, [](const auto& one) { return one->stream.ReadsImage(); });
}

void Followers::BeginAnew() {
  heritage_.reset();
  for (const auto& replica : replicas_) replica->stream.BeginAnew();
}

void Followers::DropImage() {
  for (const auto& replica : replicas_) {
    if (replica->stream.ReadsImage()) replica->stream.BeginAnew();
  }
}

void Followers::Advance(TimePoint now, const Stamp& stamp, bool image_free, Outbox& outbox) {
  // Who was at other work has heard nobody: that says nothing of the replicas.
  const Duration away = now - std::exchange(looked_at_, now).value_or(now);
  const Duration unheard = std::max(away - options_.give_up_after / 8, Duration{});
  for (const auto& replica : replicas_) {
    if (!replica->peer) continue;
    replica->heard_at += unheard;
    replica->got_on_at += unheard;
    Begin(*replica, image_free);
    replica->stream.ReadImage();
    Send(*replica, now, stamp, outbox);
    GiveUpSilent(*replica, now);
  }
  if (!heritage_ || number_ == 0) return;
  const auto waits = [](const auto& one) { return one->place.goes_on && !one->stream.begun(); };
  const bool wanted = std::ranges::any_of(replicas_, waits);
  if (!wanted || heritage_->items.bytes() > options_.backlog_bytes) heritage_.reset();
}

void Followers::Begin(Replica& replica, bool image_free) {
  FollowStream& stream = replica.stream;
  if (stream.begun()) return;
  if (heritage_ && replica.place.goes_on) {
    stream.Resume(heritage_->resume, heritage_->items.items());
  } else if (image_free && !ReadsImage()) {
    stream.Begin();
  }
}

// What was sent and is not taken in time goes again: it or its answer was lost. Or else the replica
// is slow, and would be slower for all that comes again: so each time it is given twice as long.
void Followers::Send(Replica& replica, TimePoint now, const Stamp& stamp, Outbox& outbox) {
  FollowStream& stream = replica.stream;
  if (!stream.waits()) {
    GotOn(replica, now);
  } else if (now - replica.given_at >= replica.retry_after) {
    replica.given_at = now;
    replica.retry_after = std::min(2 * replica.retry_after, options_.give_up_after / 4);
    stream.GiveAgain();
  }
  Stamp to = stamp;
  to.to = replica.place.boot;
  while (const FollowStream::Item* item = stream.Next()) {
    outbox.push_back(
        {*replica.peer, to,
         Follow{options_.shard, replica.place.stream, item->number, item->what, Kept()}});
  }
}

void Followers::GotOn(Replica& replica, TimePoint now) {
  replica.given_at = replica.heard_at = replica.got_on_at = now;
  replica.retry_after = options_.retry_after;
  if (!silent_ || differing_ != replica.place.stream) return;
  differing_ = 0;
  silent_ = false;
}

// The coordinator may hear of it all the while, and would have everybody wait for it for ever. What
// is sent takes its time where much lies before it, at times of a stream that is over: who answers
// is there. And nobody waits for one that is not in sync yet, which may be slow beyond measure.
void Followers::GiveUpSilent(const Replica& replica, TimePoint now) {
  if (differing_ != 0 || !replica.stream.waits()) return;
  const bool in_sync = replica.stream.in_sync();
  const Duration patience = in_sync ? options_.give_up_after : patience_;
  const Duration behind = now - replica.got_on_at;
  if (now - replica.heard_at < patience && behind < 8 * patience) return;
  if (!in_sync) patience_ = std::min(2 * patience_, kPatienceMost * options_.give_up_after);
  differing_ = replica.place.stream;
  silent_ = true;
  why_ = "copy " + std::to_string(replica.place.copy) +
         " has taken nothing of what its primary sends it for " +
         std::to_string(std::chrono::round<std::chrono::milliseconds>(behind).count()) + " ms";
}

void Followers::On(const Followed& followed, TimePoint now, const Envelope& from) {
  for (const auto& replica : replicas_) {
    if (replica->place.boot != from.stamp.from) continue;
    replica->heard_at = now;
    if (replica->place.stream != followed.stream) continue;
    if (!followed.differs.empty()) {
      differing_ = followed.stream;
      silent_ = false;
      why_ = followed.differs;
    }
    if (!replica->stream.Taken(followed.item)) continue;
    GotOn(*replica, now);
    if (replica->stream.in_sync()) patience_ = kPatienceLeast * options_.give_up_after;
  }
}

uint64_t Followers::Kept() const {
  uint64_t kept = copy_.version();
  for (const auto& replica : replicas_) {
    if (replica->stream.in_sync()) kept = std::min(kept, replica->stream.version());
  }
  return kept;
}

uint32_t Followers::in_sync() const {
  return static_cast<uint32_t>(
      std::ranges::count_if(replicas_, [](const auto& one) { return one->stream.in_sync(); }));
}

uint32_t Followers::counted() const {
  return static_cast<uint32_t>(std::ranges::count_if(
      replicas_, [](const auto& one) { return one->stream.in_sync() && one->place.in_sync; }));
}

std::vector<uint64_t> Followers::InSync() const {
  std::vector<uint64_t> streams;
  for (const auto& replica : replicas_) {
    if (replica->stream.in_sync()) streams.push_back(replica->place.stream);
  }
  return streams;
}

std::string Followers::Awaited(uint32_t copies_min) const {
  const bool enough = counted() >= copies_min;
  std::string whom;
  for (const auto& replica : replicas_) {
    const FollowStream& stream = replica->stream;
    std::string how;
    if (stream.in_sync() && stream.version() < copy_.version()) {
      how = ", which has not taken all yet";
    } else if (!enough && !stream.in_sync()) {
      how = stream.begun() ? ", which catches up" : ", which has not begun";
    } else if (!enough && !replica->place.in_sync) {
      how = ", of which the coordinator has not noted that it has all";
    }
    if (how.empty()) continue;
    whom +=
        (whom.empty() ? "copy " : ", and for copy ") + std::to_string(replica->place.copy) + how;
  }
  if (!whom.empty() || enough) return whom;
  return "another copy of this shard, and none is there";
}

bool Followers::Crowded() const {
  return std::ranges::any_of(replicas_, [this](const auto& replica) {
    return replica->stream.backlog_bytes() > options_.backlog_bytes;
  });
}

}  // namespace shardmill
