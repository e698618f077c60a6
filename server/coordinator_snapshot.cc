// The part of Coordinator that makes cuts snapshots.

#include <algorithm>
#include <utility>

#include "common/mutation.h"
#include "server/coordinator.h"
#include "snapshot/shard_file.h"

namespace shardmill {
namespace {

// Attempts at the snapshot of the job's end; then the job is over without.
constexpr uint32_t kFinalTriesMax = 3;

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
  if (AllDone()) return FinalSnapshotWanted();
  const bool by_time = schedule.every > Duration{} && now - snapshot_at_ >= schedule.every;
  const bool by_rounds =
      schedule.rounds > 0 && ClosedRounds() >= snapshot_closed_ + schedule.rounds;
  const bool by_epochs =
      schedule.epochs > 0 && EpochsOver() / schedule.epochs > snapshot_epoch_ / schedule.epochs;
  return by_time || by_rounds || by_epochs;
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
  manifest.view = next_;
  for (TablePlace& table : manifest.view.tables) {
    if (!table.spec.update) table.spec.update = options_.update;
  }
  manifest.cut = cut_;
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

void Coordinator::On(const Saved& saved, TimePoint now, const Envelope& from, Outbox& /*outbox*/) {
  ShardId id;
  if (FindShard(from, now, &id) == nullptr) return;
  if (!saving_ || saving_->whole || saved.snapshot != saving_->manifest.number) return;
  if (!saved.problem.empty()) {
    GiveUpSnapshot("shard " + std::to_string(id.value) + ": " + saved.problem);
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
    GiveUpSnapshot(result.error().message);
    return;
  }
  snapshots_.number = snapshot;
  ++snapshots_.complete;
  snapshots_.cut_at = saving_->cut_at;
  snapshots_.took = now - saving_->cut_at;
  snapshots_.under_way = 0;
  snapshots_.bytes = 0;
  for (const SnapshotFile& file : saving_->manifest.files) snapshots_.bytes += file.bytes;
  const bool final = saving_->final;
  last_epoch_ = snapshot_epoch_;
  if (!Mutated(Mutation::kForgetLastSnapshot)) last_ = std::move(saving_->manifest);
  saving_.reset();
  if (!final) return;
  final_saved_ = true;
  if (phase_ == Phase::kIdle && state_ == JobState::kTraining) EndJob();
}

// The job goes on; the next one has another number.
void Coordinator::GiveUpSnapshot(std::string problem) {
  ++snapshots_.given_up;
  snapshots_.under_way = 0;
  snapshots_.problem =
      "snapshot " + std::to_string(saving_->manifest.number) + ": " + std::move(problem);
  const bool over = saving_->final && final_tries_ >= kFinalTriesMax;
  saving_.reset();
  if (over && phase_ == Phase::kIdle && state_ == JobState::kTraining) EndJob();
}

void Coordinator::EndJob() {
  state_ = JobState::kDone;
  changed_ = true;
}

// Whom the job's end waits for.
std::string Coordinator::SavingWords() const {
  if (!saving_ || !saving_->final) return "";
  std::string names;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (saving_->files.contains(ShardId{i})) continue;
    names += (names.empty() ? "shard " : ", shard ") + std::to_string(i);
  }
  const std::string what = "snapshot " + std::to_string(saving_->manifest.number);
  return names.empty() ? "writing the manifest of " + what
                       : "waiting for " + names + " to write " + what;
}

std::string Coordinator::ResumeProblem(const CoordinatorOptions& options) {
  if (!options.resume) return "";
  const Manifest& from = *options.resume;
  const auto began = [](const RankState& state) { return state.ended > 0; };
  const std::string name = "snapshot " + std::to_string(from.number);
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
