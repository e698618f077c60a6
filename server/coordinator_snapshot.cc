// The part of Coordinator that makes cuts snapshots.

#include <algorithm>
#include <utility>

#include "common/config/text.h"
#include "common/mutation.h"
#include "server/coordinator.h"
#include "snapshot/resume.h"
#include "snapshot/shard_file.h"

namespace shardmill {
namespace {

// Attempts at the snapshot of the job's end; then the job is over without.
constexpr uint32_t kFinalTriesMax = 3;
// Snapshots that a job may go back to, at most.
constexpr uint64_t kKeptMax = 8;

std::string Rounded(Duration time) {
  return config::FormatDuration(std::chrono::round<std::chrono::seconds>(time));
}

constexpr int kCopiesFirst = 10;

}  // namespace

bool Coordinator::FinalSnapshotWanted() const {
  return options_.snapshots.enabled && !final_saved_ && final_tries_ < kFinalTriesMax;
}

// Rounds that all shards have closed, as they have last said.
uint64_t Coordinator::ClosedRounds() const {
  uint64_t closed = ~uint64_t{0};
  for (const ShardStatus& shard : shards_) closed = std::min(closed, shard.beat.closed);
  return closed;
}

// As the slowest of the workers has last said.
uint64_t Coordinator::EpochsOver() const {
  uint64_t epochs = ~uint64_t{0};
  for (const Member& member : view_.members) {
    epochs = std::min(epochs, ranks_[member.rank.value].report.epoch);
  }
  return view_.members.empty() ? 0 : epochs;
}

bool Coordinator::SnapshotDue(TimePoint now) const {
  const SnapshotSchedule& schedule = options_.snapshots;
  if (!schedule.enabled || saving_ || view_.tables.empty()) return false;
  // A cut that a shard cannot complete is no snapshot.
  if (owing_at_ && now - *owing_at_ < options_.retry_after) return false;
  if (AllDone()) return FinalSnapshotWanted() && now >= final_retry_at_;
  const bool by_time = schedule.every > Duration{} && now - snapshot_at_ >= schedule.every;
  const bool by_rounds =
      schedule.rounds > 0 && ClosedRounds() >= snapshot_closed_ + schedule.rounds;
  const bool by_epochs =
      schedule.epochs > 0 && EpochsOver() / schedule.epochs > snapshot_epoch_ / schedule.epochs;
  if (!by_time && !by_rounds && !by_epochs) return false;
  // A copy that is being made would begin anew: it goes first, for some time.
  const Duration patience = schedule.every + kCopiesFirst * options_.lease;
  return !CopyIsUnderWay() || now - snapshot_at_ >= patience;
}

// The cut under way, whose view is next_, becomes a snapshot. Its number is on disk before any
// shard hears of it, so that no other cut ever has it.
void Coordinator::BeginSnapshot(TimePoint now) {
  install_snapshot_ = ++snapshot_;
  snapshot_at_ = now;
  snapshot_closed_ = ClosedRounds();
  snapshot_epoch_ = EpochsOver();
  if (final_cut_) ++final_tries_;
  saving_.emplace();
  saving_->cut_at = now;
  saving_->asked_at = now;
  saving_->final = final_cut_;
  Manifest& manifest = saving_->manifest;
  manifest.job = options_.job;
  manifest.name = options_.name;
  manifest.number = snapshot_;
  manifest.line = line_;
  manifest.view = next_;
  for (TablePlace& table : manifest.view.tables) {
    if (!table.spec.update) table.spec.update = options_.update;
  }
  manifest.cut = cut_;
  manifest.keys = options_.keys;
  if (options_.data.leased) manifest.data = leases_.AtCut(cut_);
  snapshots_.under_way = snapshot_;
  snapshots_.problem.clear();
}

void Coordinator::AskSaved(TimePoint now, Outbox& outbox) {
  saving_->asked_at = now;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (saving_->files.contains(ShardId{i})) continue;
    Send(shards_[i].peer, shards_[i].boot, GetSaved{saving_->manifest.number}, outbox);
  }
}

// A disk that hangs says nothing, so that nothing but time tells.
void Coordinator::CheckSaving(TimePoint now, Outbox& outbox) {
  const Duration took = now - saving_->cut_at;
  const std::string number = "snapshot " + std::to_string(saving_->manifest.number);
  const std::string awaited = "waiting for " + MissingFiles() + " to write " + number;
  const std::string limit = config::FormatDuration(std::chrono::round<std::chrono::milliseconds>(
                                options_.snapshots.timeout)) +
                            " (snapshot.timeout)";
  if (took >= options_.snapshots.timeout) {
    if (saving_->final) final_tries_ = kFinalTriesMax;  // It would hang again.
    GiveUpSnapshot(now, MissingFiles() + " did not write it within " + limit);
    return;
  }
  snapshots_.awaited = awaited + ", for " + Rounded(took) + " of " + limit;
  if (now - saving_->asked_at >= options_.retry_after) AskSaved(now, outbox);
}

void Coordinator::On(const Saved& saved, TimePoint now, const Envelope& from, Outbox& /*outbox*/) {
  ShardId id;
  if (FindShard(from, now, &id) == nullptr) return;
  if (!saving_ || saving_->whole || saved.snapshot != saving_->manifest.number) return;
  if (!saved.problem.empty()) {
    GiveUpSnapshot(now, "shard " + std::to_string(id.value) + ": " + saved.problem);
    return;
  }
  saving_->files[id] = {ShardFileName(id), saved.bytes, saved.piece_bytes, saved.piece_crcs,
                        saved.content};
  const bool first = Mutated(Mutation::kManifestFirst);
  if (saving_->files.size() < shards_.size() && !first) return;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const auto file = saving_->files.find(ShardId{i});
    saving_->manifest.files.push_back(file != saving_->files.end()
                                          ? file->second
                                          : SnapshotFile{ShardFileName(ShardId{i}), 1, 1, {0}, 0});
  }
  saving_->whole = true;
  to_write_ = saving_->manifest;
}

std::optional<Manifest> Coordinator::TakeManifest() { return std::exchange(to_write_, {}); }

void Coordinator::Wrote(TimePoint now, uint64_t snapshot, const Result<>& result) {
  if (!saving_ || !saving_->whole || saving_->manifest.number != snapshot) return;
  if (!result.ok()) {
    GiveUpSnapshot(now, result.error().message);
    return;
  }
  snapshots_.number = snapshot;
  ++snapshots_.complete;
  snapshots_.cut_at = saving_->cut_at;
  snapshots_.took = now - saving_->cut_at;
  snapshots_.under_way = 0;
  snapshots_.awaited.clear();
  snapshots_.bytes = 0;
  for (const SnapshotFile& file : saving_->manifest.files) snapshots_.bytes += file.bytes;
  const bool final = saving_->final;
  last_epoch_ = snapshot_epoch_;
  if (!Mutated(Mutation::kForgetLastSnapshot)) {
    last_ = std::move(saving_->manifest);
    kept_.push_back(*last_);
    DropOldest();
  }
  saving_.reset();
  if (!final) return;
  final_saved_ = true;
  if (phase_ == Phase::kIdle && state_ == JobState::kTraining) EndJob();
}

// The job goes on; the next one has another number.
void Coordinator::GiveUpSnapshot(TimePoint now, std::string problem) {
  ++snapshots_.given_up;
  snapshots_.under_way = 0;
  snapshots_.awaited.clear();
  snapshots_.problem =
      "snapshot " + std::to_string(saving_->manifest.number) + ": " + std::move(problem);
  const bool over = saving_->final && final_tries_ >= kFinalTriesMax;
  // What went wrong has some time to pass.
  if (saving_->final) final_retry_at_ = now + options_.retry_after;
  saving_.reset();
  if (over && phase_ == Phase::kIdle && state_ == JobState::kTraining) EndJob();
}

void Coordinator::EndJob() {
  state_ = JobState::kDone;
  changed_ = true;
  words_.clear();
  snapshots_.final_lost = options_.snapshots.enabled && !view_.tables.empty() && !final_saved_;
  if (!snapshots_.final_lost) return;
  words_ = "the job's last snapshot was lost" +
           (snapshots_.problem.empty() ? "" : ": " + snapshots_.problem);
}

// The shards that have not said that their file is there.
std::string Coordinator::MissingFiles() const {
  std::string names;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (saving_->files.contains(ShardId{i})) continue;
    names += (names.empty() ? "shard " : ", shard ") + std::to_string(i);
  }
  return names;
}

// Whom the job's end waits for.
std::string Coordinator::SavingWords() const {
  if (!AllDone() || view_.tables.empty()) return "";
  if (saving_) {
    return saving_->whole
               ? "writing the manifest of snapshot " + std::to_string(saving_->manifest.number)
               : snapshots_.awaited;
  }
  if (final_tries_ == 0 || !FinalSnapshotWanted()) return "";
  return "trying the last snapshot again: " + snapshots_.problem;
}

// Whose snapshots are this job's to go back to, and to remove: its own, and those of the jobs
// before it.
void Coordinator::FindLine() {
  line_.clear();
  kept_.clear();
  if (!last_) return;
  line_ = last_->line;
  if (last_->job != options_.job) line_.push_back(last_->job);
  for (const Manifest& one : options_.kept) {
    const bool ours = one.job == options_.job || std::ranges::find(line_, one.job) != line_.end();
    if (ours && one.number <= last_->number) kept_.push_back(one);
  }
  DropOldest();
}

void Coordinator::DropOldest() {
  const uint64_t keep = options_.snapshots.keep;
  const uint64_t most = keep > 0 ? std::min(keep, kKeptMax) : kKeptMax;
  if (kept_.size() > most) kept_.erase(kept_.begin(), kept_.end() - static_cast<int64_t>(most));
}

// Where the snapshot that the job would go on from cannot be read, it goes on from the one before.
bool Coordinator::FallBack(const std::string& why, TimePoint now) {
  if (phase_ != Phase::kInstalling || install_restore_ == 0) return false;
  if (going_back_) return true;  // From the one that another shard cannot read, either.
  const bool begins = rollbacks_ == 0;
  if (begins && options_.resume_exactly) return false;
  std::erase_if(kept_, [this](const Manifest& one) { return one.number >= install_restore_; });
  if (kept_.empty()) return false;
  ++snapshots_.damaged;
  snapshots_.problem = "snapshot " + std::to_string(install_restore_) + " cannot be read: " + why;
  rollback_words_ = snapshots_.problem;
  last_ = kept_.back();
  last_epoch_ = 0;  // Not known: the next by epochs comes early.
  going_back_ = now;
  return true;
}

std::string Coordinator::ResumeProblem(const CoordinatorOptions& options) {
  if (!options.resume) return "";
  const Manifest& from = *options.resume;
  const auto began = [](const RankState& state) { return state.ended > 0; };
  const std::string name = "snapshot " + std::to_string(from.number);
  const std::string rows = RowsProblem(from, options.keys, options.data.leased);
  if (!rows.empty()) return rows;
  const uint64_t epochs = options.data.epochs;
  if (options.data.leased &&
      (from.data.epoch > epochs || (from.data.epoch == epochs && from.data.begin > 0))) {
    return name + " is in epoch " + std::to_string(from.data.epoch + 1) +
           " of its data, and this job has " + std::to_string(epochs) + " (train.epochs)";
  }
  if (options.data.leased) {
    if (from.data.rows > 0 || std::ranges::none_of(from.cut, began)) return "";
    return name + " is of a job that did not lease its data (data.scheme)";
  }
  if (from.data.rows > 0) return name + " is of a job that leased its data (data.scheme)";
  for (const RankState& state : from.cut) {
    if (state.rank.value < options.workers) continue;
    return name + " has a worker " + std::to_string(state.rank.value) + ", and this job " +
           std::to_string(options.workers) + " workers (cluster.workers)";
  }
  if (from.cut.size() < options.workers) {
    return name + " is of a job of " + std::to_string(from.cut.size()) +
           " workers, and this one has " + std::to_string(options.workers) + " (cluster.workers)";
  }
  return "";
}

}  // namespace shardmill
