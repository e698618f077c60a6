#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/initial.h"

namespace shardmill {

// When a push changes the parameters.
enum class ApplyRule : uint8_t {
  kPerStep,    // When the round closes: all members, in rank order, one optimizer step.
  kOnArrival,  // When its End arrives.
};

// The one rule that gives the modes: a pull for round r is served when r <= closed + staleness.
struct Policy {
  ApplyRule apply = ApplyRule::kPerStep;
  bool bounded = true;     // False: no bound at all (asynchronous).
  uint64_t staleness = 0;  // In rounds; read where bounded.

  bool operator==(const Policy&) const = default;
};

// What makes a table what it is. Two specs of one name must be equal.
struct TableSpec {
  std::string name;
  std::string optimizer;  // Empty: the job's own.
  uint64_t size = 0;      // In floats.
  Initial initial;

  bool operator==(const TableSpec&) const = default;
};

// A table and where it is cut: shard i owns the floats [cuts[i], cuts[i + 1]).
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

// The coordinator's statement of what the job is: the one fence. Members by rank, shards by id.
struct View {
  Generation generation;
  ViewNumber number;
  Policy policy;
  std::vector<Member> members;
  std::vector<ShardPlace> shards;
  std::vector<TablePlace> tables;

  bool operator==(const View&) const = default;
  const Member* FindMember(WorkerId rank) const;
  const TablePlace* FindTable(const std::string& name) const;
};

}  // namespace shardmill
