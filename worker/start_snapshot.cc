#include "worker/start_snapshot.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "common/fresh_id.h"
#include "common/process/file_lock.h"
#include "optim/optimizer.h"
#include "snapshot/folder.h"
#include "snapshot/shard_file.h"

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

// What there is before the first step: no shard has applied anything.
Manifest BeginManifest(const JobOptions& job, uint64_t number) {
  Manifest manifest;
  manifest.job = JobId{FreshId()};
  manifest.name = job.job.name;
  manifest.number = number;
  manifest.view.generation = Generation{1};
  manifest.view.number = ViewNumber{1};
  manifest.view.policy = job.policy.ToPolicy();
  manifest.view.shards = {{ShardId{0}, Term{1}, BootId{manifest.job.value}, ""}};
  for (uint32_t rank = 0; rank < job.cluster.workers; ++rank) {
    manifest.view.members.push_back({WorkerId{rank}, Incarnation{1}, 0});
    manifest.cut.push_back({.rank = WorkerId{rank}});
  }
  manifest.keys = MeaningOf(job);
  manifest.time_ms = UnixMs();
  return manifest;
}

// Writes the given tables to the one shard's file, in batches of rows where they are sparse.
class TableWriter final {
 public:
  explicit TableWriter(GivenWeights& weights) : weights_(weights) {}

  Result<TableHead> HeadOf(size_t parameter, const TablePlace& place) const {
    TableHead head{place.id, place.spec.name, DenseHead{.end = place.spec.size}};
    if (!place.spec.sparse()) return head;
    const auto optimizer = SM_TRY(MakeOptimizer(*place.spec.update));
    const uint64_t state = RowFloats(place.spec.dim, *optimizer) - place.spec.dim;
    head.part = SparseHead{.end = kBuckets,
                           .dim = place.spec.dim,
                           .state = static_cast<uint32_t>(state),
                           .rows = weights_.file->Keys(parameter).size()};
    return head;
  }

  Result<> Write(size_t parameter, const TableHead& head, ShardFileWriter& writer) {
    const auto* sparse = std::get_if<SparseHead>(&head.part);
    if (sparse == nullptr) {
      const std::span<const float> values = SM_TRY(weights_.file->Dense(parameter));
      return writer.Write(DenseImage{std::get<DenseHead>(head.part), {Frame::CopyOf(values)}, {}});
    }
    const std::span<const uint64_t> keys = weights_.file->Keys(parameter);
    for (uint64_t begin = 0; begin < keys.size(); begin += kBatchRows) {
      const auto some = keys.subspan(begin, std::min(kBatchRows, keys.size() - begin));
      const std::span<const float> rows = SM_TRY(weights_.file->Rows(parameter, some));
      const std::vector<float> state(some.size() * sparse->state);
      SM_TRY(writer.Write(
          RowBatch{Frame::CopyOf(some), Frame::CopyOf(rows), Frame::CopyOf(std::span(state))}));
    }
    return {};
  }

 private:
  GivenWeights& weights_;
};

}  // namespace

Result<uint64_t> WriteStartSnapshot(const JobOptions& job,
                                    std::span<const ParameterSpec> parameters,
                                    GivenWeights& weights) {
  PosixFiles files;
  FolderStore store(files, job.snapshot.to);
  SM_TRY(files.MakeFolder(job.snapshot.to));
  const std::string folder = store.PlaceOf(job.job.name);
  SM_TRY(files.MakeFolder(folder));
  const FileLock lock = SM_TRY(FileLock::Take(folder + "/.lock"));
  const uint64_t before = SM_TRY(HighestNumber(store, job.job.name));
  Manifest manifest = BeginManifest(job, before + 1);
  TableWriter tables(weights);
  ShardHead head{.job = manifest.job,
                 .generation = manifest.view.generation,
                 .snapshot = manifest.number,
                 .shard = ShardId{0},
                 .ranks = manifest.cut};
  std::vector<size_t> given;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!weights.given[i]) continue;
    given.push_back(i);
    const auto id = static_cast<uint32_t>(given.size());
    manifest.view.tables.push_back(PlaceOf(job, parameters[i], id));
    head.tables.push_back(SM_TRY(tables.HeadOf(i, manifest.view.tables.back())));
  }
  const std::string name = FolderOf(job.job.name, manifest.number);
  ShardFileWriter writer = SM_TRY(ShardFileWriter::Begin(store, name, head));
  for (size_t i = 0; i < given.size(); ++i) {
    SM_TRY(tables.Write(given[i], head.tables[i], writer));
  }
  manifest.files.push_back(SM_TRY(writer.Finish()));
  SM_TRY(WriteManifest(store, manifest));
  return manifest.number;
}

}  // namespace shardmill
