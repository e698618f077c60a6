#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/types.h"
#include "common/data_range.h"
#include "common/initial.h"
#include "common/result.h"
#include "common/version.h"

namespace shardmill {

class Frame;
class TimelineLane;

// Who this worker is and where its job is. Every wait has a limit, of a year at most.
struct SessionOptions {
  std::string coordinator = {};                    // HOST:PORT, as the job file has it.
  uint32_t rank = 0;                               // This worker's place, counted from 0;
  bool any_rank = false;                           // or else any that is free.
  std::chrono::milliseconds open_timeout{60'000};  // For Open, Make, Dense and Close.
  std::chrono::milliseconds lease{5'000};        // As the coordinator's: renewed four times in it.
  std::chrono::milliseconds retry_after{500};    // An unanswered request is sent again.
  uint64_t unit_bytes = uint64_t{1} << 20;       // Largest payload of one message.
  uint64_t window_bytes = uint64_t{64} << 20;    // Gradient in flight to a shard.
  uint64_t message_bytes = uint64_t{512} << 20;  // A larger message from a peer is refused.
  int io_threads = 1;
  std::vector<uint32_t> io_cpus = {};       // That these threads keep to; none: any.
  std::string congestion_control = "auto";  // This and the next two: see [network], docs/config.md.
  uint64_t send_buffer = 0;
  uint64_t receive_buffer = 0;
  bool shared_memory = true;  // With shards on this host, where both sides can.
  std::string keys =
      {};  // Folder of keys, as `shardmill keys gen` makes it. Empty: none are asked.
  std::chrono::milliseconds spin{0};   // Each wait looks for messages so long before it sleeps.
  std::function<bool()> stopped = {};  // Asked while waiting; true ends the wait with kStopped.
  // Told why Open waits, where the coordinator has a reason: another process holds the rank.
  std::function<void(const std::string&)> waits = {};
  TimelineLane* timeline = nullptr;  // Of the session's thread; outlives the session. Or none.
};

// What a session has seen so far.
struct SessionCounters {
  uint64_t steps = 0;          // Finished by this process.
  uint64_t discarded = 0;      // Of them, those whose round was closed without them.
  uint64_t skipped = 0;        // Of them, those whose gradient was no number.
  uint64_t staleness_max = 0;  // The largest that any pull was served with.
  uint64_t rollbacks = 0;      // How often the job has gone back to a snapshot.
};

// What a worker that leases its data finds; see Session::AwaitData.
enum class DataWait : uint8_t {
  kReady,  // There are rows to take.
  kIdle,   // There are none, and others may wait for this worker's step: make an empty one.
  kNone,   // Neither.
  kOver,   // All data is used, by all workers.
};

class Session;

// A table as Session::Make takes it: dense where it has a size, sparse where rows have a `dim`.
struct TableWish {
  std::string name;
  uint64_t size = 0;
  uint32_t dim = 0;
  TableOptions options = {};
};

// Floats of the caller's that a push does not copy, and that servers on the same host read where
// they lie. Move only; may go before its session does or after.
class Memory final {
 public:
  Memory(Memory&&) noexcept;
  Memory& operator=(Memory&&) noexcept;
  ~Memory();

  std::span<float> floats() const { return floats_; }

 private:
  friend class Session;
  Memory(Frame frame, std::span<float> floats);

  std::unique_ptr<Frame> frame_;  // Keeps the floats.
  std::span<float> floats_;
};

// One iteration of this worker: pull what you need, push what you found, finish. Made by
// Session::Begin, used on the session's thread, and gone before the next. A step that is destroyed
// unfinished leaves nothing applied; the next Begin makes the same step again.
class TrainingStep final {
 public:
  TrainingStep(TrainingStep&& other) noexcept;
  TrainingStep& operator=(TrainingStep&&) = delete;
  ~TrainingStep();

  // Counted from 1, over all lives of this rank.
  uint64_t number() const;

  // Reads floats [begin, begin + into.size()). `into` is borrowed until Wait(ticket) returns
  // or the step is over.
  Result<Ticket> Pull(DenseTable table, uint64_t begin, std::span<float> into,
                      const PullOptions& options = {});

  // Reads without a copy: Pieces gives what came in, once Wait has returned, until Finish is called
  // or the step is over.
  Result<Ticket> Read(DenseTable table, uint64_t begin, uint64_t count,
                      const PullOptions& options = {});
  std::span<const ReadPiece> Pieces(Ticket ticket) const;
  // They are not looked at any more: what they lie in is the shards' again.
  void GiveBack(Ticket ticket);

  // Adds to the step's gradient. The values are copied before Push returns; those in memory that
  // Session::Allocate gave are not, and must stay as they are until the step is over. What is not a
  // number ends the session with an error in the step's next wait, or in a step that is skipped, or
  // goes through, as the job says (policy.on_nonfinite).
  Result<Ticket> Push(DenseTable table, uint64_t begin, std::span<const float> gradient);

  // The same for rows of a sparse table, in the order of the keys that were bound: count * dim
  // floats. A key that was bound more than once is read to each of its places, and its pushed rows
  // become one before they change anything: their sum, or in a table that merges or averages what
  // it makes of pushes.
  Result<Ticket> Pull(KeySet keys, std::span<float> into, const PullOptions& options = {});
  Result<Ticket> Push(KeySet keys, std::span<const float> gradient);

  // Takes rows of this worker's leases for the step, so many at most; none where there are none
  // now. They are places in the order of an epoch, which all workers make alike. Where the step is
  // finished they are used, once and for all; where it is left unfinished they are there again.
  DataRange TakeRows(uint64_t rows_max);

  // Moves what has come in, without blocking.
  bool Done(Ticket ticket);

  // Blocks until the operation is done: a pull's values are there, a push's are on the shards. The
  // error at the step's deadline names whom it waited for.
  Result<Served> Wait(Ticket ticket);

  // Ends the step and blocks until every shard has applied it. `samples` weighs this worker's
  // gradient against the others' where rounds are closed together; 0 counts for nothing, and less
  // than 0 or no number is kBadUsage: then nothing was sent, and the step is still open. Where the
  // job has backup workers, a step that came too late is not counted, and the next one is that of
  // the others: ask Session::next_step().
  Result<Finished> Finish(double samples);

 private:
  friend class Session;
  TrainingStep(Session* session, uint64_t serial) : session_(session), serial_(serial) {}
  // Fails where this is not the step under way, or nothing more can be asked of it.
  Result<> CheckOpen() const;

  Session* session_;
  uint64_t serial_;
};

// A worker's place in a job. Used by one thread, which also moves the IO, in the calls below and in
// those of the step; a thread of the session's own renews the rank's lease and does nothing else,
// so a long computation between two calls costs nothing.
//
// ErrorCode::kRolledBack means that a server was lost and the job went back to its last snapshot.
// The step under way is void, and so are its tickets; tables, keys and memory stay good, and the
// session goes on with next_step(), which has gone back too: begin it. What the caller itself has
// counted or learned since that step is the caller's to forget.
//
// Every other error is final: ErrorCode::kFenced means that another process holds the rank and that
// this one must end (exit code 3) and not be restarted; kUnavailable that somebody did not answer
// in time.
class Session final {
 public:
  // Joins the job and blocks until it has begun: all its servers and workers are there.
  static Result<std::unique_ptr<Session>> Open(const SessionOptions& options);

  // Leaves without a goodbye, unless Close was called: the rank's lease then has to end first.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Makes all of them in about the time of one; Dense and Sparse give each, and what is wrong with
  // it.
  Result<> Make(std::span<const TableWish> tables);
  // Makes a table, or checks that it is the same: size, first values and update.
  Result<DenseTable> Dense(const std::string& name, uint64_t size,
                           const TableOptions& options = {});
  // A table of rows by 64-bit keys, made when they are first pushed to.
  Result<SparseTable> Sparse(const std::string& name, uint32_t dim,
                             const TableOptions& options = {});

  // Memory for gradients that are pushed without a copy; zeros.
  Result<Memory> Allocate(uint64_t floats);

  // Resolves a list of keys once, for any number of pulls and pushes; the keys themselves cross to
  // each shard once. Between steps or in one.
  Result<KeySet> Bind(SparseTable table, std::span<const uint64_t> keys);
  // Forgets it. What is under way with it still ends.
  void Unbind(KeySet keys);

  // Begins the next step, or again the one that was left unfinished. All waits of the step end at
  // the deadline, so far from now; where rounds that are waited for still close, so far from the
  // last of them. A process that stood still, or has computed until then, still waits for a second.
  Result<TrainingStep> Begin(std::chrono::milliseconds deadline);

  // For jobs that lease their data (data.scheme = "leased"): from here on rows are asked for.
  // `rows`: of the data set, the same for all workers.
  Result<> WantData(uint64_t rows);
  // Waits until there are rows to take or nothing more to do, and so long at most. Between steps.
  Result<DataWait> AwaitData(std::chrono::milliseconds limit);
  // The rank that this worker has, and whether it is the lowest of those that are in the job now.
  uint32_t rank() const;
  bool is_first() const;

  // The step that Begin would begin.
  uint64_t next_step() const;
  // Names this run of the job. One that begins from a snapshot is another.
  uint64_t job() const;
  // Grows when the job goes back to a snapshot; within one, next_step() never goes back.
  uint64_t generation() const;

  // Tells people how far this worker is; sent and forgotten.
  struct Progress {
    uint64_t epoch = 0;
    double samples = 0;  // Since this process began.
    double seconds = 0;
    std::span<const std::pair<std::string, double>> metrics;
  };
  void Report(const Progress& progress);

  // Says goodbye; no step and no table comes after. `done`: all steps are made, and the job may end
  // without this rank. Where the job keeps snapshots, this blocks until the job is over, for it may
  // go back yet: after kRolledBack the session is open as before, and there are steps to make
  // again. It waits for as long as those get on who are awaited, and open_timeout.
  Result<> Close(bool done);
  // Says goodbye, and that the job cannot go on: it fails, with these words and this rank's name.
  Result<> Abort(const std::string& why);

  const SessionCounters& counters() const;

  // How long the coordinator has not answered the thread that renews the lease. Training goes on
  // without it; nobody can join meanwhile, and the end of the job waits for it.
  std::chrono::milliseconds coordinator_silent() const;

 private:
  friend class TrainingStep;
  class Impl;
  explicit Session(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace shardmill
