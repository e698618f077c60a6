#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace shardmill {

// What a job is doing, as the coordinator's GET /status tells it and `shardmill status` and
// `shardmill train` read it. A value; docs/operations.md names the JSON keys, which are those of
// the fields.
struct JobStatus {
  enum class State : uint8_t { kStarting, kTraining, kDone, kFailed };

  struct Worker {
    enum class State : uint8_t { kAbsent, kWaiting, kTraining, kSilent, kDone };

    uint32_t rank = 0;
    State state = State::kAbsent;
    uint64_t incarnation = 0;
    uint64_t step = 0;   // As it last reported.
    uint64_t acked = 0;  // As its goodbye said.
    uint64_t epoch = 0;
    double samples = 0;         // Since it began.
    double seconds = 0;         // Of training alone, since its first step.
    double silent_seconds = 0;  // Since it was last heard of.
    uint64_t staleness_max = 0;
    double awaited_seconds = 0;  // In which shards waited for it,
    double awaited_share = 0;    // and the part of the last seconds in which they did.
    std::vector<std::pair<std::string, double>> metrics = {};
  };

  struct Shard {
    uint32_t id = 0;
    std::string endpoint = {};  // Empty while it has not registered.
    uint64_t closed = 0;
    uint64_t version = 0;
    uint64_t units = 0;
    uint64_t held_bytes = 0;
    uint64_t parked_pulls = 0;  // And ends of steps, where rounds are closed together.
    uint64_t staleness_max = 0;
    uint32_t waiting_for = 0;   // The rank that holds these up, or would.
    uint64_t discarded = 0;     // Steps whose round was closed without them.
    uint64_t skipped = 0;       // Steps left out for a gradient that is no number.
    uint64_t nonfinite = 0;     // Units that came with a NaN or an infinity in them.
    uint32_t copy = 0;          // That is its primary,
    uint32_t host = 0;          // and the server that has it.
    bool moving = false;        // A copy of it goes to another server.
    uint32_t replicas = 0;      // That it should have beside it,
    uint32_t in_sync = 0;       // and those that may take its place.
    uint64_t gated = 0;         // Answers that wait for replicas.
    std::string degraded = {};  // Why fewer are in sync than should be; empty: all are.

    bool waits() const { return parked_pulls > 0; }
  };

  // Snapshots, as far as the coordinator's process has seen any.
  struct Snapshots {
    uint64_t number = 0;     // Of the last complete one; 0: there is none yet.
    double age_seconds = 0;  // Since its cut.
    double took_seconds = 0;
    uint64_t bytes = 0;
    uint64_t under_way = 0;    // The one that is being written; 0: none is.
    uint64_t given_up = 0;     // Those that did not come about,
    std::string problem = {};  // and why the last of them did not.
    std::string awaited = {};  // Whom the one under way waits for.
    uint64_t damaged = 0;      // Snapshots that were passed over because they could not be read.
    bool final_lost = false;   // The job is done, and its last snapshot did not come about.
  };

  State state = State::kStarting;
  std::string words;            // Whom it waits for, or why it failed.
  uint64_t exit_code = 0;       // Of the coordinator, once it failed.
  std::string policy = "sync";  // The mode's name.
  uint64_t staleness = 0;       // Where the mode is "stale".
  uint64_t view = 0;
  uint64_t generation = 0;
  uint64_t rollbacks = 0;   // How often the job has gone back to a snapshot.
  uint64_t promotions = 0;  // How often a replica has taken the place of a shard's primary.
  std::vector<Worker> workers;
  std::vector<Shard> shards;
  std::optional<Snapshots> snapshots;  // None: the job keeps none.
  uint64_t lost = 0;        // Acked steps that a shard lacks; counted when the job is done.
  uint64_t duplicated = 0;  // Steps that a shard applied more than once; likewise.
  // Where data is leased: samples of all epochs and those that are used, and at the job's end those
  // that no step has used, or more than one.
  uint64_t data = 0;
  uint64_t data_used = 0;
  uint64_t samples_lost = 0;
  uint64_t samples_repeated = 0;
};

// The worker that holds up the others; null where none does.
const JobStatus::Worker* SlowWorker(const JobStatus& status);

std::string_view NameOf(JobStatus::State state);
std::string_view NameOf(JobStatus::Worker::State state);

std::string ToJson(const JobStatus& status);

// Reads what ToJson wrote, from outside: a key that is not there has its default, a value that
// cannot be is an error with the code kBadInput.
Result<JobStatus> ParseJobStatus(std::string_view json);

}  // namespace shardmill
