#include "worker/local_resume.h"

#include <optional>
#include <string>
#include <utility>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "common/job/network_keys.h"
#include "snapshot/folder.h"
#include "snapshot/resume.h"
#include "snapshot/snapshot.h"
#include "worker/meaning.h"

namespace shardmill {
namespace {

Result<> CheckFits(const JobOptions& job, const Manifest& from, const Columns& columns) {
  const std::string name = "snapshot " + std::to_string(from.number);
  const auto bad = [](std::string words) { return Error{ErrorCode::kBadUsage, std::move(words)}; };
  const JobKeyList keys = MeaningOf(job);
  const std::string rows = RowsProblem(from, keys, false);
  if (!rows.empty()) return bad(rows);
  SM_TRY(CheckNetwork(name, from.keys, keys));
  if (from.data.rows > 0 || from.cut.size() != 1) {
    return bad(name + " is of a job " +
               (from.data.rows > 0 ? std::string("that leased its data")
                                   : "of " + std::to_string(from.cut.size()) + " workers") +
               ", and --single goes on where one worker has gone through its rows by itself; begin "
               "with the snapshot's weights (train.weights)");
  }
  const std::optional<TableSpec> meaning = MeaningTable(columns);
  const TablePlace* was = meaning ? from.view.FindTable(meaning->name) : nullptr;
  if (was != nullptr && !(was->spec.initial == meaning->initial)) return OtherMeaning();
  return {};
}

}  // namespace

Result<Step> ResumeLocally(const JobOptions& job, std::span<const ParameterSpec> parameters,
                           const Columns& columns, LocalTables& tables) {
  PosixFiles files;
  FolderStore store(files, job.snapshot.to);
  const Manifest from = SM_TRY(FindResumed(store, job.job.name, job.snapshot.resume));
  SM_TRY(CheckFits(job, from, columns));
  Snapshot snapshot = SM_TRY(Snapshot::Open(store, FolderOf(from.name, from.number)));
  for (size_t i = 0; i < parameters.size(); ++i) {
    const TablePlace* place = from.view.FindTable(parameters[i].name);
    const std::string problem =
        place == nullptr ? "is not there" : tables.RestoreProblem(i, place->spec);
    if (!problem.empty()) {
      return Error{ErrorCode::kBadUsage, "snapshot " + std::to_string(from.number) + ": table \"" +
                                             parameters[i].name + "\" " + problem};
    }
    SM_TRY(snapshot.ReadTable(place->id, 0, place->spec.sparse() ? kBuckets : place->spec.size,
                              [&](const TablePiece& piece) { return tables.Restore(i, piece); }));
  }
  return from.cut[0].ended;
}

}  // namespace shardmill
