#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/job_key.h"
#include "common/messages.h"

namespace shardmill {

// What the job's end counts: steps acked but missing on a shard, and steps applied more than once;
// and where data is leased, samples that no step has used, and those that more than one has.
struct Audit {
  uint64_t lost = 0;
  uint64_t duplicated = 0;
  uint64_t samples_lost = 0;
  uint64_t samples_repeated = 0;

  bool operator==(const Audit&) const = default;
};

// The server that has a replica, and which copy goes when this one has all that was answered.
struct ReplicaHome {
  uint32_t host = 0;
  std::optional<uint32_t> replaces = {};

  bool operator==(const ReplicaHome&) const = default;
};

// Who holds a shard: one of them may be primary of a view that is still to come.
struct ShardCopies {
  Term term;
  uint32_t copy = 0;  // The primary's,
  BootId boot;        // its process,
  std::string endpoint;
  uint64_t number = 0;  // Of Replicas.
  std::vector<ReplicaPlace> replicas;
  Term log = {};       // See Replicas.
  uint32_t host = 0;   // The server that has the primary,
  uint32_t given = 0;  // how many copies there ever were; 0: they are where they began,
  std::vector<ReplicaHome> homes = {};  // and where the replicas are.
};

// All that a coordinator must know after its process has ended: whoever goes on from it is the same
// coordinator, for everybody else.
struct CoordinatorState {
  struct Rank {
    BootId boot;
    Incarnation incarnation;
    bool granted = false;
    std::deque<BootId> fenced;
    bool done = false;
    Step acked = 0;
    Report report;  // Of one that is done.
  };

  JobId job;
  BootId boot;
  Term epoch;       // Counts the starts, from 1.
  Install decided;  // The last view that was decided, whether it is installed or not.
  std::vector<Rank> ranks;
  bool final_cut = false;  // Every worker had made its steps at that cut;
  bool done = false;       // and it is over, and the job with it.
  bool failed = false;
  std::string words;
  bool timed_out = false;
  Audit audit;
  uint64_t snapshot = 0;  // The last number that was given to one, whatever became of it.
  uint64_t base = 0;      // The snapshot that this generation began from; 0: none.
  uint64_t rollbacks = 0;
  DataState data = {};                   // Where it is leased.
  JobKeyList keys = {};                  // What the job is, as its file said when it began.
  std::vector<ShardCopies> copies = {};  // By shard.
  uint64_t streams = 0;                  // Given to replicas so far.
  std::string going_back = {};           // Why the job is about to; empty where it is not.
  uint64_t hosting = 0;                  // See Hosting.
};

}  // namespace shardmill
