#include "server/coordinator_journal.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "common/blob/make_folders.h"
#include "common/wire/coordinator_state.h"

namespace shardmill {
namespace {

// Each record is a whole state: of all but the last nothing is needed.
constexpr uint64_t kRewriteBytes = uint64_t{16} << 20;

struct JobSize {
  size_t workers = 0;
  size_t shards = 0;
  size_t replicas = 0;  // Of each shard.

  bool operator==(const JobSize&) const = default;
  std::string Words() const {
    return std::to_string(workers) + " workers, " + std::to_string(shards) + " shards and " +
           std::to_string(replicas) + " replicas of each";
  }
};

// Of a job that has not begun the number of shards is nobody's yet.
JobSize SizeOf(const CoordinatorState& before, const CoordinatorOptions& options) {
  const View& view = before.decided.view;
  JobSize size{before.ranks.size(), options.shards, options.replicas};
  if (view.number.value > 0) size.shards = view.shards.size();
  if (before.copies.empty()) return size;
  // One that is on its way to another server is there for a while beside the one that it replaces.
  size.replicas = static_cast<size_t>(std::ranges::count_if(
      before.copies[0].homes, [](const ReplicaHome& home) { return !home.replaces; }));
  return size;
}

}  // namespace

Result<std::unique_ptr<CoordinatorJournal>> CoordinatorJournal::Open(
    const std::string& folder, const CoordinatorOptions& options) {
  auto journal = std::make_unique<CoordinatorJournal>();
  SM_TRY(MakeFolders(journal->files_, folder));
  const std::string path = folder + "/coordinator.log";
  auto lock = FileLock::Take(path + ".lock");
  if (!lock.ok() && lock.error().code == ErrorCode::kUnavailable) {
    return Error{ErrorCode::kUnavailable, "another process has the log " + path +
                                              "; end it, or use another folder (cluster.state)"};
  }
  journal->lock_ = SM_TRY(std::move(lock));
  const auto visit = [&](std::span<const std::byte> record) -> Result<> {
    const auto* text = reinterpret_cast<const char*>(record.data());
    journal->before_ = SM_TRY(DecodeState(std::string_view(text, record.size())));
    return {};
  };
  journal->log_ = SM_TRY(RecordLog::Open(journal->files_, path, visit));
  if (!journal->before_) return journal;
  if (journal->begun()) {
    const auto changes = ChangesOf(journal->before_->keys, options.keys);
    std::string words;
    for (const JobKeyChange& change : changes)
      words += (words.empty() ? "" : ", ") + change.Words();
    if (!words.empty()) {
      return Error{ErrorCode::kBadUsage,
                   "the job in " + folder +
                       " has begun, and the job file has changed since: " + words +
                       "; put that back, or begin another job from a snapshot (snapshot.resume) "
                       "with a folder of its own (cluster.state)"};
    }
  }
  const JobSize was = SizeOf(*journal->before_, options);
  const JobSize asked{options.ranks(), options.shards, options.replicas};
  if (was == asked) return journal;
  return Error{ErrorCode::kBadUsage, "the job in " + folder + " has " + was.Words() +
                                         ", and this job file says " + asked.Words() +
                                         "; give a new job a folder of its own (cluster.state)"};
}

Result<> CoordinatorJournal::Keep(Coordinator& coordinator) {
  if (coordinator.outdated()) return *coordinator.outdated();
  const std::optional<CoordinatorState> state = coordinator.TakeState();
  if (!state) return {};
  const std::string bytes = EncodeState(*state);
  const auto record = std::as_bytes(std::span(bytes));
  return log_->bytes() > kRewriteBytes ? log_->Rewrite(record) : log_->Append(record);
}

}  // namespace shardmill
