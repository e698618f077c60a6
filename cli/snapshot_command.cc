#include "cli/snapshot_command.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/named_snapshot.h"
#include "cli/table.h"
#include "cli/train_result.h"
#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "common/config/text.h"
#include "common/json/json.h"
#include "snapshot/export.h"
#include "snapshot/folder.h"
#include "snapshot/snapshot.h"
#include "snapshot/verify.h"

namespace shardmill {
namespace {

std::string Count(uint64_t count) { return FormatCount(static_cast<double>(count)); }

std::string Hex(uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::string TimeWords(int64_t time_ms) {
  const std::time_t seconds = time_ms / 1000;
  std::tm parts{};
  std::array<char, 32> text{};
  if (!gmtime_r(&seconds, &parts)) return "-";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

uint64_t BytesOf(const Manifest& manifest) {
  uint64_t bytes = 0;
  for (const SnapshotFile& file : manifest.files) bytes += file.bytes;
  return bytes;
}

void WriteSummary(const Manifest& manifest, JsonWriter& json) {
  json.Key("job").Text(manifest.name).Key("number").Whole(manifest.number);
  json.Key("time").Text(TimeWords(manifest.time_ms));
  json.Key("generation").Whole(manifest.view.generation.value);
  json.Key("shards").Whole(manifest.files.size()).Key("bytes").Whole(BytesOf(manifest));
  json.Key("content").Text(Hex(ContentOf(manifest)));
}

std::string ToJson(const Manifest& manifest) {
  JsonWriter json;
  json.BeginObject();
  WriteSummary(manifest, json);
  json.Key("run").Text(Hex(manifest.job.value)).Key("view").Whole(manifest.view.number.value);
  json.Key("cut").BeginList();
  for (const RankState& state : manifest.cut) {
    json.BeginObject()
        .Key("rank")
        .Whole(state.rank.value)
        .Key("step")
        .Whole(state.ended)
        .EndObject();
  }
  json.EndList().Key("tables").BeginList();
  for (const TablePlace& table : manifest.view.tables) {
    json.BeginObject().Key("name").Text(table.spec.name);
    json.Key("size").Whole(table.spec.size).Key("dim").Whole(table.spec.dim).EndObject();
  }
  json.EndList().Key("files").BeginList();
  for (const SnapshotFile& file : manifest.files) {
    json.BeginObject().Key("name").Text(file.name).Key("bytes").Whole(file.bytes);
    json.Key("content").Text(Hex(file.content)).EndObject();
  }
  return json.EndList().EndObject().Take();
}

std::string Describe(const Manifest& manifest) {
  std::string text = "job " + manifest.name + ", snapshot " + std::to_string(manifest.number) +
                     ", " + TimeWords(manifest.time_ms) + "\ngeneration " +
                     std::to_string(manifest.view.generation.value) + ", view " +
                     std::to_string(manifest.view.number.value) + ", content " +
                     Hex(ContentOf(manifest)) + "\n\n";
  std::vector<TableRow> rows = {{"rank", "step"}};
  for (const RankState& state : manifest.cut) {
    rows.push_back({std::to_string(state.rank.value), Count(state.ended)});
  }
  text += AlignTable(rows) + "\n";
  rows = {{"table", "kind", "size"}};
  for (const TablePlace& table : manifest.view.tables) {
    const TableSpec& spec = table.spec;
    rows.push_back({spec.name, spec.sparse() ? "sparse" : "dense",
                    spec.sparse() ? "rows of " + std::to_string(spec.dim) : Count(spec.size)});
  }
  text += AlignTable(rows) + "\n";
  rows = {{"file", "bytes", "content"}};
  for (const SnapshotFile& file : manifest.files) {
    rows.push_back({file.name, Count(file.bytes), Hex(file.content)});
  }
  return text + AlignTable(rows);
}

}  // namespace

Result<> RunSnapshotLs(const SnapshotLsFlags& flags, const Console& console) {
  std::error_code why;
  if (!std::filesystem::is_directory(flags.folder, why)) {
    return Error{ErrorCode::kUnavailable,
                 flags.folder + ": there is no such folder; name the one of snapshot.to"};
  }
  PosixFiles files;
  FolderStore store(files, flags.folder);
  const std::vector<FoundSnapshot> found = SM_TRY(ListSnapshots(store, ""));
  JsonWriter json;
  json.BeginList();
  std::vector<TableRow> rows = {{"snapshot", "time", "shards", "bytes", "content"}};
  for (const FoundSnapshot& one : found) {
    const std::string name = one.folder().substr(0, one.folder().size() - 1);
    json.BeginObject().Key("snapshot").Text(name);
    if (one.manifest) {
      const Manifest& manifest = *one.manifest;
      WriteSummary(manifest, json);
      rows.push_back({name, TimeWords(manifest.time_ms), std::to_string(manifest.files.size()),
                      config::FormatSize(BytesOf(manifest)), Hex(ContentOf(manifest))});
    } else {
      json.Key("problem").Text(one.problem);
      rows.push_back({name, "-", "-", "-", one.problem});
    }
    json.EndObject();
  }
  json.EndList();
  console.out << (flags.json ? json.Take() + "\n" : AlignTable(rows)) << std::flush;
  return {};
}

Result<> RunSnapshotShow(const SnapshotShowFlags& flags, const Console& console) {
  PosixFiles files;
  const NamedSnapshot named = SM_TRY(FindSnapshot(files, flags.snapshot));
  FolderStore store(files, named.root);
  const Manifest manifest = SM_TRY(ReadManifest(store, named.folder));
  console.out << (flags.json ? ToJson(manifest) + "\n" : Describe(manifest)) << std::flush;
  return {};
}

Result<> RunSnapshotVerify(const SnapshotVerifyFlags& flags, const Console& console) {
  PosixFiles files;
  const NamedSnapshot named = SM_TRY(FindSnapshot(files, flags.snapshot));
  FolderStore store(files, named.root);
  const VerifyReport report = SM_TRY(VerifySnapshot(store, named.folder));
  if (flags.json) {
    JsonWriter json;
    json.BeginObject().Key("snapshot").Text(named.folder).Key("files").Whole(report.files);
    json.Key("bytes").Whole(report.bytes).Key("floats").Whole(report.floats);
    json.Key("rows").Whole(report.rows).Key("content").Text(Hex(report.content));
    json.Key("problems").BeginList();
    for (const std::string& problem : report.problems) json.Text(problem);
    console.out << json.EndList().EndObject().Take() << "\n" << std::flush;
  } else {
    for (const std::string& problem : report.problems) console.out << problem << "\n";
    // Of files that are not sound nothing is counted, and the hash of the rest is nobody's.
    const bool sound = report.problems.empty();
    console.out << Count(report.files) << (report.files == 1 ? " file, " : " files, ")
                << Count(report.bytes) << " bytes: " << Count(report.floats) << " floats and "
                << Count(report.rows)
                << (sound ? " rows are sound, content " + Hex(report.content)
                          : " rows of the files that can be read")
                << "\n"
                << std::flush;
  }
  if (report.problems.empty()) return {};
  return Error{ErrorCode::kFailed,
               Count(report.problems.size()) + " of " + Count(report.files) + " files of " +
                   store.PlaceOf(named.folder) +
                   " are not sound: restore an older snapshot, or a copy of this one"};
}

Result<> RunSnapshotExport(const SnapshotExportFlags& flags, const Console& console) {
  PosixFiles files;
  const NamedSnapshot named = SM_TRY(FindSnapshot(files, flags.snapshot));
  FolderStore store(files, named.root);
  Snapshot snapshot = SM_TRY(Snapshot::Open(store, named.folder));
  const auto [folder, name] = SplitPath(flags.file);
  FolderStore to(files, folder);
  if (to.Size(name).ok()) {
    return Error{ErrorCode::kBadUsage, flags.file + ": it is there already; remove it first"};
  }
  SM_TRY(ExportSnapshot(snapshot, flags.state, to, name));
  console.out << flags.file << "\n" << std::flush;
  return {};
}

}  // namespace shardmill
