// The part of Shard that keeps a log, and that begins from one.

#include <algorithm>
#include <utility>
#include <variant>

#include "server/shard.h"

namespace shardmill {

std::optional<LogRequest> Shard::NextLogRequest() {
  if (!options_.log) return {};
  if (!std::exchange(log_asked_, true)) return ReadLog{};
  if (!primary_ || ReadsLog()) return {};
  std::optional<LogBatch> batch =
      log_.Next(now_, {job_, view().generation, term_, options_.boot, BootId{}});
  if (!batch) return {};
  return std::move(*batch);
}

void Shard::Handle(LogAnswer answer, Outbox& outbox) {
  std::visit([&](auto& what) { On(what, outbox); }, answer);
}

// As a replica takes what its primary sends.
void Shard::On(LogItem& item, Outbox& /*outbox*/) {
  if (failure_) return;
  if (!restored_) {
    restored_ = Restored{item.stamp.job, {item.stamp.generation, item.stamp.term}};
    following_ = Following{};
  }
  if (!restored_->problem.empty()) return;
  const ShardId owner = item.item.shard;
  restored_->problem =
      owner == options_.id
          ? std::visit([this](const auto& what) { return TakeItem(what); }, item.item.what)
          : "it is that of shard " + std::to_string(owner.value);
}

void Shard::On(LogRead& read, Outbox& /*outbox*/) {
  log_read_ = true;
  const bool none = !read.result.ok() && read.result.error().code == ErrorCode::kUnavailable;
  if (none || failure_) return;
  if (!read.result.ok()) {
    failure_ = read.result.error();
    failure_->message +=
        "; restore it, or remove it, and what only it has is lost (see docs/operations.md)";
    return;
  }
  if (restored_ && !restored_->problem.empty()) {
    failure_ = Error{ErrorCode::kBadInput, read.place + " cannot be taken: " + restored_->problem};
    return;
  }
  if (!restored_ || !following_->whole) {
    failure_ = Error{ErrorCode::kBadInput, read.place + " has no copy of a shard"};
    return;
  }
  restored_->place = read.place;
  recent_.Begin(copy_.version());
}

void Shard::On(LogWritten& written, Outbox& outbox) {
  const bool before = log_.whole();
  log_.On(written);
  // The coordinator has to know whose log counts before anything that only this one has is shown.
  if (log_.whole() != before) Send(Coordinator(), Status(), outbox);
  MoveFollowers(outbox);
}

LogStatus Shard::StatusOfLog() const {
  const std::string hangs = log_.Hangs(now_);
  const bool has_all = log_.whole() && hangs.empty();
  return {has_all ? term_ : Term{}, log_.bytes(), hangs.empty() ? log_.problem() : hangs};
}

// What was restored is of the job that this shard has come to; or it must end.
void Shard::CheckRestored() {
  if (!restored_ || restored_->job == job_) return;
  failure_ = Error{ErrorCode::kBadUsage,
                   restored_->place +
                       " is the log of another job; remove it, or have this job's elsewhere "
                       "(replication.log)"};
}

// Entries that the coordinator may see: what no other process that comes in this one's place lacks.
// What was read from a log may not be on its disk.
uint64_t Shard::Kept() const {
  const uint64_t kept = followers_.Kept();
  if (!options_.log) return kept;
  return LogCounts() ? std::min(kept, log_.Kept()) : 0;
}

// What its log lacks before answers may leave, in words; nothing where it lacks nothing.
std::string Shard::AwaitedLog() const {
  const LogStatus status = StatusOfLog();
  const std::string problem = status.problem.empty() ? "" : " (" + status.problem + ")";
  if (!log_.whole()) return "its log, which has not all yet" + problem;
  if (!LogCounts()) return "the coordinator to note that its log has all";
  return log_.Kept() < copy_.version() ? "its log to be on disk" + problem : "";
}

// It has all there is, and who comes in this one's place begins from it.
bool Shard::LogCounts() const { return log_.whole() && followers_.log() == term_; }

}  // namespace shardmill
