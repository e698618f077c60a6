#include "worker/local_snapshot.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "optim/optimizer.h"
#include "snapshot/folder.h"
#include "snapshot/shard_file.h"
#include "worker/meaning.h"

namespace shardmill {
namespace {

int64_t UnixMs() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

// As a job's workers make the table. One shard has all of it.
TablePlace PlaceOf(const JobOptions& job, const ParameterSpec& spec, uint32_t id) {
  const bool own = spec.update && job.policy.exchange == Exchange::kGradients;
  const TableSpec table{.name = spec.name,
                        .size = spec.size,
                        .initial = spec.initial,
                        .dim = spec.dim,
                        .update = own ? *spec.update : job.ServerUpdate()};
  return {TableId{id}, table, {0, spec.sparse() ? kBuckets : spec.size}};
}

Manifest BeginManifest(const JobOptions& job, uint64_t number, const LocalCut& cut) {
  Manifest manifest;
  manifest.job = JobId{cut.job};
  for (const uint64_t before : cut.line) manifest.line.push_back(JobId{before});
  manifest.name = job.job.name;
  manifest.number = number;
  manifest.view.generation = Generation{1};
  manifest.view.number = ViewNumber{1};
  manifest.view.policy = job.policy.ToPolicy();
  manifest.view.shards = {{ShardId{0}, Term{1}, BootId{manifest.job.value}, ""}};
  for (uint32_t rank = 0; rank < cut.workers; ++rank) {
    manifest.view.members.push_back({WorkerId{rank}, Incarnation{1}, 0});
    manifest.cut.push_back(
        {.rank = WorkerId{rank}, .ended = cut.steps, .applied = cut.steps, .counted = cut.steps});
  }
  manifest.keys = MeaningOf(job);
  manifest.time_ms = UnixMs();
  return manifest;
}

// Writes tables to the one shard's file, in batches of rows where they are sparse. What it needs to
// know of a table before it writes any, it asks for.
class TableWriter final {
 public:
  explicit TableWriter(LocalImages& images) : images_(images) {}

  Result<TableHead> HeadOf(size_t parameter, const TablePlace& place) {
    if (!place.spec.sparse()) {
      DenseImage image = SM_TRY(images_.Image(parameter));
      return TableHead{place.id, place.spec.name, std::move(image.head)};
    }
    const auto optimizer = SM_TRY(MakeOptimizer(*place.spec.update));
    const uint64_t state = RowFloats(place.spec.dim, *optimizer) - place.spec.dim;
    return TableHead{place.id, place.spec.name,
                     SparseHead{.end = kBuckets,
                                .dim = place.spec.dim,
                                .state = static_cast<uint32_t>(state),
                                .rows = images_.Keys(parameter).size()}};
  }

  Result<> Write(size_t parameter, const TableHead& head, ShardFileWriter& writer) {
    const auto* sparse = std::get_if<SparseHead>(&head.part);
    if (sparse == nullptr) {
      const DenseImage image = SM_TRY(images_.Image(parameter));
      return writer.Write(image);
    }
    const std::vector<uint64_t> keys = images_.Keys(parameter);
    for (uint64_t begin = 0; begin < keys.size(); begin += kBatchRows) {
      const uint64_t count = std::min(kBatchRows, keys.size() - begin);
      const RowBatch rows = SM_TRY(
          images_.RowImages(parameter, std::span(keys).subspan(begin, count), sparse->state));
      SM_TRY(writer.Write(rows));
    }
    return {};
  }

 private:
  LocalImages& images_;
};

}  // namespace

Result<FileLock> LockSnapshots(const JobOptions& job) {
  PosixFiles files;
  SM_TRY(files.MakeFolder(job.snapshot.to));
  const std::string folder = FolderStore(files, job.snapshot.to).PlaceOf(job.job.name);
  SM_TRY(files.MakeFolder(folder));
  Result<FileLock> lock = FileLock::Take(folder + "/.lock");
  if (lock.ok() || lock.error().code != ErrorCode::kUnavailable) return lock;
  return Error{ErrorCode::kUnavailable,
               folder +
                   ": another job of this name keeps its snapshots here; end it, or give this one "
                   "another job.name or snapshot.to"};
}

Result<uint64_t> WriteLocalSnapshot(const JobOptions& job,
                                    std::span<const ParameterSpec> parameters,
                                    const Columns& columns, LocalImages& images,
                                    const LocalCut& cut) {
  PosixFiles files;
  FolderStore store(files, job.snapshot.to);
  const uint64_t before = SM_TRY(HighestNumber(store, job.job.name));
  Manifest manifest = BeginManifest(job, before + 1, cut);
  TableWriter tables(images);
  ShardHead head{.job = manifest.job,
                 .generation = manifest.view.generation,
                 .snapshot = manifest.number,
                 .shard = ShardId{0},
                 .version = cut.steps,
                 .ranks = manifest.cut};
  std::vector<size_t> there;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!images.Has(i)) continue;
    there.push_back(i);
    const auto id = static_cast<uint32_t>(there.size());
    manifest.view.tables.push_back(PlaceOf(job, parameters[i], id));
    head.tables.push_back(SM_TRY(tables.HeadOf(i, manifest.view.tables.back())));
  }
  if (const std::optional<TableSpec> meaning = MeaningTable(columns)) {
    const auto id = static_cast<uint32_t>(there.size() + 1);
    manifest.view.tables.push_back({TableId{id}, *meaning, {0, kBuckets}});
    head.tables.push_back(
        {TableId{id}, meaning->name, SparseHead{.end = kBuckets, .dim = meaning->dim}});
  }
  const std::string name = FolderOf(job.job.name, manifest.number);
  ShardFileWriter writer = SM_TRY(ShardFileWriter::Begin(store, name, head));
  for (size_t i = 0; i < there.size(); ++i) {
    SM_TRY(tables.Write(there[i], head.tables[i], writer));
  }
  manifest.files.push_back(SM_TRY(writer.Finish()));
  SM_TRY(WriteManifest(store, manifest));
  const Retention retention{job.snapshot.keep, job.snapshot.keep_for.count()};
  SM_TRY(CleanUp(store, manifest, retention, manifest.time_ms));
  return manifest.number;
}

}  // namespace shardmill
