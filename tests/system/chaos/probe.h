#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

// What the workers of a chaos trial do, as the workers and their checker both know it.
namespace shardmill::chaos {

// The points of a step at which a worker can be told to harm itself.
enum class Phase : uint8_t { kJoining, kReading, kPushing, kEnding, kIdle };
inline constexpr Phase kPhases[] = {Phase::kJoining, Phase::kReading, Phase::kPushing,
                                    Phase::kEnding, Phase::kIdle};

// A signal that a worker sends itself: the `hit`-th time that it is in that phase of that step or a
// later one. So a kill lands between two messages, where one from outside seldom does.
struct Aim {
  int signal = 0;  // 0: none.
  Phase phase = Phase::kIdle;
  uint64_t step = 1;
  uint64_t hit = 1;
};

// A lie of the worker, to show that the checks see it.
enum class Plant : uint8_t {
  kNone,
  kUnpushed,   // It counts a step of which it has pushed nothing, or not all of its rows.
  kTwice,      // It pushes a step twice, or some of its rows.
  kOnOneOnly,  // It pushes a step to one of the shards that the step touches.
  kUnwritten,  // It does not write down that it makes a step.
  kOldName,    // One that was started later pushes under the name of the first of its rank.
  kForgets,    // The harness's own: the coordinator's folder is gone when it is started again.
  kLetsIn,     // The harness's own: a stranger's key is on the list.
};

// What a worker is told: a value that goes through its command line.
struct WorkerPlan {
  std::string coordinator = {};
  std::string journal = {};  // The file that it tells what it knows.
  uint64_t seed = 1;         // Of the trial: what each step pushes.
  uint32_t rank = 0;
  uint32_t life = 1;  // Counts the processes of the trial.
  uint32_t workers = 1;
  uint32_t shards = 1;
  uint64_t steps = 1;
  uint64_t rows = 0;  // Of the data set that it leases; 0: its steps are dealt.
  uint64_t epochs = 1;
  bool any_rank = false;
  bool bounded = true;  // Not asynchronous.
  uint64_t staleness = 0;
  bool per_step = true;  // Changes come with rounds, not with arrivals.
  bool backups = false;
  bool begins_again = false;  // Some shards may have its first step already, of the process before.
  bool shared_memory = true;
  uint64_t lease_ms = 500;
  uint64_t retry_ms = 50;
  uint64_t think_us = 0;    // The longest pause between two steps.
  uint64_t table_step = 0;  // The step before which it makes one table more; 0: none.
  uint64_t shard_mib = 0;   // Each shard holds as much of a table that no step changes.
  std::string keys = {};    // A folder; empty: the job has none.
  Aim aim = {};
  Plant plant = Plant::kNone;

  std::vector<std::string> ToArguments() const;
  static Result<WorkerPlan> FromArguments(const std::vector<std::string>& arguments);
};

// Where a trial's integers are, and what each step adds to them. Every shard holds, for each rank
// w, a counter n[w], to which each step of w that touches the shard adds one, and a tally for each
// step, to which it adds `TallyOf(life)`: so it can be told afterwards which process made which
// step how often. "bulk" takes a one in each float from each push, in several units; "rows" takes
// one in each of the step's keys; "late", where there is one, takes a one in each float from each
// step since it was made. A value; any thread.
class Probe final {
 public:
  Probe(uint64_t seed, uint32_t workers, uint32_t shards, uint64_t steps)
      : seed_(seed), workers_(workers), shards_(shards), steps_(steps) {}

  uint32_t workers() const { return workers_; }
  uint32_t shards() const { return shards_; }
  uint64_t steps() const { return steps_; }

  // Of a shard's line in the table "probe": shards cut a table at multiples of 16 floats.
  uint64_t Line() const { return (workers_ * (steps_ + 1) + 15) / 16 * 16; }
  uint64_t Counter(uint32_t shard, uint32_t worker) const { return shard * Line() + worker; }
  uint64_t Tally(uint32_t shard, uint32_t worker, uint64_t step) const {
    return shard * Line() + workers_ * step + worker;
  }
  static constexpr uint64_t kBulk = 2048;  // Floats of "bulk" on each shard.

  static constexpr float TallyOf(uint32_t life) { return static_cast<float>(1 + 1024 * life); }
  static constexpr uint32_t TimesOf(float tally) { return static_cast<uint32_t>(tally) % 1024; }
  static constexpr uint32_t LivesOf(float tally) { return static_cast<uint32_t>(tally) / 1024; }

  // Most steps push to all shards; some to some of them, or to none.
  bool Touches(uint32_t worker, uint64_t step, uint32_t shard) const;
  // How many of the worker's first `steps` steps touch the shard.
  uint64_t Touching(uint32_t worker, uint64_t steps, uint32_t shard) const;

  // Of "rows": the worker's own, of which each step takes some.
  std::vector<uint64_t> AllKeys() const;
  std::vector<uint64_t> Keys(uint32_t worker, uint64_t step) const;

 private:
  uint64_t seed_;
  uint32_t workers_;
  uint32_t shards_;
  uint64_t steps_;
};

// What a worker writes down.
enum class Event : uint8_t {
  kJoining,    // It asks for its rank.
  kGranted,    // It has it; `step`: the one that it goes on with; `words`: a lessee's rank.
  kAttempt,    // Begins to push a step.
  kCounted,    // The step was acknowledged.
  kDiscarded,  // Its round was closed without it.
  kHarm,       // It is about to send itself its signal.
  kFinal,      // It has read the end of the training, which is in the file beside the journal.
  kDone,       // It has left, or found that its rank was done.
  kViolation,  // Something that it was promised is not so: `words`.
  kError,      // The session ended with an error: `words`; `step`: the exit code.
  kTables,     // It has its rank, and makes its tables.
  kLateTable,  // It makes the table that comes later.
  kWentBack,   // The job went back to a snapshot; `step`: the one that it goes on with.
  kLeft,       // It has left as it was asked to, before the end.
};

struct Record {
  Event event = Event::kJoining;
  uint64_t at_ns = 0;  // Of the machine's monotonic clock.
  uint64_t step = 0;
  std::string words = {};
};

// A file of one line a record, each written at once: what was written before a kill stays. Owned by
// its worker; one thread.
class JournalWriter final {
 public:
  static Result<JournalWriter> Open(const std::string& path);
  void Write(Event event, uint64_t step, std::string_view words = {});

 private:
  explicit JournalWriter(int fd) : fd_(fd) {}

  int fd_;  // For as long as the process lives.
};

// Where a worker is in its steps, and the harm that it does to itself there. Owned by its worker;
// one thread.
class SelfHarm final {
 public:
  SelfHarm(const Aim& aim, JournalWriter journal) : aim_(aim), journal_(journal) {}

  void Enter(Phase phase, uint64_t step) {
    phase_ = phase;
    step_ = step;
    Touch();
  }
  // Without a touch: what follows is touched by itself.
  void Set(Phase phase) { phase_ = phase; }
  void Touch();

 private:
  Aim aim_;
  JournalWriter journal_;
  Phase phase_ = Phase::kJoining;
  uint64_t step_ = 0;
  uint64_t hits_ = 0;
  bool harmed_ = false;
};

// Reads what has been written since it was last asked. A last line that is not whole yet waits.
class JournalReader final {
 public:
  explicit JournalReader(std::string path) : path_(std::move(path)) {}
  std::vector<Record> Read();

 private:
  std::string path_;
  uint64_t offset_ = 0;
};

// What a worker found in the end, in the file PATH of its journal + ".final".
struct FinalValues {
  std::vector<float> probe = {};
  std::vector<float> bulk = {};
  std::vector<float> rows = {};  // In the order of AllKeys.
  std::vector<float> uses = {};  // Where data is leased, and nothing else: of each row.
};
std::string FinalPath(const std::string& journal);
bool WriteFinal(const std::string& path, const FinalValues& values);
// As many of each as `sized` has.
std::optional<FinalValues> ReadFinal(const std::string& path, FinalValues sized);

uint64_t MonotonicNs();

}  // namespace shardmill::chaos
