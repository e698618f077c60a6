#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace shardmill {

// A number that names something. Ids of different kinds do not mix, and an id is never an int.
template <class Tag, class Rep>
struct Id {
  Rep value{};

  auto operator<=>(const Id&) const = default;
  Id Next() const { return Id{static_cast<Rep>(value + 1)}; }
};

using JobId = Id<struct JobTag, uint64_t>;        // One run of one job.
using WorkerId = Id<struct WorkerTag, uint32_t>;  // A rank: a worker's place in the job.
using ShardId = Id<struct ShardTag, uint32_t>;    // An agent that owns a part of the tables.
using TableId = Id<struct TableTag, uint32_t>;    // A table of the job.
using Incarnation = Id<struct IncarnationTag, uint64_t>;  // Which process holds a rank now.
using BootId = Id<struct BootTag, uint64_t>;              // One life of one process. Zero: unknown.
using Generation = Id<struct GenerationTag, uint64_t>;    // Grows only at a rollback.
using Term = Id<struct TermTag, uint64_t>;                // Grows when a shard's primary changes.
using ViewNumber = Id<struct ViewTag, uint64_t>;          // Grows with every view.
using PeerId = Id<struct PeerTag, uint64_t>;              // A peer of one Transport. Local to it.

// The number of a worker's iteration, counted from 1; 0 is "none yet". A count, not an id.
using Step = uint64_t;

}  // namespace shardmill

template <class Tag, class Rep>
struct std::hash<shardmill::Id<Tag, Rep>> {
  size_t operator()(const shardmill::Id<Tag, Rep>& id) const { return std::hash<Rep>{}(id.value); }
};
