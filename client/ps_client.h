#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "client/bound_keys.h"
#include "client/data_feed.h"
#include "client/types.h"
#include "common/clock.h"
#include "common/frame_pool.h"
#include "common/messages.h"
#include "common/result.h"

namespace shardmill {

struct PsClientOptions {
  WorkerId rank;
  bool any_rank = false;  // Or else that one.
  BootId boot;
  PeerId coordinator;
  Duration retry_after = std::chrono::milliseconds(500);
  uint64_t unit_bytes = uint64_t{1} << 20;     // Largest payload of one message.
  uint64_t window_bytes = uint64_t{64} << 20;  // Units to one shard not yet held; pulls likewise.
};

// When something was asked, and when it is time to ask again: after retry_after, then after twice
// as long, up to sixteen times, so that a slow peer is not buried under repeats. A value.
class Asked final {
 public:
  bool ever() const { return at_.has_value(); }
  bool Due(TimePoint now, Duration retry_after) const {
    return !at_ || now - *at_ >= retry_after * (1 << std::min(repeats_, 4));
  }
  // Asked, and not answered in time.
  bool Overdue(TimePoint now, Duration retry_after) const {
    return ever() && (repeats_ > 0 || Due(now, retry_after));
  }
  void Mark(TimePoint now) {
    if (at_) ++repeats_;
    at_ = now;
  }
  // Asked for the first time, now.
  void MarkFirst(TimePoint now) {
    at_ = now;
    repeats_ = 0;
  }

 private:
  std::optional<TimePoint> at_;
  int repeats_ = 0;
};

// A worker's side of the protocol without IO: joins, cuts pushes and pulls by the shard map, keeps
// the window, sends again what is not answered, and ends steps on all shards or none. Messages and
// `now` in, messages out. Owned by a Session or a simulated worker, on one thread. A failure is one
// error that stays: ask failure() after every call.
class PsClient final {
 public:
  // The pool outlives the client.
  PsClient(const PsClientOptions& options, FramePool& frames);

  void Handle(TimePoint now, const Envelope& envelope, Outbox& outbox);
  void Tick(TimePoint now, Outbox& outbox);

  // Shards of the view that have no peer yet; whoever moves the IO connects and attaches them.
  std::vector<ShardPlace> Unattached() const;
  void Attach(ShardId shard, PeerId peer);

  // The rank is granted, and every shard has said welcome.
  bool Ready() const;
  // Why the coordinator has not let this worker in, as it last said; nothing where it did not.
  const std::string& coordinator_words() const { return coordinator_words_; }
  // The rank is granted: from here on its lease wants to be renewed.
  bool granted() const { return granted_; }
  // The job has gone back to a snapshot, and this client with it: the step under way is void, and
  // so are its tickets. What is bound or lent stays. Once Ready again, step() is the one to go on
  // with.
  bool rolled_back() const { return rolled_back_; }
  void TakeRollback() {
    rolled_back_ = false;
    read_before_.clear();
  }
  JobId job() const { return job_; }
  Generation generation() const { return generation_; }  // Under which the rank is granted.
  // What generation() and step() were before the job went back, until somebody takes that.
  Generation told_generation() const { return rolled_back_ ? before_generation_ : generation_; }
  Step told_step() const { return rolled_back_ ? before_step_ : step_; }
  const std::optional<Error>& failure() const { return failure_; }
  bool fenced() const { return failure_ && failure_->code == ErrorCode::kFenced; }

  // Asks for a table, unless it is there; there once FindTable gives it, as somebody has made it.
  void MakeTable(TimePoint now, const TableSpec& spec, Outbox& outbox);
  const TablePlace* FindTable(const std::string& name) const { return view_.FindTable(name); }

  // The step under way, or the next one to make.
  Step step() const { return step_; }

  // Reads [begin, begin + into.size()) for the step. `into` is written until the ticket is done.
  Result<Ticket> Pull(TimePoint now, const TablePlace& table, uint64_t begin, std::span<float> into,
                      const PullOptions& options, Outbox& outbox);
  // Reads [begin, begin + count) and keeps it where it came in, until the step is over.
  Result<Ticket> Read(TimePoint now, const TablePlace& table, uint64_t begin, uint64_t count,
                      const PullOptions& options, Outbox& outbox);
  // What was read, when it is done; in order.
  std::span<const ReadPiece> Pieces(Ticket ticket) const;
  // It is not looked at any more.
  void GiveBack(Ticket ticket);

  // Memory, all zeros, that is pushed without a copy: what is pushed from it must not change before
  // the step is over. It goes with the last frame.
  Frame Lend(uint64_t floats, std::span<float>& writable);
  // Pushes a gradient for the step: a copy of it, unless it lies in lent memory. Done when every
  // shard holds it.
  Result<Ticket> Push(TimePoint now, const TablePlace& table, uint64_t begin,
                      std::span<const float> gradient, Outbox& outbox);

  // Resolves keys of a sparse table. Operations under way keep what they need of a set that is
  // unbound.
  Result<KeySet> Bind(const TablePlace& table, std::span<const uint64_t> keys);
  void Unbind(KeySet keys) { bound_.erase(keys.id); }
  // The same for the rows of the keys, in the order of the list.
  Result<Ticket> Pull(TimePoint now, KeySet keys, std::span<float> into, const PullOptions& options,
                      Outbox& outbox);
  Result<Ticket> Push(TimePoint now, KeySet keys, std::span<const float> gradient, Outbox& outbox);

  // No more pushes in this step. It is made when Ended().
  void EndStep(TimePoint now, double samples, Outbox& outbox);
  bool ending() const { return ending_; }
  bool Ended() const { return ending_ && ends_open_ == 0 && ends_sent_; }
  // What became of the step that is Ended().
  Finished finished() const { return {!discarded_, skipped_}; }
  // Goes to the next step; tickets of this one are no more. Only when Ended().
  void NextStep();
  // Forgets what was pulled and pushed in the step under way, which has not ended: it begins anew.
  void AbandonStep();
  // Gives the memory of pulls back: no late answer writes there any more. Their tickets stay
  // undone.
  void ForgetPulls();

  bool IsForNextStep(Ticket ticket) const;
  bool Done(Ticket ticket) const;
  // What a finished pull was served at. Forgets the ticket.
  Served Take(Ticket ticket);

  // From here on leases of data are asked for; `rows`: of the data set.
  void WantData(uint64_t rows) {
    feed_.emplace(rows);
    data_ = {};
  }
  bool wants_data() const { return feed_.has_value(); }
  // What there is of it. Only where it is wanted.
  DataFeed& data() { return *feed_; }
  const DataFeed& data() const { return *feed_; }
  // Whether a worker without data should make an empty step now, since others may wait for it. Not
  // where nobody ever does; and the less often, the longer nobody else has data either.
  bool MayIdle(TimePoint now);

  void SendReport(Report report, Outbox& outbox) const;
  // `failure`: why the job cannot go on, where this worker knows that it cannot.
  void SayGoodbye(TimePoint now, bool done, std::string failure, Outbox& outbox);
  bool left() const { return left_; }

  WorkerId rank() const { return options_.rank; }
  Sender sender() const { return {options_.rank, incarnation_}; }
  Stamp CoordinatorStamp() const;
  uint64_t staleness_max() const { return staleness_max_; }
  // Grows while those that this worker waits for get on.
  uint64_t progress() const { return progress_; }
  const View& view() const { return view_; }
  // Who is waited for now, in words; empty where nobody is.
  std::string WaitsFor() const;

 private:
  struct Shard {
    std::optional<PeerId> peer;
    bool welcomed = false;
    Asked hello;
    uint32_t units = 0;         // Of this step, queued or sent.
    uint64_t flying_bytes = 0;  // Of units sent and not held.
    uint64_t asked_bytes = 0;   // Of pulls sent and not answered.
    bool ended = false;
    Asked end;
    std::string waiting;  // What keeps the shard, as it last said: "waits for ...", "says ...".
    uint64_t waiting_round = 0;
  };
  struct FlyingUnit {
    ShardId shard;
    Unit unit;
    uint64_t ticket = 0;
    Asked asked;                        // Never: waits for room in the window.
    BoundKeys::Piece* piece = nullptr;  // Of a sparse table; in `keys`.
    std::shared_ptr<BoundKeys> keys;    // Shared with the set, which may be unbound meanwhile.
  };
  struct FlyingPull {
    ShardId shard;
    shardmill::Pull pull;
    uint64_t bytes = 0;     // Of the answer.
    std::span<float> into;  // Its range, if it is copied; of a sparse table, the set's rows.
    uint64_t ticket = 0;
    int priority = 0;
    bool next = false;      // For the step after this one.
    bool answered = false;  // Of the next step: kept, since it may be asked for anew.
    Asked asked;            // Never: waits for room in the window, or for the step's end.
    BoundKeys::Piece* piece = nullptr;
    std::shared_ptr<BoundKeys> keys;
  };
  struct Operation {
    uint32_t open = 0;  // Parts not answered.
    std::optional<Served> served;
    bool next = false;              // Of the step after this one.
    bool kept = false;              // What is read stays where it came in:
    std::vector<Frame> frames;      // here,
    std::vector<ReadPiece> pieces;  // in these places.
  };
  // What a pull reads, and where to: nowhere, if it is to be kept.
  struct Target {
    uint64_t count = 0;
    std::span<float> into;
  };

  void On(const Welcome& welcome, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Refused& refused, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Granted& granted, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const ViewIs& news, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Held& held, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const shardmill::Ended& ended, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Pulled& pulled, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Waiting& waiting, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Leased& leased, TimePoint now, const Envelope& from, Outbox& outbox);
  void On(const Farewell& farewell, TimePoint now, const Envelope& from, Outbox& outbox);

  bool PassStamp(const Envelope& from) const;
  bool IsOfBefore(const Envelope& from, const Refused& refused) const;
  void ForgetReplaced(const View& next);
  void GoBack(TimePoint now, Outbox& outbox);
  Shard* FindShard(const Envelope& from, ShardId* id);
  Result<> CheckRange(const TablePlace& table, uint64_t begin, uint64_t count) const;
  Result<std::shared_ptr<BoundKeys>> Find(KeySet keys, uint64_t floats) const;
  void SkipStep();
  void TakeNonfinite(std::string words, TimePoint now, Outbox& outbox);
  void AddUnit(ShardId shard, Unit unit, Ticket ticket, std::shared_ptr<BoundKeys> keys,
               BoundKeys::Piece* piece);
  void SendUnit(FlyingUnit& flying, TimePoint now, Outbox& outbox);
  Result<Ticket> Ask(TimePoint now, const TablePlace& table, uint64_t begin, Target target,
                     const PullOptions& options, Outbox& outbox);
  void AddPull(FlyingPull flying, Ticket ticket, const PullOptions& options, TimePoint now,
               Outbox& outbox);
  bool MayAsk(const FlyingPull& flying);
  void SendFirst(FlyingPull& flying, TimePoint now, Outbox& outbox);
  void Queue(const FlyingPull& flying);
  Frame Borrow(std::span<const float> floats);
  void TakeValues(const Pulled& pulled, FlyingPull& flying);
  void KeepNextPulls();
  void SendPulls(TimePoint now, Outbox& outbox);
  void SendPull(FlyingPull& flying, TimePoint now, Outbox& outbox);
  void SendKeysAgain(ShardId shard, uint64_t list, TimePoint now, Outbox& outbox);
  bool first_closes() const { return view_.policy.backups > 0 && shards_.size() > 1; }
  bool Due(const Asked& asked, TimePoint now) const;
  bool WaitsTooLong(TimePoint now) const;
  void TickCoordinator(TimePoint now, Outbox& outbox);
  void TickData(TimePoint now, Outbox& outbox);
  void FinishData();
  void SendUnits(TimePoint now, Outbox& outbox);
  void SendEnds(TimePoint now, Outbox& outbox);
  void SendTo(ShardId shard, Message message, Outbox& outbox) const;
  void SendToCoordinator(Message message, Outbox& outbox) const;
  void ResetStep();
  void FinishPart(uint64_t ticket);
  void Fail(ErrorCode code, std::string words);

  PsClientOptions options_;
  FramePool& frames_;
  JobId job_;
  BootId coordinator_boot_;
  Incarnation incarnation_;
  bool granted_ = false;
  Generation generation_;  // Of the grant.
  bool rolled_back_ = false;
  Generation before_generation_;  // Before it did.
  Step before_step_ = 1;
  std::vector<Frame> read_before_;  // What somebody may still look at who has not been told of it.
  bool leaving_ = false;
  bool leaving_done_ = false;
  std::string leaving_words_;  // What the coordinator last said of that.
  std::string leaving_failure_;
  bool left_ = false;
  Asked coordinator_;
  std::string coordinator_words_;  // What the coordinator last said of our wait.
  std::map<std::string, TableSpec> wanted_tables_;
  View view_;
  std::map<ShardId, Shard> shards_;
  std::optional<Error> failure_;

  Step step_ = 1;
  uint32_t attempt_ = 0;
  bool ending_ = false;
  bool ends_sent_ = false;
  uint32_t ends_open_ = 0;
  double samples_ = 0;
  DataCursor used_{};             // As its end says.
  bool skipped_ = false;          // The step has a gradient that is no number.
  bool discarded_ = false;        // Its round was closed without it.
  Step next_ = 0;                 // What a shard says comes after it.
  std::vector<RankState> close_;  // What the first shard tells the others.
  // Gives the maps below the same memory again and again.
  std::pmr::unsynchronized_pool_resource memory_;
  std::pmr::map<std::pair<ShardId, uint32_t>, FlyingUnit> units_{&memory_};  // Not held yet.
  // Held, until the shard has ended the step: another process may take its place.
  std::pmr::map<std::pair<ShardId, uint32_t>, FlyingUnit> held_{&memory_};
  std::pmr::map<uint64_t, FlyingPull> pulls_{&memory_};
  std::pmr::set<std::pair<int64_t, uint64_t>> queue_{&memory_};  // Of pulls_: not asked yet.
  std::pmr::map<uint64_t, Operation> operations_{&memory_};
  std::vector<Frame> lent_;
  std::map<uint64_t, std::shared_ptr<BoundKeys>> bound_;
  uint64_t next_id_ = 1;
  uint64_t staleness_max_ = 0;
  uint64_t progress_ = 0;

  std::optional<DataFeed> feed_;
  Asked data_;
  uint64_t filled_ = 0;                 // As the first shard has last said; see Ended.
  uint64_t idle_filled_ = 0;            // The same after the last empty step.
  Duration idle_wait_{};                // Before the next one,
  std::optional<TimePoint> idle_from_;  // from then on.
};

}  // namespace shardmill
