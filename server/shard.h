#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/frame_pool.h"
#include "common/messages.h"
#include "common/mutation.h"
#include "common/result.h"
#include "server/disk_work.h"
#include "server/followers.h"
#include "server/gate.h"
#include "server/held_units.h"
#include "server/key_cache.h"
#include "server/log_entry.h"
#include "server/log_keeper.h"
#include "server/log_work.h"
#include "server/shard_copy.h"

namespace shardmill {

struct ShardOptions {
  ShardId id;
  BootId boot;
  std::string endpoint;  // Where workers reach this shard.
  PeerId coordinator;
  UpdateSettings update;  // Of tables that name none of their own.
  uint64_t held_bytes_max = uint64_t{1} << 30;
  uint32_t units_max = 65536;             // Of one step of one rank.
  uint32_t parked_pulls_max = 4096;       // Of one rank.
  uint32_t key_lists_max = 64;            // Remembered of one rank.
  uint64_t keys_max = uint64_t{1} << 22;  // In those lists together; and in its parked pulls.
  Duration retry_after = std::chrono::milliseconds(500);
  Duration beat_every = std::chrono::seconds(1);
  Duration start_timeout = std::chrono::seconds(60);  // For the coordinator to answer.
  // Copies of each shard beside its primary, and which copy this is; so many of them must have what
  // an answer shows, beside the primary.
  uint32_t replicas = 0;
  uint32_t copy = 0;
  uint32_t in_sync_min = 1;
  Duration check_every = std::chrono::seconds(1);  // A part of the tables, against the replicas'.
  uint64_t window_bytes = uint64_t{64} << 20;      // Sent to a replica and not taken by it yet.
  Duration give_up_after = std::chrono::seconds(10);  // A replica that takes nothing.
  // It keeps a log, in which an answer's entries must be; another file is begun when the entries of
  // one are so many bytes at least.
  bool log = false;
  uint64_t log_entries_bytes = uint64_t{64} << 20;
  // Of sparse tables: all rows together, the rows of one table, and what answers one pull.
  uint64_t rows_bytes_max = uint64_t{64} << 30;
  uint64_t table_rows_max = RowIndex::kRowsMax;
  uint64_t answer_bytes_max = uint64_t{512} << 20;
};

// What a shard has counted since it began.
struct ShardCounters {
  uint64_t units = 0;
  uint64_t pulls = 0;
  uint64_t entries = 0;
  uint64_t refused = 0;
  uint64_t staleness_max = 0;
  uint64_t discarded = 0;  // Steps whose round was closed without them.
  uint64_t skipped = 0;    // Steps left out for a gradient that is no number.
  uint64_t nonfinite = 0;  // Units taken with a NaN or an infinity in them.
};

// Owns a slice of every table: holds units, applies whole steps as log entries, parks and serves
// pulls by the read rule, and takes part in cuts. A pure state machine: messages and `now` in,
// messages out; no clock, socket, file or chance. Owned by one agent, on its thread. Input that
// cannot be is refused with words and counted; it never ends the process.
class Shard final {
 public:
  // Fails on settings that cannot be. The pool and the observer, if any, must outlive the shard.
  static Result<std::unique_ptr<Shard>> Make(const ShardOptions& options, FramePool& frames,
                                             ShardObserver* observer = nullptr);

  // Takes a message and does all that it sets off.
  void Handle(TimePoint now, const Envelope& envelope, Outbox& outbox);
  // The same in parts, so that a worker can read one table while the next is changed: Take decides,
  // and Settle, called until it says false, does the sums of one table, serves who waits for it,
  // and at the end says that the step is over. Other messages may be taken in between.
  void Take(TimePoint now, const Envelope& envelope, Outbox& outbox);
  bool Settle(Outbox& outbox);
  // What the shard would have the disk do next, if anything; called where there is room for it, and
  // again while DiskWaits says so. It copies so many rows of sparse tables at most.
  std::optional<DiskRequest> NextDiskRequest(uint64_t rows_max);
  bool DiskWaits() const { return saving_.has_value() || (restoring_ && !restoring_->asked); }
  // Whether it waits for what the disk has of its tables.
  bool Restores() const { return restoring_ && restoring_->asked && !restoring_->over; }
  // What came of it.
  void Handle(DiskAnswer answer, Outbox& outbox);
  // The same of the disk that its log is on.
  std::optional<LogRequest> NextLogRequest();
  void Handle(LogAnswer answer, Outbox& outbox);
  // Whether it waits for what its log has.
  bool ReadsLog() const { return options_.log && !log_read_; }
  void Tick(TimePoint now, Outbox& outbox);

  // Replicas that have no peer yet; whoever moves the IO connects and attaches them.
  std::vector<ReplicaPlace> Unattached() const { return followers_.Unattached(); }
  void Attach(BootId replica, PeerId peer) { followers_.Attach(replica, peer); }
  // Its process is to stop: says so from now on, until the coordinator takes its place from it.
  void Leave() {
    leaving_ = true;
    beat_at_.reset();
  }
  bool leaving() const { return leaving_; }
  // It is the one that workers speak to.
  bool primary() const { return primary_; }
  Term term() const { return term_; }
  // A replica that has all its primary had when it began.
  bool follows() const { return following_ && following_->whole; }
  // It answers workers, or would if it were made the primary now.
  bool serves() const { return ready() && (primary() || follows()); }

  // Once the coordinator has said which it is.
  std::optional<JobId> job() const { return registered_ ? std::optional(job_) : std::nullopt; }
  bool ready() const { return view().number.value > 0; }
  const View& view() const { return copy_.view(); }
  // Set for good when the coordinator says that this shard has no place in the job, or nothing.
  const std::optional<Error>& failure() const { return failure_; }
  // Why the coordinator does not let it have its place yet; empty where it does.
  const std::string& held_words() const { return held_words_; }
  // For the job was done before it came.
  bool over() const { return failure_ && failure_->code == ErrorCode::kDone; }
  const ShardCounters& counters() const { return counters_; }
  uint64_t held_bytes() const { return held_.bytes(); }
  Beat Status() const;

  // For tests: what the shard holds of a dense table, of a sparse one by key, and who has ended
  // what.
  std::vector<float> Snapshot(TableId table) const;
  std::map<uint64_t, std::vector<float>> Rows(TableId table) const;
  std::vector<RankState> States() const { return copy_.tracker().States(); }

 private:
  // Where an answer goes.
  struct Client {
    PeerId peer;
    BootId boot;
  };
  struct PendingEnd {
    End end;
    std::optional<Client> client;  // None: its End has not come here.
    bool discarded = false;
    uint64_t arrival = 0;
  };
  struct ParkedPull {
    Pull pull;
    std::shared_ptr<KeyRows> keys;  // See ChangePart.
    Client client;
  };

  Shard(const ShardOptions& options, FramePool& frames, ShardObserver* observer);

  void On(const Hello& hello, const Envelope& from, Outbox& outbox);
  void On(const Refused& refused, const Envelope& from, Outbox& outbox);
  void On(const Unit& unit, const Envelope& from, Outbox& outbox);
  void On(const End& end, const Envelope& from, Outbox& outbox);
  void On(const Pull& pull, const Envelope& from, Outbox& outbox);
  void On(const Registered& registered, const Envelope& from, Outbox& outbox);
  void On(const Freeze& freeze, const Envelope& from, Outbox& outbox);
  void On(const Install& install, const Envelope& from, Outbox& outbox);
  void On(const GetSaved& save, const Envelope& from, Outbox& outbox);
  void On(const Replicas& replicas, const Envelope& from, Outbox& outbox);
  void On(const Follow& follow, const Envelope& from, Outbox& outbox);
  void On(const Followed& followed, const Envelope& from, Outbox& outbox);
  void On(LogItem& item, Outbox& outbox);
  void On(LogRead& read, Outbox& outbox);
  void On(LogWritten& written, Outbox& outbox);
  void On(FileWritten& written, Outbox& outbox);
  void On(PieceLoaded& loaded, Outbox& outbox);
  void On(TablesLoaded& loaded, Outbox& outbox);

  // Whether the sender's key may say this.
  bool PassIdentity(const Envelope& from, Outbox& outbox);
  void TakeLateEnds(Outbox& outbox);
  bool PassStamp(const Envelope& from, Outbox& outbox);
  bool PassSender(const Sender& sender, uint64_t about, const Envelope& from, Outbox& outbox);
  // Whether the shard has what a message names; refuses it otherwise. `rows` is set for a sparse
  // table.
  bool PassPlace(TableId table, uint64_t begin, uint64_t count, const KeyList& keys, WorkerId rank,
                 uint64_t about, const Envelope& from, Outbox& outbox,
                 std::shared_ptr<KeyRows>& rows);
  std::string PlaceProblem(const ShardCopy::Table& table, uint64_t begin, uint64_t count,
                           const KeyList& keys) const;
  bool PassStep(Step step, WorkerId rank, uint64_t about, const Envelope& from, Outbox& outbox);
  std::string RowsProblem(const HeldUnit& asked);
  bool RowsFit() const;
  void CountRows(const HeldUnit& asked);
  bool PassEnd(const End& end, const Envelope& from, Outbox& outbox);

  using ParkedPulls = std::pmr::map<uint64_t, ParkedPull>;  // By the reader's number.
  bool MayPark(const ParkedPulls& parked, const ParkedPull& pull) const;

  bool closes_rounds() const { return view().policy.apply == ApplyRule::kPerStep; }
  bool first_closes() const { return view().policy.backups > 0; }
  void CloseRoundIfWhole(Outbox& outbox);
  // What the first shard's word on a round means here.
  enum class Told : uint8_t { kCannotBe, kClosed, kNext, kTooEarly };
  Told RoundAsTold(const std::vector<RankState>& close) const;
  void CloseAsTold(const std::vector<RankState>& close, Outbox& outbox);
  uint64_t RoundMin() const;  // The steps that make a round.
  void CloseRound(Outbox& outbox);
  double WeightOf(const PendingEnd& step, double samples, double members) const;
  void ApplySteps(std::span<const PendingEnd> steps, Outbox& outbox);
  void AddChanges(const PendingEnd& step, float weight, LogEntry& entry);
  std::string CompleteCut(const std::vector<RankState>& cut, Outbox& outbox);
  void DropReplaced(const View& next);
  std::string TakeView(const View& view);

  // Of the log: see shard_keep.cc.
  void CheckRestored();
  LogStatus StatusOfLog() const;
  uint64_t Kept() const;
  bool LogCounts() const;
  std::string AwaitedLog() const;
  // Answers wait until others have what they show. A shard without replicas has one that is waited
  // for while it goes to another server.
  bool gated() const {
    const bool moves = followers_.in_sync() > 0 && !Mutated(Mutation::kMoveUngated);
    return options_.replicas > 0 || options_.log || moves;
  }

  // Of replicas: see shard_follow.cc.
  bool Promote(Term term);
  std::string TakeItem(const CopyHead& head);
  std::string TakeItem(const CopyPiece& piece);
  std::string TakeItem(const CopyEnd& end);
  std::string TakeItem(const Entry& entry);
  std::string TakeItem(const View& view);
  std::string TakeItem(const CopyCheck& check);
  std::string TakeItem(const CopyResume& resume);
  // Another replica may come to lack what this one has taken.
  bool KeepsRecent() const { return options_.replicas > 1 && !ReadsLog(); }
  bool GoesOn(const CopyResume& resume, const Stamp& stamp) const;
  void MoveFollowers(Outbox& outbox);
  void CheckFollowers();
  // Sends what shows the state of this shard, when it may.
  void Show(Gate::To to, Client client, Message message, Outbox& outbox);
  std::string GateWords() const;
  bool Owes() const;
  void Bring(const End& end);
  bool MayLackUnits(WorkerId rank, Step step) const;
  uint32_t AttemptOf(const RankState& state) const;

  void DropGeneration();
  void BeginSave(const Install& install);
  void TakeImage();
  void EndSave();
  void RefuseRestored(Outbox& outbox) const;

  void SettleAll(Outbox& outbox);
  void AnswerEnded(WorkerId rank, Step step, const Client& client, Outbox& outbox);
  void Serve(const ParkedPull& parked, Outbox& outbox);
  // Serves the parked pulls that may be served: of one table, or of all.
  void ReleaseParked(std::optional<TableId> table, Outbox& outbox);
  void Send(Client client, Message message, Outbox& outbox) const;
  WorkerId Awaited() const;
  void SendWaiting(uint64_t about, bool is_pull, Client client, Outbox& outbox) const;
  void Refuse(Refusal code, uint64_t about, std::string words, const Envelope& from,
              Outbox& outbox);
  Client Coordinator() const { return {options_.coordinator, coordinator_boot_}; }

  ShardOptions options_;
  FramePool& frames_;
  ShardObserver* observer_;
  JobId job_;
  BootId coordinator_boot_;
  Term coordinator_term_;
  bool registered_ = false;
  uint64_t question_ = 0;  // The coordinator's last.
  std::optional<Error> failure_;
  std::optional<TimePoint> began_at_;
  std::string held_words_;  // Who had its place when it last asked for it.
  std::optional<TimePoint> asked_at_;
  std::optional<TimePoint> beat_at_;
  bool leaving_ = false;

  ShardCopy copy_;
  Followers followers_;
  LogKeeper log_;
  bool log_asked_ = false;  // What is in the log that is there,
  bool log_read_ = false;   // and heard all of it.
  struct Restored {
    JobId job;
    LogMark mark;
    std::string place = {};    // Of the file.
    std::string problem = {};  // Why what was in it cannot be taken.
  };
  std::optional<Restored> restored_;  // What the log was that was there.
  CopyCheck check_;                   // The last that was made.
  TimePoint checked_at_{};
  Gate gate_;
  TimePoint now_{};  // As of the last call that said so.
  bool primary_ = false;
  // The stream that a replica takes.
  struct Following {
    BootId primary;
    uint64_t stream = 0;
    uint64_t item = 0;   // The last that was taken.
    bool whole = false;  // All pieces are there.
    Entry begun = {};    // Pieces of the next entry.
    uint64_t version = 0;
    std::vector<RankState> last_close = {};
  };
  std::optional<Following> following_;
  RecentItems recent_;  // Of a replica that is not the only one.
  // The step of each rank that was under way when this replica became primary; until its first view
  // as such, all may be.
  std::map<WorkerId, Step> unsure_;
  std::map<WorkerId, End> brought_;  // Of those steps, where all units are here.
  bool promoted_ = false;
  bool unseen_ = false;  // It is the primary anew, and no view has that yet.
  Term term_;
  std::optional<ViewNumber> freezing_;      // The cut under way,
  std::map<WorkerId, Envelope> late_ends_;  // and the last End of each rank that came in it.
  HeldUnits held_;
  KeyCache keys_;
  // Gives the maps below the same memory again and again.
  std::pmr::unsynchronized_pool_resource memory_;
  std::pmr::map<WorkerId, PendingEnd> pending_{
      &memory_};  // Ends of the open round, where rounds are closed.
  uint64_t arrivals_ = 0;
  std::pmr::map<WorkerId, ParkedPulls> parked_{&memory_};
  // Of the change under way; kept so that nothing is allocated for the next.
  std::vector<PendingEnd> round_;
  LogEntry entry_;
  // Of the last entry, for when its sums are done.
  struct Answer {
    WorkerId rank;
    Step step = 0;
    Client client;
  };
  std::vector<Answer> answers_;
  bool releases_ = false;  // Parked pulls may have become such as can be served.
  // The image of a cut that is on its way to the disk.
  struct Saving {
    ShardHead head;
    std::vector<RankState> cut;
    std::map<TableId, DenseImage> dense;
    bool taken = false;
    bool begun = false;
    size_t next = 0;  // Of the head's tables.
  };
  struct Restoring {
    uint64_t load = 0;
    uint64_t snapshot = 0;
    bool asked = false;
    bool over = false;
    std::string problem;
  };
  std::optional<Saving> saving_;
  Saved saved_;                         // Of the last snapshot that this shard was asked for.
  std::optional<Restoring> restoring_;  // The view is taken and its tables are not all there yet.
  uint64_t loads_ = 0;
  ShardCounters counters_;
};

}  // namespace shardmill
