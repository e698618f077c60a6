// Files that come back otherwise than they were written: bits flipped, ends missing. Each trial
// writes a coordinator's log, a shard's log or a snapshot, as files, and damages it a hundred
// times, each time another way. Nothing of what is damaged may be taken for what it was.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "common/storage/record_log.h"
#include "server/shard_log.h"
#include "snapshot/snapshot.h"
#include "snapshot/verify.h"
#include "tests/common/wire/codec.h"
#include "tests/common/wire/random_packet.h"
#include "tests/snapshot/world.h"
#include "tests/system/chaos/campaign.h"
#include "tests/system/chaos/log_judge.h"

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

// One kind of log.
struct LogKind {
  const char* name;
  Result<Written> (*write)(Rng& rng, const std::string& path);
  Result<Records> (*read)(const std::string& path);
};

Result<Records> ReadRecords(const std::string& path) {
  PosixFiles files;
  Records records;
  SM_TRY(RecordLog::Open(files, path, [&](std::span<const std::byte> record) -> Result<> {
    records.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
    return {};
  }));
  return records;
}

Result<Written> WriteRecords(Rng& rng, const std::string& path) {
  PosixFiles files;
  const auto log =
      SM_TRY(RecordLog::Open(files, path, [](std::span<const std::byte>) { return Result<>(); }));
  Written written;
  for (uint64_t count = 3 + rng.Below(6); count > 0; --count) {
    std::string& record = written.records.emplace_back(1 + rng.Below(300), '\0');
    for (char& byte : record) byte = static_cast<char>(rng.Next());
    written.writes.push_back({SM_TRY(files.Size(path)), written.records.size() - 1});
    SM_TRY(log->Append(std::as_bytes(std::span(record))));
  }
  return written;
}

std::string BytesOf(const Stamp& stamp, const Follow& item) {
  std::string bytes;
  for (const Frame& frame : Encode({{{stamp, item}}})) {
    bytes.append(reinterpret_cast<const char*>(frame.bytes().data()), frame.size());
  }
  return bytes;
}

Result<Records> ReadItems(const std::string& path) {
  PosixFiles files;
  Records items;
  SM_TRY(ReadShardLog(files, path, TestFrames(), [&](const Stamp& stamp, Follow item) -> Result<> {
    items.push_back(BytesOf(stamp, item));
    return {};
  }));
  return items;
}

Result<Written> WriteItems(Rng& rng, const std::string& path) {
  constexpr Stamp kStamp{JobId{1}, Generation{2}, Term{3}, BootId{4}, BootId{}};
  PosixFiles files;
  const auto log = SM_TRY(ShardLogWriter::Begin(files, path, TestFrames()));
  Written written;
  written.head_bytes = kShardLogHeadBytes;
  for (uint64_t batch = 0, count = 3 + rng.Below(4); batch < count; ++batch) {
    std::vector<Follow> items;
    for (uint64_t kind = 0; items.size() < 1 + batch % 3; ++kind) {
      Message message = RandomMessage(rng, kind % std::variant_size_v<Message>);
      if (auto* item = std::get_if<Follow>(&message)) items.push_back(std::move(*item));
    }
    written.writes.push_back({log->bytes(), written.records.size()});
    for (const Follow& item : items) written.records.push_back(BytesOf(kStamp, item));
    SM_TRY(log->Append(kStamp, items, batch == 0));
  }
  return written;
}

constexpr LogKind kCoordinatorLog{"a coordinator's log", WriteRecords, ReadRecords};
constexpr LogKind kShardLog{"a shard's log", WriteItems, ReadItems};

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

Result<> DamageLog(const LogKind& kind, Rng& rng, const std::string& folder, Trial& trial) {
  const std::string path = folder + "/log";
  const Written written = SM_TRY(kind.write(rng, path));
  const std::string before = ReadText(path);
  for (uint64_t i = 0; i < kDamages; ++i) {
    const std::string damaged = Damage(rng, before);
    WriteText(path, damaged);
    Result<Records> read = kind.read(path);
    const std::string wrong =
        JudgeLog(written, before, damaged,
                 read.ok() ? std::optional(std::move(read).value()) : std::nullopt);
    if (!wrong.empty()) trial.violations.push_back(wrong);
  }
  WriteText(path, before);
  if (SM_TRY(kind.read(path)) != written.records) {
    trial.violations.push_back("a log that is whole is not read");
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
  const LogKind* log = seed % 3 == 0 ? &kCoordinatorLog : seed % 3 == 1 ? &kShardLog : nullptr;
  trial.cluster = log != nullptr ? log->name : "a snapshot of two shards";
  trial.totals.count = kDamages;
  const Result<> made = log != nullptr ? DamageLog(*log, rng, trial.folder, trial)
                                       : DamageSnapshot(rng, trial.folder, trial);
  if (!made.ok()) trial.violations.push_back(made.error().message);
}

}  // namespace

const Scenario kCorrupt{"corrupt", nullptr, nullptr, RunAlone};

}  // namespace shardmill::chaos
