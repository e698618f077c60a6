#include "worker/job_line.h"

#include <algorithm>
#include <ranges>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "snapshot/folder.h"

namespace shardmill {

std::vector<uint64_t> JobLine(const JobOptions& job) {
  const SnapshotOptions& options = job.snapshot;
  if (options.resume.empty()) return {};
  PosixFiles files;
  FolderStore store(files, options.to);
  const Result<std::vector<FoundSnapshot>> found = ListSnapshots(store, job.job.name);
  if (!found.ok()) return {};
  for (const FoundSnapshot& one : found.value() | std::views::reverse) {
    const bool wanted = options.resume == "latest" || options.resume == std::to_string(one.number);
    if (!wanted || !one.manifest) continue;
    std::vector<uint64_t> line;
    for (const JobId id : one.manifest->line) line.push_back(id.value);
    line.push_back(one.manifest->job.value);
    return line;
  }
  return {};
}

}  // namespace shardmill
