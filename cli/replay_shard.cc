#include "cli/replay_shard.h"

#include <algorithm>
#include <span>
#include <utility>
#include <variant>

namespace shardmill {
namespace {

constexpr PeerId kCoordinator{1};
constexpr BootId kCoordinatorBoot{1};
constexpr BootId kShardBoot{2};
constexpr uint64_t kWorkers = 16;  // Peer and boot id of rank 0.
constexpr Term kTerm{1};
// Memory is bounded by what the recorded shard held.
constexpr uint64_t kHeldBytesMax = uint64_t{1} << 60;

// What a shard does with an entry, without what may differ: the order of steps in a round that a
// cut completed, and what is said of steps that do not count.
std::string Essence(LogEntry entry) {
  for (Contribution& made : entry.made) {
    if (made.discarded) made.samples = 0;
  }
  std::ranges::sort(entry.made, {}, &Contribution::rank);
  std::ranges::sort(entry.changes, {}, &TableChange::table);
  return FormatTrace(entry);
}

}  // namespace

// Keeps what the core says that it has applied.
class ReplayShard::Watch final : public ShardObserver {
 public:
  void TookView(JobId /*job*/, const View& /*view*/) override {}
  void Restored(uint64_t /*version*/, const std::vector<RankState>& /*ranks*/) override {}
  void Applied(const LogEntry& entry) override { applied.push_back(Essence(entry)); }
  void Served(const Pull& /*pull*/, BootId /*reader*/, const Pulled& /*answer*/) override {}

  std::vector<std::string> applied;
};

ReplayShard::ReplayShard(const JobOptions& job, ReplayGradients& workers)
    : job_(job), workers_(workers), watch_(std::make_unique<Watch>()) {}

ReplayShard::~ReplayShard() = default;

Result<std::unique_ptr<ReplayShard>> ReplayShard::Make(const JobOptions& job,
                                                       const std::string& path,
                                                       ReplayGradients& workers) {
  std::unique_ptr<ReplayShard> shard(new ReplayShard(job, workers));
  SM_TRY(shard->Begin(path));
  return shard;
}

Result<> ReplayShard::Begin(const std::string& path) {
  const std::unique_ptr<TraceReader> whole = SM_TRY(TraceReader::Open(path));
  AnswerFilter answers;
  while (true) {
    const std::optional<TraceEvent> event = SM_TRY(whole->Next());
    if (!event) break;
    const auto* served = std::get_if<TraceServed>(&*event);
    if (served != nullptr && answers.Counts(*served)) workers_.Expect(*served);
    const auto* entry = std::get_if<LogEntry>(&*event);
    if (entry == nullptr) continue;
    for (const Contribution& made : entry->made) answers.Ended(made);
  }
  if (!whole->flaw().empty()) {
    return Error{ErrorCode::kBadInput, path + ": the trace is not whole (" + whole->flaw() +
                                           "), and a replay needs every step; `shardmill audit` "
                                           "proves what is there"};
  }
  reader_ = SM_TRY(TraceReader::Open(path));
  ShardOptions options;
  options.id = reader_->head().shard;
  options.boot = kShardBoot;
  options.coordinator = kCoordinator;
  options.update = job_.ServerUpdate();
  options.held_bytes_max = kHeldBytesMax;
  options.rows_bytes_max = job_.cluster.table_bytes;
  options.answer_bytes_max = job_.network.message_bytes;
  core_ = SM_TRY(Shard::Make(options, frames_, watch_.get()));
  Say(kCoordinator, kCoordinatorBoot, Welcome{});
  return {};
}

Outbox ReplayShard::Say(PeerId peer, BootId from, Message message) {
  Outbox outbox;
  const Stamp stamp{reader_->head().job, {}, kTerm, from, kShardBoot};
  core_->Handle({}, {peer, stamp, std::move(message)}, outbox);
  return outbox;
}

std::string ReplayShard::Place() const {
  return reader_->path() + ":" + std::to_string(reader_->line());
}

Error ReplayShard::Astray(const std::string& words) const {
  return {ErrorCode::kFailed, Place() + ": the replay has gone another way: " + words};
}

Sender ReplayShard::SenderOf(WorkerId rank) const {
  const Member* member = core_->view().FindMember(rank);
  return {rank, member == nullptr ? Incarnation{} : member->incarnation};
}

Result<bool> ReplayShard::Advance() {
  bool happened = false;
  while (!done_) {
    if (!next_) next_ = SM_TRY(reader_->Next());
    done_ = !next_;
    if (done_) break;
    if (!SM_TRY(HappenNext())) break;
    next_.reset();
    happened = true;
  }
  return happened;
}

Result<bool> ReplayShard::HappenNext() {
  if (const auto* entry = std::get_if<LogEntry>(&*next_)) return Happen(*entry);
  if (const auto* view = std::get_if<View>(&*next_)) SM_TRY(Happen(*view));
  if (const auto* served = std::get_if<TraceServed>(&*next_)) SM_TRY(Happen(*served));
  return true;
}

Result<> ReplayShard::Happen(const View& recorded) {
  SM_TRY(workers_.TakeTables(recorded));
  View view = recorded;
  view.policy = job_.policy.ToPolicy();
  for (uint32_t i = 0; i < head().shards; ++i) {
    view.shards.push_back({ShardId{i}, kTerm, kShardBoot, ""});
  }
  for (TablePlace& table : view.tables) {
    if (table.cuts.size() != size_t{head().shards} + 1) {
      return Error{ErrorCode::kBadInput, Place() + ": a table is cut for another number of shards"};
    }
    table.spec = workers_.SpecOf(table.spec.name);
  }
  Say(kCoordinator, kCoordinatorBoot, Freeze{view.number});
  Say(kCoordinator, kCoordinatorBoot, Install{view, {}});
  if (core_->view().number == view.number) return {};
  return Astray("the view is not taken");
}

Result<> ReplayShard::Happen(const TraceServed& recorded) {
  const uint64_t rank = recorded.pull.sender.rank.value;
  Pull pull = recorded.pull;
  if (pull.keys.id > 0) pull.keys.keys = workers_.KeysOf(recorded, head().shard);
  if (pull.keys.id > 0 && pull.keys.keys.size() == 0) {
    if (answers_.Counts(recorded)) workers_.Pass(recorded);
    return {};
  }
  const Outbox outbox = Say(PeerId{kWorkers + rank}, BootId{kWorkers + rank}, std::move(pull));
  const auto* answer = outbox.empty() ? nullptr : std::get_if<Pulled>(&outbox.front().message);
  if (answer == nullptr) return Astray("a pull is not served");
  if (answer->closed != recorded.closed || answer->version != recorded.version ||
      answer->staleness != recorded.staleness) {
    return Astray("a pull is served with another version");
  }
  ++served_;
  if (answers_.Counts(recorded)) return workers_.Take(recorded, answer->values, head().shard);
  return {};
}

Result<bool> ReplayShard::Happen(const LogEntry& recorded) {
  std::vector<const ReplayGradients::Gradient*> gradients;
  std::vector<RankState> close;
  for (const Contribution& made : recorded.made) {
    const ReplayGradients::Gradient* gradient = nullptr;
    if (!made.discarded) {
      close.push_back({made.rank, made.step, made.samples, 0, made.step, 0, 0});
      if (made.samples > 0) {
        gradient = SM_TRY(workers_.Of(SenderOf(made.rank), made));
        if (gradient == nullptr) return false;
      }
    }
    gradients.push_back(gradient);
  }
  // Where the first shard closes rounds for all, the others are told by whom it closed.
  if (job_.policy.backups == 0 || head().shard.value == 0) close.clear();
  const auto& stop = workers_.stop();
  const bool signals = stop && std::ranges::find(recorded.changes, stop->id, &TableChange::table) !=
                                   recorded.changes.end();
  for (size_t i = 0; i < recorded.made.size(); ++i) {
    const Contribution& made = recorded.made[i];
    // The worker that measures says in which step training ends.
    const bool says = signals && made.rank == WorkerId{0};
    if (!made.discarded) Finish(made, gradients[i], {}, says);
  }
  if (!close.empty()) Finish(recorded.made.front(), nullptr, close, false);
  const std::vector<std::string> applied = std::exchange(watch_->applied, {});
  if (applied.size() != 1 || applied.front() != Essence(recorded)) {
    return Astray("an entry comes to something else");
  }
  ++applied_;
  for (const Contribution& made : recorded.made) {
    answers_.Ended(made);
    workers_.Forget(made.rank, made.step, head().shards);
  }
  return true;
}

Unit ReplayShard::LastStepUnit(const Contribution& made) const {
  const auto last = static_cast<float>(made.step + job_.policy.ToPolicy().staleness);
  Unit unit;
  unit.table = workers_.stop()->id;
  unit.gradient = Frame::CopyOf(std::span<const float>(&last, 1));
  return unit;
}

// Sends a step's units and its End; with `close`, the End that brings word of a closed round.
void ReplayShard::Finish(const Contribution& made, const ReplayGradients::Gradient* gradient,
                         const std::vector<RankState>& close, bool signals) {
  const PeerId peer{kWorkers + made.rank.value};
  const BootId boot{kWorkers + made.rank.value};
  End end;
  end.sender = SenderOf(made.rank);
  end.step = made.step;
  end.samples = made.samples;
  end.close = close;
  const auto send = [&](Unit unit) {
    unit.sender = end.sender;
    unit.step = made.step;
    unit.index = end.units++;
    Say(peer, boot, std::move(unit));
  };
  for (size_t i = 0; gradient != nullptr && i < gradient->size(); ++i) {
    std::optional<Unit> unit = workers_.UnitOf(*gradient, i, head().shard);
    if (unit) send(std::move(*unit));
  }
  if (signals) send(LastStepUnit(made));
  Say(peer, boot, std::move(end));
}

}  // namespace shardmill
