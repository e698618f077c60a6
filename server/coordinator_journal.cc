#include "server/coordinator_journal.h"

#include <filesystem>
#include <span>
#include <string_view>
#include <system_error>

#include "common/wire/coordinator_state.h"

namespace shardmill {
namespace {

// Each record is a whole state: of all but the last nothing is needed.
constexpr uint64_t kRewriteBytes = uint64_t{16} << 20;

std::string SizeWords(size_t workers, size_t shards) {
  return std::to_string(workers) + " workers and " + std::to_string(shards) + " shards";
}

}  // namespace

Result<std::unique_ptr<CoordinatorJournal>> CoordinatorJournal::Open(
    const std::string& folder, const CoordinatorOptions& options) {
  auto journal = std::make_unique<CoordinatorJournal>();
  std::error_code why;
  std::filesystem::create_directories(folder, why);
  if (why) {
    return Error{ErrorCode::kFailed, folder + ": the folder cannot be made: " + why.message()};
  }
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
  const size_t workers = journal->before_->ranks.size();
  const View& view = journal->before_->decided.view;
  const size_t shards = view.number.value > 0 ? view.shards.size() : options.shards;
  if (workers == options.ranks() && shards == options.shards) return journal;
  return Error{ErrorCode::kBadUsage, "the job in " + folder + " has " + SizeWords(workers, shards) +
                                         ", and this job file says " +
                                         SizeWords(options.ranks(), options.shards) +
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
