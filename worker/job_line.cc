#include "worker/job_line.h"

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "snapshot/resume.h"

namespace shardmill {

std::vector<uint64_t> JobLine(const JobOptions& job) {
  if (job.snapshot.resume.empty()) return {};
  PosixFiles files;
  FolderStore store(files, job.snapshot.to);
  const Result<Manifest> from = FindResumed(store, job.job.name, job.snapshot.resume);
  if (!from.ok()) return {};
  std::vector<uint64_t> line;
  for (const JobId id : from.value().line) line.push_back(id.value);
  line.push_back(from.value().job.value);
  return line;
}

}  // namespace shardmill
