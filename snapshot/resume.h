#pragma once

#include <string>

#include "common/blob/blob_store.h"
#include "common/job_key.h"
#include "common/result.h"
#include "snapshot/manifest.h"

namespace shardmill {

inline constexpr const char* kLatestSnapshot = "latest";

// The snapshot that a job goes on from: `resume` is its number, or kLatestSnapshot, the newest that
// can be read. What is not there is kBadUsage.
Result<Manifest> FindResumed(BlobStore& store, const std::string& job, const std::string& resume);

// Why a job of these keys cannot go on from it, as its steps would be of other rows, in words;
// empty where it can.
std::string RowsProblem(const Manifest& from, const JobKeyList& keys, bool leased);

}  // namespace shardmill
