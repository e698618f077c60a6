#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/entry.h"
#include "common/frame_pool.h"
#include "common/messages.h"
#include "common/result.h"
#include "common/view.h"
#include "optim/optimizer.h"
#include "server/dense_slice.h"
#include "server/log_entry.h"
#include "server/sparse_slice.h"
#include "server/step_tracker.h"
#include "snapshot/image.h"

namespace shardmill {

// Sees what a shard does, in the order in which it does it: for records and for tests. Called on
// the shard's thread, and must not call back.
class ShardObserver {
 public:
  virtual ~ShardObserver() = default;
  virtual void TookView(JobId job, const View& view) = 0;
  // All of its tables came from a snapshot, under the view that it took last.
  virtual void Restored(uint64_t version, const std::vector<RankState>& ranks) = 0;
  virtual void Applied(const LogEntry& entry) = 0;
  // `reader`: the process that asked.
  virtual void Served(const Pull& pull, BootId reader, const Pulled& answer) = 0;
  // The sums of one table of the last entry applied, before they are done and after. For those who
  // want to know when: what is changed, Applied has said.
  virtual void ChangeBegins(const TableChange& /*change*/) {}
  virtual void ChangeEnds() {}
};

// What a shard is: its slice of every table, and who has finished what. Changed by views, entries
// and what comes back from a snapshot, and by nothing else: copies that take the same, in the same
// order, are the same to the bit. An entry is taken at once; its sums in dense tables are done when
// somebody asks for them. Owned by a Shard, on its thread. Entries are checked by whoever makes
// them; a bad one is our own bug.
class ShardCopy final {
 public:
  struct Table {
    TablePlace place;
    UpdateSettings update;
    std::unique_ptr<Optimizer> optimizer;
    std::variant<std::monostate, DenseSlice, SparseSlice> values;
    // Of a sparse table: no more rows than these are there or will be made by held units.
    uint64_t rows_bound = 0;
  };

  // `update`: of tables that name none of their own. The pool and the observer, if any, outlive it.
  ShardCopy(ShardId id, const UpdateSettings& update, FramePool& frames, ShardObserver* observer);

  // As if it had just been made.
  void Clear();

  const View& view() const { return view_; }
  const StepTracker& tracker() const { return tracker_; }
  uint64_t version() const { return version_; }  // Entries taken.
  uint64_t filled() const { return filled_; }    // Steps with samples applied; see Ended.
  // Where the first shard closes rounds: who counted in the last one.
  const std::vector<RankState>& last_close() const { return last_close_; }
  Table& At(TableId id) { return tables_.at(id); }
  const Table& At(TableId id) const { return tables_.at(id); }
  std::map<TableId, Table>& tables() { return tables_; }
  const std::map<TableId, Table>& tables() const { return tables_; }

  // Words where the view cannot be taken.
  std::string TakeView(JobId job, const View& view,
                       DenseSlice::Begins how = DenseSlice::Begins::kMade);

  // Takes what `entry` holds, and leaves it empty, with its memory.
  void Take(LogEntry& entry);
  // Memory of a change that is over, for the next.
  std::vector<ChangePart> SpareParts();

  // Whether there are no sums to be done.
  bool settled() const { return settled_ == unsettled_.size(); }
  // Does those of one table, and says which and how many bytes they read. Not where it is settled.
  struct SettledTable {
    TableId table;
    uint64_t bytes = 0;
  };
  SettledTable SettleNext();
  // Does those of that table, before a read.
  void Settle(TableId table);

  // Of so many floats of a dense table from `begin` on, or rows of a sparse one. Wants a settled
  // copy; 0 where there are no such.
  uint32_t ChecksumOf(TableId table, uint64_t begin, uint64_t count) const;

  // What a snapshot has is taken instead: steps, pieces of tables, and at the end the version. No
  // entry has been taken before.
  void RestoreSteps(const std::vector<RankState>& cut) { tracker_.Restore(cut); }
  Result<> Restore(TableId table, const TablePiece& piece);
  // Makes what no piece restored.
  void MakeRest();
  void RestoreVersion(uint64_t version) { version_ = version; }
  // Tells the observer, once all is restored.
  void TellRestored() const {
    if (observer_ != nullptr) observer_->Restored(version_, tracker_.States());
  }
  void RestoreCounts(uint64_t filled, const std::vector<RankState>& last_close) {
    filled_ = filled;
    last_close_ = last_close;
  }
  // Words where an entry of another copy is none that can follow what is here; or else `entry` is
  // the same, ready to be taken.
  std::string Read(const Entry& from, LogEntry& entry) const;

 private:
  std::string AddTable(const TablePlace& place, DenseSlice::Begins how);
  std::string ChangeUpdate(Table& table, const TablePlace& place);
  void Settle(TableChange& change);

  ShardId id_;
  UpdateSettings update_;
  FramePool& frames_;
  ShardObserver* observer_;
  View view_;
  StepTracker tracker_;
  std::map<TableId, Table> tables_;
  uint64_t version_ = 0;
  uint64_t filled_ = 0;
  std::vector<RankState> last_close_;
  // What the last entry changes in dense tables and has not yet.
  std::vector<TableChange> unsettled_;
  size_t settled_ = 0;  // Of unsettled_, from the front.
  std::vector<std::vector<ChangePart>> spare_parts_;
};

}  // namespace shardmill
