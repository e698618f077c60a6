// Files that come back otherwise than they were written: bits flipped, ends missing. Each trial
// writes a coordinator's log and a snapshot, as files, and damages one of them a hundred times,
// each time another way. Nothing of what is damaged may be taken for what it was.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "common/storage/record_log.h"
#include "snapshot/snapshot.h"
#include "snapshot/verify.h"
#include "tests/snapshot/world.h"
#include "tests/system/chaos_campaign.h"

namespace shardmill::chaos {
namespace {

constexpr uint64_t kDamages = 100;
constexpr uint32_t kShards = 2;

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// Flips one to three bits, or takes something off the end.
std::string Damage(Rng& rng, std::string text) {
  if (rng.Chance(0.3)) {
    text.resize(rng.Below(text.size()));
    return text;
  }
  const std::string before = text;
  for (uint64_t flips = 1 + rng.Below(3); flips > 0; --flips) {
    text[rng.Below(text.size())] ^= static_cast<char>(1U << rng.Below(8));
  }
  if (text == before) text[0] ^= 1;  // Two flips of one bit.
  return text;
}

using Records = std::vector<std::string>;

Result<Records> ReadRecords(const std::string& path) {
  PosixFiles files;
  Records records;
  SM_TRY(RecordLog::Open(files, path, [&](std::span<const std::byte> record) -> Result<> {
    records.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
    return {};
  }));
  return records;
}

Result<Records> WriteLog(Rng& rng, const std::string& path) {
  PosixFiles files;
  const auto log =
      SM_TRY(RecordLog::Open(files, path, [](std::span<const std::byte>) { return Result<>(); }));
  Records records;
  for (uint64_t count = 3 + rng.Below(6); count > 0; --count) {
    std::string& record = records.emplace_back(1 + rng.Below(300), '\0');
    for (char& byte : record) byte = static_cast<char>(rng.Next());
    SM_TRY(log->Append(std::as_bytes(std::span(record))));
  }
  return records;
}

// What is wrong with how a damaged log was read; empty: nothing. Its last record may be taken for
// one that a crash has cut off, and is dropped then; so may be what a shorter file lacks.
std::string JudgeLog(const Records& written, const std::string& before, const std::string& damaged,
                     const std::string& path) {
  const Result<Records> read = ReadRecords(path);
  if (!read.ok()) return "";
  const Records& records = read.value();
  const bool prefix = records.size() <= written.size() &&
                      std::equal(records.begin(), records.end(), written.begin());
  if (!prefix) return "a damaged log was read as another";
  if (records.size() == written.size()) return "a damaged log was read as if it were whole";
  const auto [at, unused] = std::ranges::mismatch(damaged, before);
  constexpr uint64_t kHeadBytes = 12;
  const uint64_t last = before.size() - written.back().size() - kHeadBytes;
  const bool in_last = static_cast<uint64_t>(at - damaged.begin()) >= last;
  if (damaged.size() < before.size() || in_last) return "";
  return "damage before the last record of a log was taken for a write cut off";
}

// Whether any of a snapshot's tables can be read otherwise than it was.
std::string JudgeSnapshot(BlobStore& store, const std::string& folder, uint64_t content) {
  const Result<VerifyReport> report = VerifySnapshot(store, folder);
  if (report.ok() && report.value().problems.empty()) return "a damaged snapshot is verified";
  Result<Snapshot> snapshot = Snapshot::Open(store, folder);
  if (!snapshot.ok()) return "";
  if (ContentOf(snapshot.value().manifest()) != content) return "a damaged manifest is read";
  for (const TablePlace& table : snapshot.value().manifest().view.tables) {
    const Result<> read = snapshot.value().ReadTable(
        table.id, 0, table.cuts.back(), [&](TablePiece piece) -> Result<> {
          const auto* dense = std::get_if<DensePiece>(&piece);
          if (dense == nullptr) return {};
          const std::span<const float> floats = dense->floats.floats();
          for (size_t i = 0; i < floats.size(); ++i) {
            if (floats[i] == ValueAt(dense->slot, dense->begin + i)) continue;
            return Error{ErrorCode::kFailed, "a float that was never written is given out"};
          }
          return {};
        });
    if (!read.ok() && read.error().code == ErrorCode::kFailed) return read.error().message;
  }
  return "";
}

Result<> DamageLog(Rng& rng, const std::string& folder, Trial& trial) {
  const std::string path = folder + "/coordinator.log";
  const Records written = SM_TRY(WriteLog(rng, path));
  const std::string before = ReadText(path);
  for (uint64_t i = 0; i < kDamages; ++i) {
    const std::string damaged = Damage(rng, before);
    WriteText(path, damaged);
    const std::string wrong = JudgeLog(written, before, damaged, path);
    if (!wrong.empty()) trial.violations.push_back(wrong);
  }
  return {};
}

Result<> DamageSnapshot(Rng& rng, const std::string& folder, Trial& trial) {
  PosixFiles files;
  FolderStore store(files, folder);
  const Manifest manifest = SM_TRY(Save(store, 1, kShards));
  const std::string place = FolderOf(manifest.name, manifest.number);
  std::vector<std::string> names = {"manifest"};
  for (const SnapshotFile& file : manifest.files) names.push_back(file.name);
  const std::string path = store.PlaceOf(place + names[rng.Below(names.size())]);
  const std::string before = ReadText(path);
  for (uint64_t i = 0; i < kDamages; ++i) {
    WriteText(path, Damage(rng, before));
    const std::string wrong = JudgeSnapshot(store, place, ContentOf(manifest));
    if (!wrong.empty()) trial.violations.push_back(path + ": " + wrong);
  }
  WriteText(path, before);
  const VerifyReport whole = SM_TRY(VerifySnapshot(store, place));
  if (!whole.problems.empty()) trial.violations.push_back("a snapshot that is whole is not read");
  return {};
}

void RunAlone(uint64_t seed, const TrialPlaces& /*places*/, Trial& trial) {
  Rng rng(Mix(seed) ^ 0xc0552f7);
  std::filesystem::create_directories(trial.folder);
  const bool log = seed % 2 == 0;
  trial.cluster = log ? "a coordinator's log" : "a snapshot of two shards";
  trial.totals.count = kDamages;
  const Result<> made =
      log ? DamageLog(rng, trial.folder, trial) : DamageSnapshot(rng, trial.folder, trial);
  if (!made.ok()) trial.violations.push_back(made.error().message);
}

}  // namespace

const Scenario kCorrupt{"corrupt", nullptr, nullptr, RunAlone};

}  // namespace shardmill::chaos
