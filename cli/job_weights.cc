#include "cli/job_weights.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "cli/named_snapshot.h"
#include "cli/run_folder.h"
#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "common/fresh_id.h"
#include "snapshot/export.h"
#include "snapshot/snapshot.h"
#include "worker/data/read_data.h"
#include "worker/job_model.h"
#include "worker/local_snapshot.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

// A snapshot's weights in a file, for as long as somebody reads them.
class ExportedFile final {
 public:
  ExportedFile() : path_(fs::temp_directory_path() / ("weights-" + std::to_string(FreshId()))) {}
  ~ExportedFile() {
    std::error_code none;
    fs::remove(path_, none);
  }
  ExportedFile(const ExportedFile&) = delete;
  ExportedFile& operator=(const ExportedFile&) = delete;

  std::string path() const { return path_.string(); }

  Result<> Write(const std::string& snapshot) const {
    PosixFiles files;
    const NamedSnapshot named = SM_TRY(FindSnapshot(files, snapshot));
    FolderStore from(files, named.root);
    Snapshot opened = SM_TRY(Snapshot::Open(from, named.folder));
    FolderStore to(files, path_.parent_path().string());
    return ExportSnapshot(opened, false, to, path_.filename().string());
  }

 private:
  const fs::path path_;
};

// People know the snapshot, and not the file that was made of it.
void Rename(const std::string& file, const std::string& snapshot, std::string& words) {
  for (size_t at = 0; (at = words.find(file, at)) != std::string::npos; at += snapshot.size()) {
    words.replace(at, file.size(), snapshot);
  }
}

}  // namespace

Result<GivenWeights> OpenJobWeights(const JobOptions& job,
                                    std::span<const ParameterSpec> parameters,
                                    const Columns& columns) {
  const std::string& named = job.train.weights;
  std::error_code none;
  const fs::path of_run = fs::path(named) / kModelFile;
  if (fs::exists(of_run, none)) return OpenWeights(job, of_run.string(), parameters, columns);
  const bool there = fs::exists(named, none);
  if (there && !fs::is_directory(named, none)) return OpenWeights(job, named, parameters, columns);
  const ExportedFile file;
  const Result<> written = file.Write(named);
  if (!written.ok() && !there) {
    return Error{ErrorCode::kUnavailable, "train.weights: " + named + " is not there"};
  }
  if (!written.ok()) {
    return Error{written.error().code, "train.weights: there is no " + of_run.string() + ", and " +
                                           written.error().message};
  }
  Result<GivenWeights> weights = OpenWeights(job, file.path(), parameters, columns);
  if (!weights.ok()) {
    Error error = weights.error();
    Rename(file.path(), named, error.message);
    return error;
  }
  Rename(file.path(), named, weights.value().words);
  return weights;
}

Result<uint64_t> MakeStartSnapshot(const JobOptions& job, const Console& console,
                                   const std::function<bool()>& stopped) {
  const DataParts data = SM_TRY(ReadData(job.data, job.job.seed, stopped));
  const std::unique_ptr<NetworkModel> model = SM_TRY(MakeJobModel(job, *data.train));
  GivenWeights weights = SM_TRY(OpenJobWeights(job, model->Parameters(), data.train->columns()));
  console.err << weights.words << "\n" << std::flush;
  GivenImages images(weights);
  const FileLock lock = SM_TRY(LockSnapshots(job));
  return WriteLocalSnapshot(job, model->Parameters(), data.train->columns(), images,
                            {.job = FreshId(), .workers = job.cluster.workers});
}

Result<> RunSnapshotBegin(const SnapshotBeginFlags& flags, const Console& console) {
  const Job job = SM_TRY(LoadJob(flags.job.file, {flags.job.sets, console.environment}));
  SM_TRY(CheckTrainable(job.options));
  if (job.options.train.weights.empty() || job.options.snapshot.to.empty()) {
    return Error{ErrorCode::kBadUsage,
                 "the job wants \"train.weights\", the weights to begin with, and \"snapshot.to\", "
                 "where the snapshot is to be"};
  }
  const uint64_t number = SM_TRY(MakeStartSnapshot(job.options, console, nullptr));
  console.out << number << "\n" << std::flush;
  return {};
}

}  // namespace shardmill
