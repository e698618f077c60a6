#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/messages.h"
#include "common/result.h"
#include "common/view.h"
#include "server/log_entry.h"

// The record of what one shard did, event by event in the order in which it happened: a line of
// JSON each. Values that anybody may copy.
namespace shardmill {

inline constexpr uint64_t kTraceFormat = 1;
// What a trace's file is called, after "shard-K".
inline constexpr std::string_view kTraceSuffix = ".trace";

// The first line: what the trace is of.
struct TraceHead {
  JobId job;
  ShardId shard;
  uint32_t shards = 0;
  uint32_t workers = 0;
  Policy policy;

  bool operator==(const TraceHead&) const = default;
};

// What the shard goes on from, where that came from a snapshot. Of the ranks which step each has
// ended.
struct TraceRestored {
  uint64_t version = 0;
  std::vector<RankState> ranks;
};

// A pull was answered. Of the pull all but its list of keys, and of that the number; of the answer
// all but the values.
struct TraceServed {
  Pull pull;
  uint64_t closed = 0;
  uint64_t version = 0;
  uint64_t staleness = 0;
};

// The last line of a trace that was closed in good order, and the events before it.
struct TraceEnd {
  uint64_t events = 0;
};

// Of a view: number, members and tables, without how their rows begin and are updated. Of an entry:
// all but the values and weights.
using TraceEvent = std::variant<TraceHead, View, TraceRestored, LogEntry, TraceServed, TraceEnd>;

// One line, without its end.
std::string FormatTrace(const TraceHead& head);
std::string FormatTrace(const View& view);
std::string FormatTrace(const TraceRestored& restored);
std::string FormatTrace(const LogEntry& entry);
std::string FormatTrace(const TraceServed& served);
std::string FormatTrace(const TraceEnd& end);

// Reads a line, strictly: every field, in its kind, and no other. The error is kBadInput.
Result<TraceEvent> ParseTrace(std::string_view line);

}  // namespace shardmill
