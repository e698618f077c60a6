#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/coordinator_state.h"
#include "common/messages.h"
#include "common/result.h"
#include "server/data_leases.h"
#include "snapshot/manifest.h"

namespace shardmill {

// When a cut is to become a snapshot.
struct SnapshotSchedule {
  bool enabled = false;  // If so, there is one at the job's end, too.
  Duration every{};      // 0: not by time.
  uint64_t rounds = 0;   // Rounds closed since the last; 0: not by rounds.
  uint64_t epochs = 0;   // Each time all workers say that so many more are over; 0: not by epochs.
  uint64_t number = 0;   // There may be snapshots up to this number already.
  uint64_t keep = 0;     // So many stay on disk; 0: all.
  // One that is not on disk by then is given up.
  Duration timeout = std::chrono::minutes(30);
};

// What a coordinator is told when it begins. A value.
struct CoordinatorOptions {
  JobId job;  // This and the next: of a new job alone.
  BootId boot;
  Policy policy;
  UpdateSettings update;  // Of tables that name none of their own.
  uint32_t workers = 1;   // Who must be there for the job to begin.
  // Where workers may come and go, there are so many ranks; 0: the workers stay.
  uint32_t workers_max = 0;
  DataPlan data = {};
  uint32_t shards = 1;
  uint32_t shards_per_server = 1;  // At the job's beginning.
  uint32_t replicas = 0;           // Of each shard, beside its primary.
  bool logs = false;      // Each primary keeps a log, from which its shard can be restored.
  bool recorded = false;  // Shards write down what they do.
  Duration lease = std::chrono::seconds(5);
  Duration retry_after = std::chrono::milliseconds(500);
  Duration start_timeout = std::chrono::seconds(60);
  uint64_t table_bytes_max = uint64_t{64} << 30;  // Of all dense tables together.
  // A shard that was not heard of for so long is lost, and the job with it.
  Duration silence_limit = std::chrono::minutes(5);
  std::string name = {};  // Of the job; for manifests.
  SnapshotSchedule snapshots = {};
  JobKeyList keys = {};                 // What the job is.
  std::optional<Manifest> resume = {};  // A new job begins from it,
  bool resume_exactly = false;          // and from no older one where it cannot be read.
  // The complete snapshots that there are, the oldest first: to one of them a job goes back whose
  // coordinator was started again.
  std::vector<Manifest> kept = {};

  bool elastic() const { return workers_max > 0; }
  uint32_t servers() const { return std::max<uint32_t>(shards / shards_per_server, 1); }
  uint32_t ranks() const { return elastic() ? workers_max : workers; }
};

// Snapshots, as far as people want to know of them.
struct SnapshotStatus {
  uint64_t number = 0;  // The last complete one of this process; 0: none yet.
  TimePoint cut_at{};   // Its cut was made then,
  Duration took{};      // and it was complete after so long.
  uint64_t bytes = 0;
  uint64_t complete = 0;     // Snapshots of this process,
  uint64_t given_up = 0;     // and those that did not come about.
  uint64_t under_way = 0;    // The number of the one that is being written; 0: none.
  std::string problem = {};  // Why the last that was begun did not come about.
  std::string awaited = {};  // Whom the one under way waits for, and for how long.
  uint64_t damaged = 0;      // Snapshots that could not be read, so that an older one was taken.
  bool final_lost = false;   // The job is done, and its last snapshot did not come about.
};

enum class JobState : uint8_t { kStarting, kTraining, kDone, kFailed };

// One rank as the coordinator sees it.
struct RankStatus {
  enum class State : uint8_t { kAbsent, kWaiting, kTraining, kSilent, kDone };

  State state = State::kAbsent;
  PeerId peer;
  BootId boot;                // The process that holds the rank, or waits for it.
  Incarnation incarnation;    // The last one granted.
  bool granted = false;       // To the process `boot`.
  std::deque<BootId> fenced;  // Processes that held the rank and lost it, the latest last.
  PeerId lease_peer;          // Of the thread that renews the lease, once it has.
  TimePoint lease_until{};
  TimePoint heard_at{};
  Step acked = 0;       // As its goodbye says.
  bool hungry = false;  // It has asked for data, and there was none.
  bool any = false;     // Its process would have any other as well.
  Report report;
};

// Whether a process is still there, as it was last asked.
struct Question {
  uint64_t number = 0;   // Of all that were ever asked in this job; 0: it was not asked.
  TimePoint asked_at{};  // For the first time,
  TimePoint said_at{};   // and the last.
};

// A process that holds a copy of a shard, as the coordinator sees it: its primary or a replica.
struct ShardStatus {
  uint32_t copy = 0;
  bool registered = false;
  PeerId peer;
  BootId boot;
  std::string endpoint;
  TimePoint lease_until{};  // It is silent after that.
  TimePoint heard_at{};
  bool link_ended = false;  // Since it was heard of.
  TimePoint busy_until{};   // Its server said that it is there and at work.
  Question asked = {};
  Beat beat;
  TimePoint leaves_at{};      // When it first said to this coordinator that it is to stop.
  TimePoint log_missed_at{};  // When a process first came in its place without its log.
  // Of a replica; see ReplicaPlace.
  uint64_t stream = 0;
  bool in_sync = false;
  bool goes_on = false;  // See ReplicaPlace.
  // It was the primary, and knows nothing else: its place is its successor's, and its own again if
  // that one is gone before a view has it.
  bool retires = false;
  uint32_t host = 0;  // The server that it is on, or is to be.
  // Of a replica that goes there in another copy's place, when it has all that was answered. One
  // that "replaces itself" goes when a view has the shard's new primary.
  std::optional<uint32_t> replaces = {};
  // It is to be the primary, as somebody has asked for; the one that is may become its replica.
  bool takes_over = false;
};

// A server's process, as the coordinator sees it.
struct HostStatus {
  PeerId peer;
  BootId boot;
  TimePoint lease_until{};  // It is silent after that.
  bool leaving = false;     // It was told to stop.
};

inline constexpr uint64_t kTableFloatsMax = uint64_t{1} << 46;
inline constexpr uint32_t kRowFloatsMax = uint32_t{1} << 24;
inline constexpr size_t kTablesMax = 4096;
inline constexpr size_t kTableNameMax = 255;
// A view names each table's part on each shard; with more it would not fit into one header.
inline constexpr size_t kTablePartsMax = size_t{1} << 18;
inline constexpr size_t kFencedBootsMax = 64;  // Remembered of each rank.
inline constexpr uint32_t kHostsMax = 65536;

// Membership, views, the shard map and cuts: the one writer of what the job is. A pure state
// machine: messages and `now` in, messages out. Owned by one agent, on its thread. Every change of
// membership or tables goes through one cut, so that all shards agree on every worker's last step.
//
// It outlives its process: whoever has what TakeState gave on disk before anything is sent can go
// on from there, and nobody else can tell. What is not in the state is asked for again by those who
// want it, or heard anew.
class Coordinator final {
 public:
  // A new job.
  Coordinator(const CoordinatorOptions& options, TimePoint now);
  // Goes on with a job whose coordinator has ended, which was of the same size.
  Coordinator(const CoordinatorOptions& options, TimePoint now, const CoordinatorState& before);

  void Handle(TimePoint now, const Envelope& envelope, Outbox& outbox);
  void Tick(TimePoint now, Outbox& outbox);
  // A peer's connection has ended: it is gone, or comes back at once. Its lease ends soon.
  void LinkEnded(TimePoint now, PeerId peer);

  // What must be on disk before anything that was said leaves this process; nothing where that is
  // there already.
  std::optional<CoordinatorState> TakeState();
  // A manifest that is to be written now, its time filled in: all files that it names are there.
  // Said once; Wrote says what came of it.
  std::optional<Manifest> TakeManifest();
  void Wrote(TimePoint now, uint64_t snapshot, const Result<>& result);
  // Words where a job of these options cannot begin from their snapshot.
  static std::string ResumeProblem(const CoordinatorOptions& options);
  // What has changed of the updates of the snapshot's tables since the last call, in words.
  std::vector<std::string> TakeUpdateChanges() { return std::exchange(update_changes_, {}); }
  // Null where the job keeps none.
  const SnapshotStatus* snapshots() const {
    return options_.snapshots.enabled ? &snapshots_ : nullptr;
  }
  // Whether the job is done without its last snapshot; the words say why.
  bool final_lost() const { return snapshots_.final_lost; }
  // How often the job has gone back to its last snapshot, why it last did, and to which: 0 where
  // there was none, and it began anew.
  uint64_t rollbacks() const { return rollbacks_; }
  const std::string& rollback_words() const { return rollback_words_; }
  uint64_t base() const { return base_; }

  // Set for good where this coordinator has been left behind, and must end without a word.
  const std::optional<Error>& outdated() const { return outdated_; }

  JobState state() const { return state_; }
  const std::string& words() const { return words_; }  // Why it failed, or whom it waits for.
  bool timed_out() const { return timed_out_; }        // Failed because somebody never came.
  const View& view() const { return view_; }
  // What all shards have taken, or are about to: it never goes back, also where the process ends.
  const View& decided() const { return decided_; }
  const std::vector<RankStatus>& ranks() const { return ranks_; }
  const std::vector<ShardStatus>& shards() const { return shards_; }  // Their primaries.
  const std::vector<ShardStatus>& replicas(ShardId shard) const {
    return copies_[shard.value].replicas;
  }
  // Whether it has all that was answered.
  bool HasAll(ShardId id, const ShardStatus& replica) const;
  bool logs() const { return options_.logs; }
  // The shard has a log from which it can be restored.
  bool Logged(ShardId shard) const { return copies_[shard.value].log.value > 0; }
  uint64_t promotions() const { return promotions_; }
  // All servers that were heard of, by number.
  const std::map<uint32_t, HostStatus>& hosts() const { return hosts_; }
  // What a server is to hold.
  Hosting HostingOf(uint32_t host) const;
  const Audit& audit() const { return audit_; }
  const DataLeases& data() const { return leases_; }
  bool elastic() const { return options_.elastic(); }
  // Whether the shard has been silent for longer than a lease.
  bool Silent(const ShardStatus& shard, TimePoint now) const {
    return shard.registered && now > shard.lease_until;
  }

 private:
  enum class Phase : uint8_t { kIdle, kFreezing, kInstalling };

  void On(const Hello& hello, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Register& request, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Beat& beat, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Frozen& frozen, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Installed& installed, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Saved& saved, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Refused& refused, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Join& join, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Renew& renew, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Goodbye& goodbye, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Report& report, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const GetLease& request, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const MakeTable& request, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const GetView& request, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Host& host, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Rebalance& request, TimePoint now, const Envelope& from, Outbox& outbox);

  // Whether the sender's key may say this.
  bool PassIdentity(const Envelope& from, Outbox& outbox) const;
  bool PassStamp(const Envelope& from, Outbox& outbox);
  RankStatus* PassSender(const Sender& sender, const Envelope& from, Outbox& outbox);
  ShardStatus* FindShard(const Envelope& from, TimePoint now, ShardId* id);
  // Of copies of shards: see coordinator_replicas.cc.
  void RegisterReplica(const Register& request, ShardStatus& replica, TimePoint now,
                       const Envelope& from, Outbox& outbox);
  bool TakeBeatOfReplica(const Beat& beat, TimePoint now, const Envelope& from, Outbox& outbox);
  void TakeInSync(ShardId id, TimePoint now, Outbox& outbox);
  bool IsBusy(ShardId id, uint64_t stream, TimePoint now) const;
  void CheckReplicas(TimePoint now, Outbox& outbox);
  const ShardStatus* Awaited(ShardId id) const;
  bool Unseen(ShardId id) const;
  ShardStatus* HeirOf(ShardId id, TimePoint now);
  static bool SpokeSince(const ShardStatus& heir, const ShardStatus& primary);
  void AskHeir(ShardId id, TimePoint now, Outbox& outbox);
  static bool Answered(const ShardStatus& copy, TimePoint since);
  bool IsHere(const ShardStatus& copy, TimePoint now) const;
  void AskForAWord(ShardId id, ShardStatus& copy, TimePoint now, Outbox& outbox);
  bool Promote(ShardId id, TimePoint now);
  void MakePrimary(ShardId id, ShardStatus& heir, TimePoint now);
  bool Restore(const Register& request, TimePoint now);
  std::string AwaitedWords(const Register& request, TimePoint now);
  std::string LostWords(const Register& request) const;
  void GivePlace(ShardId id, TimePoint now);
  void LetLeave(ShardId id, TimePoint now, Outbox& outbox);
  void LetRetire(Outbox& outbox);
  bool MayLeave(ShardId id, const ShardStatus& leaver, TimePoint now, Outbox& outbox);
  void Strike(ShardId id, ShardStatus& replica);
  void SendReplicas(ShardId id, Outbox& outbox) const;
  bool AllReplicasAreHere() const;
  bool CopyIsUnderWay() const;
  void RestoreCopies(const std::vector<ShardCopies>& before, TimePoint now);
  // Of servers: see coordinator_hosts.cc.
  void PlaceCopies();
  bool HasPlace(ShardId id, uint32_t copy) const;
  void RemoveCopy(ShardId id, uint32_t copy);
  bool HostLives(uint32_t host, TimePoint now) const;
  bool KnowsHosts(TimePoint now) const;
  void TellHosts(Outbox& outbox);
  // Of copies that go to other servers: see coordinator_moves.cc.
  std::string MoveProblem(const std::vector<uint32_t>& drained) const;
  std::vector<uint32_t> Targets(const std::vector<uint32_t>& drained, TimePoint now) const;
  const ShardStatus* MoverOf(ShardId id) const;
  Move UnderWay(ShardId id, const ShardStatus& mover) const;
  bool MayGoTo(ShardId id, uint32_t host, bool primary) const;
  Balance Plan(const std::vector<uint32_t>& drained, TimePoint now) const;
  void Begin(const Move& move);
  void TakeOver(ShardId id, ShardStatus& copy, TimePoint now, Outbox& outbox);
  void CheckMoves(TimePoint now, Outbox& outbox);
  void FinishMove(ShardId id, TimePoint now, Outbox& outbox);
  void EmptyLeaving(TimePoint now);
  std::string TableProblem(const TableSpec& spec) const;
  std::string UpdateProblem(const TableSpec& is, const TableSpec& asked) const;
  const TableSpec* KnownTable(const std::string& name) const;

  void FindLastSnapshot(const CoordinatorState& before);
  void Lose(const std::string& name, const std::string& how, TimePoint now);
  bool LosesOwed(TimePoint now);
  bool AllShardsAreBack(TimePoint now) const;
  std::string GoingBackWords() const;
  void GoBack(TimePoint now, Outbox& outbox);
  static uint64_t ClosedAt(const std::vector<RankState>& cut);  // Rounds, at least.
  bool IsOfBefore(const RankStatus& rank, WorkerId id, const Envelope& from, Outbox& outbox) const;
  void TellOfEnd(const Envelope& from, Outbox& outbox) const;
  void SayFarewell(Outbox& outbox);
  // Of the members: who comes, who goes, and what becomes of their data.
  // `any`: the sender wants some rank, and was found this one.
  void Join(WorkerId id, bool any, TimePoint now, const Envelope& from, Outbox& outbox);
  std::optional<WorkerId> FreeRank(const Envelope& from) const;
  bool ComesTooLate(const RankStatus& rank, const Envelope& from) const;
  bool Leaves(const RankStatus& rank) const;
  bool SomebodyLeaves() const;
  bool AllDone() const;
  void LetGo();
  Step EndedAt(WorkerId rank) const;
  uint64_t ClosedAtCut() const;
  static uint64_t ClosedOf(const Manifest& from);
  void GoBackWithData(View& next);
  void Feed(WorkerId id, uint64_t have, Outbox& outbox);
  void FeedHungry(Outbox& outbox);

  bool ChangeWanted(TimePoint now) const;
  void BeginCut(TimePoint now, Outbox& outbox);
  void FinishFreeze(TimePoint now, Outbox& outbox);
  void MarkOwed(TimePoint now);
  void FinishInstall(TimePoint now, Outbox& outbox);
  void SendCut(TimePoint now, Outbox& outbox);
  void CountAudit();
  bool SnapshotDue(TimePoint now) const;
  bool FinalSnapshotWanted() const;
  uint64_t ClosedRounds() const;
  uint64_t EpochsOver() const;
  void BeginSnapshot(TimePoint now);
  void AskSaved(TimePoint now, Outbox& outbox);
  void CheckSaving(TimePoint now, Outbox& outbox);
  void GiveUpSnapshot(TimePoint now, std::string problem);
  void EndJob();
  std::string SavingWords() const;
  std::string MissingFiles() const;
  void FindLine();
  void DropOldest();
  bool FallBack(const std::string& why, TimePoint now);
  CoordinatorState State() const;
  View NextView() const;
  std::string MissingWords() const;
  std::string CutWords() const;
  void CheckStart(TimePoint now);
  void CheckShards(TimePoint now);
  void CheckLeases(TimePoint now);
  void ForgiveSilence(TimePoint now);
  void HeardOf(ShardStatus& shard, TimePoint now) const;
  Duration ComesBackWithin() const;
  Duration LeaseWithoutLink() const;
  void HeardOfBusy(BootId boot, TimePoint now);
  void Fail(std::string words);

  void Grant(const RankStatus& rank, WorkerId id, Outbox& outbox) const;
  void Send(PeerId peer, BootId boot, Message message, Outbox& outbox) const;
  void Refuse(Refusal code, uint64_t about, std::string words, const Envelope& from,
              Outbox& outbox) const;

  CoordinatorOptions options_;
  TimePoint started_;
  std::optional<TimePoint> ticked_at_;
  TimePoint awake_since_{};  // It had stood still before.
  JobState state_ = JobState::kStarting;
  std::string words_;
  bool timed_out_ = false;

  Term epoch_{1};
  bool changed_ = true;  // Since the last TakeState.
  std::optional<Error> outdated_;

  View view_;     // That all shards have taken,
  View decided_;  // that they are to take, and some may have,
  View next_;     // and of the cut under way.
  Phase phase_ = Phase::kIdle;
  TimePoint asked_at_{};
  bool final_cut_ = false;
  bool recut_ = false;                // A cut that another process has begun may hold the shards.
  std::map<ShardId, Frozen> frozen_;  // Answers of the cut under way.
  std::map<ShardId, ViewNumber> installed_;
  std::vector<RankState> cut_;
  std::map<std::string, TableSpec> wanted_tables_;  // New ones, and others with another update.
  std::set<std::string> unclaimed_;  // Of the snapshot, those that nobody has asked for yet.
  std::vector<std::string> update_changes_;
  DataLeases leases_;

  std::vector<RankStatus> ranks_;
  std::vector<ShardStatus> shards_;
  // Of each shard.
  struct Copies {
    Term term{1};
    uint64_t number = 0;  // Of its Replicas.
    Term log;             // Of the primary whose log counts; 0: none.
    uint32_t given = 0;   // So many copies there ever were.
    std::vector<ShardStatus> replicas;
  };
  std::vector<Copies> copies_;
  std::map<uint32_t, HostStatus> hosts_;
  uint64_t questions_ = 0;             // See Question.
  uint64_t hosting_ = 1;               // See Hosting,
  uint64_t hosting_told_ = 0;          // and what all that are there have been told.
  uint64_t streams_ = 0;               // Given so far.
  uint64_t promotions_ = 0;            // Of this process.
  bool promotion_ = false;             // A shard has another primary than the view says.
  std::optional<TimePoint> owing_at_;  // A shard lacked a step that others have, at a cut then.
  Audit audit_;

  // A snapshot on its way: from its cut until its manifest is on disk.
  struct Saving {
    Manifest manifest;
    TimePoint cut_at{};
    TimePoint asked_at{};
    bool final = false;  // Of the job's last cut.
    std::map<ShardId, SnapshotFile> files;
    bool whole = false;  // The manifest was handed out, or is to be.
  };
  std::optional<Saving> saving_;
  std::optional<Manifest> to_write_;
  uint64_t snapshot_ = 0;          // The last number given.
  uint64_t install_snapshot_ = 0;  // Of the cut under way, as its Install says.
  uint64_t install_restore_ = 0;
  TimePoint snapshot_at_{};       // When the last was begun,
  uint64_t snapshot_closed_ = 0;  // after how many rounds,
  uint64_t snapshot_epoch_ = 0;   // and epochs;
  uint64_t last_epoch_ = 0;       // the same of `last_`, as far as this process knows.
  bool final_saved_ = false;
  uint32_t final_tries_ = 0;
  TimePoint final_retry_at_{};  // Not before that.
  SnapshotStatus snapshots_;

  std::optional<TimePoint> going_back_;  // A shard was lost then: all others must be there first.
  std::optional<Manifest> last_;         // Where the job would go back to; none: to its beginning.
  uint64_t base_ = 0;                    // The snapshot that this generation began from.
  std::vector<JobId> line_;              // The jobs that this one goes on from, the oldest first.
  std::vector<Manifest> kept_;           // Of this job and those; last_ is the last of them.
  uint64_t rollbacks_ = 0;
  std::string rollback_words_;
  bool farewell_said_ = false;  // To those who were done before the job was.
};

}  // namespace shardmill
