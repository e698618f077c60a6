#include "server/log_keeper.h"

#include <algorithm>
#include <utility>

#include "common/config/text.h"
#include "common/mutation.h"

namespace shardmill {

LogKeeper::LogKeeper(const KeeperOptions& options, ShardCopy& copy, FramePool& frames)
    : options_(options), copy_(copy), frames_(frames) {}

void LogKeeper::BeginAnew() {
  log_.reset();
  next_.reset();
}

void LogKeeper::DropImage() {
  if (ReadsImage()) next_.reset();
}

bool LogKeeper::Outgrown() const {
  return log_->bytes - log_->image_bytes > std::max(log_->image_bytes, options_.entries_bytes);
}

void LogKeeper::Advance(TimePoint now, bool image_free) {
  if (std::exchange(failed_, false)) begin_at_ = now + options_.retry_after;
  if (!next_ && (!log_ || Outgrown()) && image_free && now >= begin_at_) {
    next_ =
        std::make_unique<Made>(Made{++files_, FollowStream(copy_, frames_, options_.window_bytes)});
    next_->stream.Begin();
  }
  if (next_) next_->stream.ReadImage();
}

std::optional<LogBatch> LogKeeper::Next(TimePoint now, const Stamp& stamp) {
  for (Made* file : {log_.get(), next_.get()}) {
    if (file == nullptr || file->asked) continue;
    std::optional<LogBatch> batch = BatchOf(*file, now, stamp);
    if (batch) return batch;
  }
  return {};
}

// All that there is for it now: one wait for the disk serves it all.
std::optional<LogBatch> LogKeeper::BatchOf(Made& file, TimePoint now, const Stamp& stamp) {
  LogBatch batch{file.number, file.begins, false, stamp, {}};
  while (const FollowStream::Item* item = file.stream.Next()) {
    batch.items.push_back({options_.shard, file.number, item->number, item->what});
    file.given = item->number;
  }
  batch.takes_over = &file == next_.get() && file.stream.in_sync() && !file.takes_over;
  if (batch.items.empty() && !batch.takes_over) return {};
  file.takes_over = file.takes_over || batch.takes_over;
  file.begins = false;
  file.asked = true;
  file.asked_at = now;
  return batch;
}

std::string LogKeeper::Hangs(TimePoint now) const {
  for (const Made* file : {log_.get(), next_.get()}) {
    if (file == nullptr || !file->asked || now - file->asked_at < options_.named_after) continue;
    const auto time = std::chrono::floor<std::chrono::seconds>(now - file->asked_at);
    return "its disk has not answered for " + config::FormatDuration(time);
  }
  return "";
}

void LogKeeper::On(const LogWritten& written) {
  const bool is_next = next_ && next_->number == written.file;
  std::unique_ptr<Made>& file = is_next ? next_ : log_;
  if (!file || file->number != written.file) return;  // It is given up.
  if (!written.bytes.ok()) {
    problem_ = written.bytes.error().message;
    failed_ = true;
    // Whether it has taken the other's place, nobody knows.
    if (file->takes_over) log_.reset();
    file.reset();
    return;
  }
  file->asked = false;
  file->bytes = written.bytes.value();
  file->stream.Taken(file->given);
  if (!is_next || !file->takes_over) return;
  next_->image_bytes = next_->bytes;
  next_->takes_over = false;
  log_ = std::move(next_);
}

uint64_t LogKeeper::Kept() const {
  if (!log_ || Mutated(Mutation::kAnswerBeforeSync)) return copy_.version();
  const uint64_t kept = log_->stream.version();
  return next_ && next_->stream.in_sync() ? std::min(kept, next_->stream.version()) : kept;
}

}  // namespace shardmill
