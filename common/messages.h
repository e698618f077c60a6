#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/data_lease.h"
#include "common/entry.h"
#include "common/frame.h"
#include "common/frame_list.h"
#include "common/ids.h"
#include "common/table_piece.h"
#include "common/view.h"

namespace shardmill {

// The versions of the protocol that this build speaks.
inline constexpr uint32_t kProtocolVersionMin = 1;
inline constexpr uint32_t kProtocolVersionMax = 1;
// In which every build says Hello and refuses one: who reads it need not speak it.
inline constexpr uint32_t kGreetingVersion = 1;

// Stands on every message. A receiver refuses another job, a lower generation or term, and a boot
// id that is not its own; zero in `to` is allowed in a Hello alone.
struct Stamp {
  JobId job;
  Generation generation;
  Term term;
  BootId from;
  BootId to;

  bool operator==(const Stamp&) const = default;
};

enum class Role : uint8_t { kCoordinator, kServer, kWorker, kTool };

// What a shard knows of a rank's steps.
struct RankState {
  WorkerId rank;
  Step ended = 0;          // The last step that is over here.
  double samples = 0;      // Its weight.
  uint64_t applied = 0;    // Steps applied here, counted one by one.
  Step counted = 0;        // The last step that was applied, and not discarded.
  uint64_t discarded = 0;  // Steps discarded here, counted one by one.
  uint32_t attempt = 0;    // Which attempt at its last step it was.
  DataCursor used = {};    // Of its leases of data, after that step.
  // Of a cut where a shard lacks that step, having lost it with its primary: the last that all
  // have.
  std::optional<Step> whole = {};
};

// Who sends, where the sender acts for a rank.
struct Sender {
  WorkerId rank;
  Incarnation incarnation;

  bool operator==(const Sender&) const = default;
};

// --- Anyone to anyone who listens. The Messenger fills in the versions, here and in Welcome.

struct Hello {
  uint32_t version_min = kProtocolVersionMin;
  uint32_t version_max = kProtocolVersionMax;
  Role role = Role::kTool;
};

// The answer to Hello. Its stamp carries the job and the boot id to use from here on.
struct Welcome {
  uint32_t version = kProtocolVersionMax;
};

enum class Refusal : uint8_t {
  kVersion,     // No common protocol version.
  kWrongJob,    // The message is for another job.
  kWrongBoot,   // The message is for a process that is gone.
  kOldView,     // A generation, term or membership that the receiver has left behind or not seen.
  kNotReady,    // No view yet; ask again.
  kFenced,      // Another process holds the rank.
  kRankHeld,    // The rank's lease has not ended; ask again.
  kBadRank,     // No such rank in this job.
  kBadRequest,  // A table, range, step or size that cannot be.
  kTooLarge,    // More bytes than the receiver will ever hold.
  kBusy,        // No room now; ask again.
  kFailed,      // The job has failed; `words` say why.
  kNoKeys,      // The list of keys is not known here; send it again. `about` is the list.
  kNonfinite,   // The step has a NaN or an infinity in it; `about` is the step.
  kForbidden,   // The sender's key is not one that may say this.
  kDone,        // The job is done, or the rank is: there is nothing left to do.
};

// No, and why. `about` is the pull, unit or step of the request, where it had one.
struct Refused {
  Refusal code = Refusal::kBadRequest;
  uint64_t about = 0;
  std::string words;
};

// --- Worker and shard.

// Keys of a sparse table's rows, named by their sender so that they cross once: `keys` (uint64
// each, no two alike) is empty where the receiver is believed to have them. The receiver may
// forget.
struct KeyList {
  uint64_t id = 0;  // 0: no list.
  Frame keys;
};

// The piece of one step's push that goes to one shard in one message. Kept, not applied.
struct Unit {
  Sender sender;
  Step step = 0;
  uint32_t attempt = 0;  // Grows when the worker begins the step anew: what came before is dropped.
  uint32_t index = 0;    // Counted from 0 within the attempt and shard.
  TableId table;
  uint64_t begin = 0;  // In floats, in the whole table; of a dense one.
  Frame gradient;
  KeyList keys = {};  // Of a sparse table: the gradient has their rows, in their order.
};

// The shard keeps the unit.
struct Held {
  WorkerId rank;
  Step step = 0;
  uint32_t attempt = 0;
  uint32_t index = 0;
  bool nonfinite = false;  // It has a NaN or an infinity in it.
};

// The step is whole: every shard holds its units of it (or this is the only shard).
struct End {
  Sender sender;
  Step step = 0;
  uint32_t attempt = 0;
  uint32_t units = 0;    // To this shard.
  double samples = 0;    // The weight of the step.
  bool skipped = false;  // It had a gradient that is no number, and was left out.
  // Where the first shard closes rounds for all: the last round that it has closed.
  std::vector<RankState> close = {};
  DataCursor used = {};  // Of the rank's leases of data, this step's included.
};

// The step is over. Either it is applied, and this is the ack; or its round was closed without it
// (`discarded`), and the worker goes on with the step `next`.
struct Ended {
  WorkerId rank;
  Step step = 0;
  bool discarded = false;
  Step next = 0;
  uint64_t filled = 0;  // Steps with samples that this shard has applied, of all ranks.
  std::vector<RankState> close = {};  // Of the first shard, for the others.
};

// A read for the round of `step`, the step that the worker is about to make.
struct Pull {
  Sender sender;
  Step step = 0;
  uint64_t pull = 0;  // Numbers a worker's pulls.
  TableId table;
  uint64_t begin = 0;
  uint64_t count = 0;       // In floats; of a sparse table, in rows.
  uint64_t closed_min = 0;  // Rounds that must have closed, whatever the policy allows.
  KeyList keys = {};        // Of a sparse table.
};

// What a pull was served with: rounds closed, entries applied, and how far behind the reader's
// round.
struct Pulled {
  uint64_t pull = 0;
  uint64_t closed = 0;
  uint64_t version = 0;
  uint64_t staleness = 0;
  FrameList values;  // One after the other: the range that was asked for.
};

// A parked pull or End, asked about again: who is waited for, and which round it has not finished.
struct Waiting {
  uint64_t about = 0;  // The pull, or the step of the End.
  bool is_pull = false;
  WorkerId rank;
  uint64_t round = 0;
};

// --- Worker and coordinator.

// Asks for a rank, or where the number of workers may change, for any that is free.
struct Join {
  WorkerId rank;
  bool any = false;  // `rank` says nothing.
};

// The rank is yours; go on after step `ended`.
struct Granted {
  WorkerId rank;
  Incarnation incarnation;
  Step ended = 0;
};

struct Renew {
  Sender sender;
};

struct Renewed {
  WorkerId rank;
};

// Leaves the job. `done`: all steps are made. `acked`: the last step that every shard acked.
// `failure`: why this worker cannot go on, and the job not without it.
struct Goodbye {
  Sender sender;
  bool done = false;
  Step acked = 0;
  std::string failure = {};
};

struct Farewell {
  WorkerId rank;
};

// Asks for leases of data, after that of the number `have`. `used`: what the sender has used of
// those before, as every shard has acked.
struct GetLease {
  Sender sender;
  uint64_t rows = 0;  // Of the data set, as the sender sees it.
  uint64_t have = 0;
  DataCursor used = {};
};

// What the rank has beyond what it said; none where nothing is free now: more is said when it is.
struct Leased {
  WorkerId rank;
  std::vector<DataLease> leases = {};
  bool over = false;  // All data is used, by everybody: there will be no more.
};

struct Metric {
  std::string name;
  double value = 0;
};

// How far a worker is; for people.
struct Report {
  Sender sender;
  Step step = 0;
  uint64_t epoch = 0;
  double samples = 0;  // Since the worker began.
  double seconds = 0;  // Training alone, since the worker's first step.
  uint64_t staleness_max = 0;
  std::vector<Metric> metrics;
};

// Makes a table, or checks that it is the same. Answered by a ViewIs that has it.
struct MakeTable {
  Sender sender;
  TableSpec spec;
};

struct GetView {};

struct ViewIs {
  View view;
};

// --- Shard and coordinator.

// A log on a disk: the primary of that term has written it, in that generation. Term 0: none.
struct LogMark {
  Generation generation;
  Term term;

  bool operator==(const LogMark&) const = default;
};

struct Register {
  ShardId shard;
  std::string endpoint;
  uint32_t copy = 0;  // Of the shard; 0: its first primary.
  LogMark log = {};   // That it has restored from its disk.
};

struct Registered {
  ShardId shard;
  uint64_t question = 0;  // Where it is said again: the next Beat answers it.
};

// The cut before view `number` begins: take no End from here on. `term`: of the shard. To a replica
// it says that it is the primary now.
struct Freeze {
  ViewNumber number;
  Term term = {};
};

struct Frozen {
  ViewNumber number;
  std::vector<RankState> ranks;
  // It has come to its place without a step that others have: it waits for the step's worker.
  bool owes = false;
};

// Who holds copies of a shard beside its primary, as the coordinator has it on disk; and, said by
// the primary, who is in sync by its own count.
struct Replicas {
  ShardId shard;
  uint64_t number = 0;  // Grows with each change.
  std::vector<ReplicaPlace> replicas;
  Term log = {};  // Of the primary whose log counts; 0: none.
};

// The end of a cut: complete these steps from the units held, drop the fenced, and take the view.
struct Install {
  View view;
  std::vector<RankState> cut;  // Each rank's last step on the shard that is furthest.
  uint64_t snapshot = 0;       // This cut becomes the snapshot of that number; 0: none.
  uint64_t restore = 0;        // What the tables have comes from that one; 0: from nowhere.
};

struct Installed {
  ViewNumber number;
};

// Is the shard's file of that snapshot on disk? Answered by a Saved, now or when it is.
struct GetSaved {
  uint64_t snapshot = 0;
};

// The shard's file is durable, and as these say (see SnapshotFile); or it will not be, and
// `problem` says why.
struct Saved {
  uint64_t snapshot = 0;
  std::string problem;
  uint64_t bytes = 0;
  uint64_t piece_bytes = 0;
  std::vector<uint32_t> piece_crcs;
  uint64_t content = 0;
};

// How a primary's log is.
struct LogStatus {
  Term term = {};  // The primary's own, where the log has all there is: the shard waits for it.
  uint64_t bytes = 0;
  std::string problem = {};  // Why the last file that failed did.

  bool operator==(const LogStatus&) const = default;
};

// What a shard is doing; for people, and a sign of life.
struct Beat {
  ShardId shard;
  uint64_t closed = 0;
  uint64_t version = 0;
  uint64_t units = 0;  // Units taken since the shard began.
  uint64_t held_bytes = 0;
  uint64_t parked_pulls = 0;
  uint64_t staleness_max = 0;
  uint32_t waiting_for = 0;  // The rank that holds up parked pulls, where there are any.
  uint64_t discarded = 0;    // Steps whose round was closed without them.
  uint64_t skipped = 0;      // Steps left out for a gradient that is no number.
  uint64_t nonfinite = 0;    // Units taken with a NaN or an infinity in them.
  ViewNumber view = {};      // That it has.
  uint32_t copy = 0;
  // Of a primary: the Replicas that it has, which of them (by stream) it waits for before it
  // answers, and how many answers wait for them.
  uint64_t replicas = 0;
  std::vector<uint64_t> in_sync = {};
  uint64_t gated = 0;
  uint64_t differing = 0;  // The stream of one that is no copy any more,
  std::string why = {};    // as it says.
  LogStatus log = {};
  bool leaving = false;  // Its process was told to stop, and waits until it may.
  uint64_t answers = 0;  // The last question that it has heard.
};

// --- A shard's primary and its replicas.

// The stream begins: what follows are the tables after `version` entries, in pieces, and then the
// entries since. The receiver forgets what it had.
struct CopyHead {
  View view;
  uint64_t version = 0;
  std::vector<RankState> ranks;
  std::vector<RankState> last_close = {};  // See Ended.
};
struct CopyPiece {
  TableId table;
  TablePiece piece;
};
struct CopyEnd {
  uint64_t filled = 0;  // See Ended.
};
// The floats, or the rows by their place, [begin, begin + count) of a table are such.
struct CopyCheck {
  TableId table;
  uint64_t begin = 0;
  uint64_t count = 0;
  uint32_t crc = 0;
};

// The stream goes on from that of the primary of term `after`: what follows is what a copy may lack
// that has at least the entries up to `since`, and no more than `version` entries and `view`.
struct CopyResume {
  Term after;
  uint64_t since = 0;
  uint64_t version = 0;
  ViewNumber view;
};

// One item of the stream to a replica, counted from 1, which takes them in order.
struct Follow {
  ShardId shard;
  uint64_t stream = 0;
  uint64_t item = 0;
  std::variant<CopyHead, CopyPiece, CopyEnd, Entry, View, CopyCheck, CopyResume> what;
  uint64_t kept = 0;  // Entries that all replicas that count have.
};

// The receiver has taken all items up to that one. `differs`: it is no copy any more, and why.
struct Followed {
  ShardId shard;
  uint64_t stream = 0;
  uint64_t item = 0;
  std::string differs = {};
};

// --- Servers, the coordinator, and those who tell it where shards are to be.

// A server's process is there, and asks what it is to hold; said again and again. `leaving`: it was
// told to stop, and waits until others hold what it has. `busy`: copies whose work silences.
struct Host {
  uint32_t index = 0;
  bool leaving = false;
  std::vector<BootId> busy = {};
};

struct HostedCopy {
  ShardId shard;
  uint32_t copy = 0;

  auto operator<=>(const HostedCopy&) const = default;
};

// All that the server holds from now on. `number` grows with each change of any server's.
struct Hosting {
  uint64_t number = 0;
  std::vector<HostedCopy> copies = {};
};

// A copy of a shard goes from one server to another.
struct Move {
  ShardId shard;
  uint32_t copy = 0;
  uint32_t from = 0;
  uint32_t to = 0;
  bool primary = false;
  std::string words = {};  // How far it is; empty where it has not begun.

  bool operator==(const Move&) const = default;
};

// What would even out the primaries, and leave nothing on these servers? `begin`: and do it.
struct Rebalance {
  std::vector<uint32_t> drained = {};
  bool begin = false;
};

// What is left to be done; or why it cannot be.
struct Balance {
  std::vector<Move> moves = {};
  std::string problem = {};
};

using Message =
    std::variant<Hello, Welcome, Refused, Unit, Held, End, Ended, Pull, Pulled, Waiting, Join,
                 Granted, Renew, Renewed, Goodbye, Farewell, Report, MakeTable, GetView, ViewIs,
                 Register, Registered, Freeze, Frozen, Install, Installed, Beat, GetSaved, Saved,
                 GetLease, Leased, Replicas, Follow, Followed, Host, Hosting, Rebalance, Balance>;

struct Identity;

// A message that has come in: from which peer, under which stamp, and who the peer has proved to be
// (common/identity.h): null where the job is without keys. The identity is the transport's, and
// there until it is polled again.
struct Envelope {
  PeerId peer;
  Stamp stamp;
  Message message;
  const Identity* identity = nullptr;
};

// A message on its way out. The sender's agent fills in nothing: the stamp is whole.
struct Outgoing {
  PeerId peer;
  Stamp stamp;
  Message message;
};

using Outbox = std::vector<Outgoing>;

}  // namespace shardmill
