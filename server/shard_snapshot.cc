// The part of Shard that becomes a file of a snapshot, and that begins from one.

#include <algorithm>
#include <utility>

#include "common/mutation.h"
#include "server/shard.h"

namespace shardmill {

// All that the tables are at this moment: frames that are replaced from now on, not written, and
// images of rows.
void Shard::TakeImage() {
  ShardHead& head = saving_->head;
  head.generation = view().generation;
  head.version = copy_.version();
  const std::vector<RankState> states = copy_.tracker().States();
  for (const RankState& state : saving_->cut) {
    const auto here = std::ranges::find(states, state.rank, &RankState::rank);
    if (here != states.end()) head.ranks.push_back(*here);
    // One that came and left without a step, in a view that this shard's copy never had.
    if (here == states.end() && state.ended == 0) head.ranks.push_back(state);
  }
  for (auto& [id, table] : copy_.tables()) {
    TableHead part{id, table.place.spec.name, {}};
    if (auto* sparse = std::get_if<SparseSlice>(&table.values)) {
      sparse->BeginImage();
      part.part = sparse->Head();
    } else {
      DenseImage image = std::get<DenseSlice>(table.values).Image(*table.optimizer);
      part.part = image.head;
      saving_->dense.emplace(id, std::move(image));
    }
    head.tables.push_back(std::move(part));
  }
  saving_->taken = true;
}

// The job goes back, and this shard is as one that has just begun: what was held, applied or asked
// for before it counts no more.
void Shard::DropGeneration() {
  freezing_.reset();
  late_ends_.clear();
  if (!Mutated(Mutation::kKeepHeldUnits)) {
    held_ = HeldUnits(options_.held_bytes_max, options_.units_max);
  }
  keys_.ForgetAll();
  pending_.clear();
  parked_.clear();
  answers_.clear();
  releases_ = false;
  saving_.reset();
  saved_ = {};
  restoring_.reset();
  gate_.Clear();
  followers_.BeginAnew();
  log_.BeginAnew();
  unsure_.clear();
  brought_.clear();
  promoted_ = unseen_ = false;
  following_.reset();
  copy_.Clear();
  recent_.Begin(copy_.version());
}

void Shard::BeginSave(const Install& install) {
  EndSave();
  followers_.DropImage();
  log_.DropImage();
  saving_.emplace();
  saving_->cut = install.cut;
  saving_->head.job = job_;
  saving_->head.snapshot = install.snapshot;
  saving_->head.shard = options_.id;
  saved_ = Saved{install.snapshot, {}, 0, 0, {}, 0};
  if (!Mutated(Mutation::kSnapshotSkew)) TakeImage();
}

void Shard::EndSave() {
  if (!saving_) return;
  saving_.reset();
  for (auto& [id, table] : copy_.tables()) {
    if (auto* sparse = std::get_if<SparseSlice>(&table.values)) sparse->EndImage();
  }
}

std::optional<DiskRequest> Shard::NextDiskRequest(uint64_t rows_max) {
  if (restoring_ && !restoring_->asked) {
    restoring_->asked = true;
    return LoadTables{restoring_->load, restoring_->snapshot, options_.id, view().tables};
  }
  if (!saving_) return {};
  if (!saving_->taken) TakeImage();
  if (!saving_->begun) {
    saving_->begun = true;
    return saving_->head;
  }
  for (size_t& next = saving_->next; next < saving_->head.tables.size(); ++next) {
    const TableId id = saving_->head.tables[next].table;
    auto* sparse = std::get_if<SparseSlice>(&copy_.At(id).values);
    if (sparse == nullptr) {
      DenseImage image = std::move(saving_->dense.at(id));
      saving_->dense.erase(id);
      ++next;
      return image;
    }
    if (sparse->ImageDone()) {
      sparse->EndImage();
      continue;
    }
    std::optional<RowBatch> batch = sparse->NextRows(rows_max, frames_);
    if (!batch) return {};  // There is more of it; something else may come first.
    return std::move(*batch);
  }
  const FileEnd end{saving_->head.snapshot};
  EndSave();
  return end;
}

void Shard::Handle(DiskAnswer answer, Outbox& outbox) {
  std::visit([&](auto& what) { On(what, outbox); }, answer);
}

void Shard::On(FileWritten& written, Outbox& outbox) {
  if (written.snapshot != saved_.snapshot) return;
  if (written.file.ok()) {
    const SnapshotFile& file = written.file.value();
    saved_ = {written.snapshot, {}, file.bytes, file.piece_bytes, file.piece_crcs, file.content};
  } else {
    EndSave();
    saved_.problem = written.file.error().message;
  }
  Send(Coordinator(), saved_, outbox);
}

void Shard::On(const GetSaved& save, const Envelope& /*from*/, Outbox& outbox) {
  if (save.snapshot < saved_.snapshot) return;
  const bool over = saved_.bytes > 0 || !saved_.problem.empty();
  if (save.snapshot == saved_.snapshot) {
    if (over) Send(Coordinator(), saved_, outbox);
    return;
  }
  Saved unknown;
  unknown.snapshot = save.snapshot;
  unknown.problem = "this process was not asked to write it";
  Send(Coordinator(), std::move(unknown), outbox);
}

void Shard::On(PieceLoaded& loaded, Outbox& /*outbox*/) {
  if (!restoring_ || restoring_->load != loaded.load || !restoring_->problem.empty()) return;
  Result<> taken = copy_.Restore(loaded.table, loaded.piece);
  if (taken.ok() && !RowsFit()) {
    taken = Error{ErrorCode::kBadUsage,
                  "a shard's share of cluster.table_bytes is less than the rows of the snapshot "
                  "take; raise that, or use more shards"};
  }
  if (!taken.ok()) restoring_->problem = taken.error().message;
}

// Silence where it is not over: it is answered when all is there.
void Shard::RefuseRestored(Outbox& outbox) const {
  if (!restoring_->over) return;
  Send(Coordinator(), Refused{Refusal::kFailed, view().number.value, restoring_->problem}, outbox);
}

void Shard::On(TablesLoaded& loaded, Outbox& outbox) {
  if (!restoring_ || restoring_->load != loaded.load) return;
  restoring_->over = true;
  if (restoring_->problem.empty() && !loaded.version.ok()) {
    restoring_->problem = loaded.version.error().message;
  }
  if (!restoring_->problem.empty()) {
    RefuseRestored(outbox);
    return;
  }
  restoring_.reset();
  copy_.RestoreVersion(loaded.version.value());
  copy_.TellRestored();
  Send(Coordinator(), Installed{view().number}, outbox);
}

}  // namespace shardmill
