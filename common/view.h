#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/initial.h"
#include "common/rng.h"
#include "common/update.h"

namespace shardmill {

// When a push changes the parameters.
enum class ApplyRule : uint8_t {
  kPerStep,    // When the round closes: all members, in rank order, one optimizer step.
  kOnArrival,  // When its End arrives.
};

// What a worker's push weighs among those of one round.
enum class Aggregate : uint8_t {
  kWeighted,  // Its samples, of all that the round has: the mean over samples.
  kMean,      // The same as each other that has any samples.
  kSum,       // One.
};

// What becomes of a step whose gradient has a NaN or an infinity in it.
enum class OnNonfinite : uint8_t {
  kReject,  // It is not taken, and its worker ends.
  kSkip,    // It ends without weight.
  kAccept,  // It is taken as it is.
};

// The one rule that gives the modes: a pull for round r is served when r <= closed + staleness.
struct Policy {
  ApplyRule apply = ApplyRule::kPerStep;
  bool bounded = true;     // False: no bound at all (asynchronous).
  uint64_t staleness = 0;  // In rounds; read where bounded.
  Aggregate aggregate = Aggregate::kWeighted;
  OnNonfinite nonfinite = OnNonfinite::kReject;
  uint32_t backups = 0;  // Members that a round need not wait for (kPerStep).

  bool operator==(const Policy&) const = default;
};

// What makes a table what it is. Two specs of one name must be equal.
struct TableSpec {
  std::string name;
  uint64_t size = 0;  // Of a dense table, in floats.
  Initial initial;
  uint32_t dim = 0;  // Of a sparse table, the floats of a row; 0: it is dense.
  std::optional<UpdateSettings> update = {};  // None: the job's own.

  bool sparse() const { return dim > 0; }
  bool operator==(const TableSpec&) const = default;
};

// Where a sparse table's row lies: keys fall into buckets, and buckets belong to shards.
inline constexpr uint64_t kBuckets = 4096;
constexpr uint64_t BucketOf(uint64_t key) { return Mix(key) / (~uint64_t{0} / kBuckets + 1); }

// A table and where it is cut: shard i owns the floats, or the buckets, [cuts[i], cuts[i + 1]).
struct TablePlace {
  TableId id;
  TableSpec spec;
  std::vector<uint64_t> cuts;

  bool operator==(const TablePlace&) const = default;
};

// A rank in the job. Its step n belongs to round n - base, counted from 1.
struct Member {
  WorkerId rank;
  Incarnation incarnation;
  int64_t base = 0;

  bool operator==(const Member&) const = default;
};

// A shard and where its primary listens.
struct ShardPlace {
  ShardId id;
  Term term;
  BootId boot;
  std::string endpoint;

  bool operator==(const ShardPlace&) const = default;
};

// A process that holds a copy of a shard beside its primary.
struct ReplicaPlace {
  uint32_t copy = 0;
  BootId boot;
  std::string endpoint;
  uint64_t stream = 0;   // Another, where it must begin anew.
  bool in_sync = false;  // It has all that was answered, and may become primary.
  bool goes_on = false;  // It has followed the primary before this one, and may lack little.

  bool operator==(const ReplicaPlace&) const = default;
};

// The coordinator's statement of what the job is: the one fence. Members by rank, shards by id.
struct View {
  Generation generation;
  ViewNumber number;
  Policy policy;
  uint64_t closed = 0;  // Rounds that have closed, whoever the members are.
  std::vector<Member> members;
  std::vector<ShardPlace> shards;
  std::vector<TablePlace> tables;

  bool operator==(const View&) const = default;
  const Member* FindMember(WorkerId rank) const;
  const TablePlace* FindTable(const std::string& name) const;
};

}  // namespace shardmill
