#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/ids.h"
#include "common/result.h"
#include "snapshot/manifest.h"

// How snapshots lie in a store: <job>/<number>/ has a file for each shard and the manifest, which
// is written last and removed first. Without a manifest there is no snapshot.
namespace shardmill {

// "job/000000000042/".
std::string FolderOf(const std::string& job, uint64_t number);
// The number of a folder that is called so; nothing where it is none of ours.
std::optional<uint64_t> NumberOf(std::string_view folder);

// The files must be durable already. From here on there is a snapshot.
Result<> WriteManifest(BlobStore& store, const Manifest& manifest);
Result<Manifest> ReadManifest(BlobStore& store, const std::string& folder);

// What lies in a folder that has a manifest. A value.
struct FoundSnapshot {
  std::string job;
  uint64_t number = 0;
  std::optional<Manifest> manifest = {};  // None: it cannot be read, as the problem says.
  std::string problem = {};

  std::string folder() const { return FolderOf(job, number); }
};

// The complete snapshots of a job, or of all where it is empty: by job, and the oldest first.
Result<std::vector<FoundSnapshot>> ListSnapshots(BlobStore& store, const std::string& job);

// The highest number that any snapshot of the job has had here, complete or not; 0: there is none.
Result<uint64_t> HighestNumber(BlobStore& store, const std::string& job);

// What is kept beside the newest, which always is.
struct Retention {
  uint64_t count_max = 0;  // Of all; 0: no bound.
  int64_t age_ms_max = 0;  // 0: no bound.
};

// Those of one job, the oldest first, that need not be kept any longer. One that cannot be read
// counts for nothing: it is neither kept for nor removed.
std::vector<FoundSnapshot> Expired(const std::vector<FoundSnapshot>& snapshots,
                                   const Retention& retention, int64_t now_ms);

// The manifest goes first, so that nothing is ever half a snapshot.
Result<> RemoveSnapshot(BlobStore& store, const std::string& folder);

// Removes what is left of snapshots below the newest that were never completed, or not wholly
// removed, of its own job and of those that this one goes on from. Nobody may be writing one of
// them. What no file says whose it is goes, too. Returns how many there were.
Result<uint64_t> RemoveIncomplete(BlobStore& store, const Manifest& newest);

// What need not be kept any longer, once a snapshot is complete: what was never complete below it,
// and what has expired, of its own job and of those that this one goes on from. Those of other jobs
// of the name stay, and count for nothing.
Result<> CleanUp(BlobStore& store, const Manifest& newest, const Retention& retention,
                 int64_t now_ms);

// The proof that all servers see one folder: one leaves a token there, the others look for it.
Result<> LeaveToken(BlobStore& store, const std::string& job, JobId token);
Result<> CheckToken(BlobStore& store, const std::string& job, JobId token);
// Where it is gone it is left again; an error where another job of the name has left its own.
Result<> KeepToken(BlobStore& store, const std::string& job, JobId token);

}  // namespace shardmill
