#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/job_key.h"
#include "common/messages.h"
#include "common/result.h"
#include "common/view.h"
#include "snapshot/checked_file.h"

namespace shardmill {

// What a snapshot is: the last of its files to be written; without it there is none. A value.
struct Manifest {
  JobId job;
  // The jobs that it goes on from, the oldest first: it began from a snapshot of the last of them.
  std::vector<JobId> line = {};
  std::string name = {};  // Of the job, as its file has it.
  uint64_t number = 0;    // Of the snapshot; grows with each of the job.
  View view = {};         // At the cut. Tables name their updates, the job's own too.
  std::vector<RankState> cut = {};
  DataState data = {};                   // What was used of it at the cut, where it is leased.
  JobKeyList keys = {};                  // What the job was, as its file said.
  int64_t time_ms = 0;                   // Since 1970, UTC.
  std::vector<SnapshotFile> files = {};  // File i is shard i's.
};

// The logical hash of all tables; see content.h.
uint64_t ContentOf(const Manifest& manifest);

// The manifest's file, checksum included, and back. Decoding believes nothing: every flipped or
// missing bit is found, and what is left is checked to be a whole. Its errors are kBadInput.
std::string EncodeManifest(const Manifest& manifest);
Result<Manifest> DecodeManifest(std::string_view bytes);

inline constexpr uint64_t kManifestBytesMax = uint64_t{256} << 20;

}  // namespace shardmill
