#include "snapshot/snapshot.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "common/blob/folder_store.h"
#include "common/blob/memory_files.h"
#include "common/blob/posix_files.h"
#include "snapshot/export.h"
#include "snapshot/verify.h"
#include "tests/snapshot/world.h"

namespace shardmill {
namespace {

struct Disk {
  MemoryFiles files{1};
  FolderStore store{files, "disk"};
};

// What [begin, end) of both tables reads as, and compares it with what there is.
Result<> Restore(BlobStore& store, uint64_t number, uint64_t shards) {
  Snapshot snapshot = SM_TRY(Snapshot::Open(store, FolderOf("job", number)));
  std::map<uint64_t, int> keys;
  for (uint64_t shard = 0; shard < shards; ++shard) {
    uint64_t counted = 0;
    const auto cuts = EvenCuts(kFloats, shards);
    SM_TRY(snapshot.ReadTable(TableId{1}, cuts[shard], cuts[shard + 1],
                              [&](TablePiece piece) -> Result<> {
                                if (const auto* dense = std::get_if<DensePiece>(&piece)) {
                                  const std::span<const float> floats = dense->floats.floats();
                                  for (size_t i = 0; i < floats.size(); ++i) {
                                    EXPECT_EQ(floats[i], ValueAt(dense->slot, dense->begin + i));
                                  }
                                  counted += floats.size();
                                } else {
                                  for (const UpdateRun& run : std::get<UpdateRuns>(piece)) {
                                    EXPECT_EQ(run.updates, UpdatesAt(run.begin));
                                    EXPECT_EQ(run.updates, UpdatesAt(run.end - 1));
                                  }
                                }
                                return {};
                              }));
    EXPECT_EQ(counted, 3 * (cuts[shard + 1] - cuts[shard]));
    const auto buckets = EvenCuts(kBuckets, shards);
    SM_TRY(snapshot.ReadTable(
        TableId{4}, buckets[shard], buckets[shard + 1], [&](TablePiece piece) -> Result<> {
          const RowBatch& rows = std::get<RowBatch>(piece);
          const auto names = rows.keys.keys();
          for (size_t i = 0; i < names.size(); ++i) {
            ++keys[names[i]];
            EXPECT_EQ(rows.values.floats()[i * kDim + 1], ValueAt(1, names[i]));
            EXPECT_EQ(rows.state.floats()[i * kState + 3], ValueAt(kDim + 3, names[i]));
          }
          return {};
        }));
  }
  EXPECT_EQ(keys.size(), kRows);
  for (const auto& [key, times] : keys) EXPECT_EQ(times, 1) << key;
  return {};
}

TEST(SnapshotTest, RestoresToAnyNumberOfShardsBitForBitWithOneHash) {
  Disk disk;
  std::vector<uint64_t> contents;
  for (const uint32_t saved : {1U, 2U, 3U, 5U}) {
    const Result<Manifest> manifest = Save(disk.store, saved, saved);
    ASSERT_TRUE(manifest.ok()) << manifest.error().message;
    contents.push_back(ContentOf(manifest.value()));
    for (const uint64_t shards : {1, 2, 3, 5}) {
      const Result<> restored = Restore(disk.store, saved, shards);
      ASSERT_TRUE(restored.ok()) << restored.error().message;
    }
    const Result<VerifyReport> report = VerifySnapshot(disk.store, FolderOf("job", saved));
    ASSERT_TRUE(report.ok());
    EXPECT_TRUE(report.value().problems.empty());
    EXPECT_EQ(report.value().floats, kFloats);
    EXPECT_EQ(report.value().rows, kRows);
    EXPECT_EQ(report.value().content, contents.front());
  }
  EXPECT_EQ(contents, std::vector<uint64_t>(4, contents.front()));
}

TEST(SnapshotTest, FindsEveryFlippedBitAndEveryMissingByte) {
  Disk disk;
  ASSERT_TRUE(Save(disk.store, 1, 2).ok());
  const std::string folder = FolderOf("job", 1);
  Rng rng(5);
  const auto damaged = [&] {
    const Result<VerifyReport> report = VerifySnapshot(disk.store, folder);
    return !report.ok() || !report.value().problems.empty();
  };
  for (const char* name : {"manifest", "shard-0.safetensors", "shard-1.safetensors"}) {
    const std::string path = "disk/" + folder + name;
    const uint64_t bytes = disk.files.Size(path).value();
    for (int i = 0; i < 1500; ++i) {
      const uint64_t at = rng.Below(bytes);
      const auto bits = static_cast<std::byte>(1 + rng.Below(255));
      disk.files.Spoil(path, at, bits);
      ASSERT_TRUE(damaged()) << name << " byte " << at;
      disk.files.Spoil(path, at, bits);
    }
    ASSERT_FALSE(damaged());
  }
  for (const char* name : {"shard-1.safetensors", "manifest"}) {
    const std::string path = "disk/" + folder + name;
    for (uint64_t bytes = disk.files.Size(path).value(); bytes > 0;) {
      bytes -= 1 + rng.Below(std::min<uint64_t>(bytes, 7));
      disk.files.Truncate(path, bytes);
      ASSERT_TRUE(damaged()) << name << " of " << bytes;
    }
  }
}

TEST(SnapshotTest, IsWholeOldOrWholeNewAfterACrashAtAnyChange) {
  uint64_t changes = 0;
  {
    Disk disk;
    ASSERT_TRUE(Save(disk.store, 1, 2).ok());
    changes = disk.files.changes();
  }
  uint64_t complete = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (uint64_t at = 1; at <= changes; ++at) {
      MemoryFiles files(seed * 1000 + at);
      FolderStore store(files, "disk");
      ASSERT_TRUE(Save(store, 1, 3).ok());
      files.CrashAfter(at);
      const bool said = Save(store, 2, 2).ok();
      files.Restart();
      const auto found = ListSnapshots(store, "job");
      ASSERT_TRUE(found.ok());
      ASSERT_GE(found.value().size(), said ? 2U : 1U);
      for (const FoundSnapshot& one : found.value()) {
        const Result<VerifyReport> report = VerifySnapshot(store, one.folder());
        ASSERT_TRUE(report.ok()) << report.error().message;
        ASSERT_TRUE(report.value().problems.empty()) << report.value().problems.front();
      }
      complete += found.value().size() - 1;
      ASSERT_TRUE(RemoveIncomplete(store, ManifestOf(3, 2)).ok());
      ASSERT_EQ(ListSnapshots(store, "job").value().size(), found.value().size());
      ASSERT_TRUE(Save(store, 3, 2).ok());
    }
  }
  EXPECT_GT(complete, 0U);
}

uint64_t FilesIn(MemoryFiles& files, const std::string& folder) {
  return files.ListFolder("disk/" + folder).value().size();
}

// It had no file yet that anybody could see, and so its number was free.
TEST(SnapshotTest, RemovesWhatAKilledWriterOfTheSameNumberLeft) {
  uint64_t left = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    MemoryFiles files(seed);
    FolderStore store(files, "disk");
    ASSERT_TRUE(Save(store, 1, 2).ok());
    files.CrashAfter(8);
    ASSERT_FALSE(Save(store, 2, 2).ok());
    files.Restart();
    ASSERT_EQ(HighestNumber(store, "job").value(), 1U);
    left += FilesIn(files, FolderOf("job", 2));
    const Result<Manifest> saved = Save(store, 2, 2);
    ASSERT_TRUE(saved.ok());
    ASSERT_TRUE(CleanUp(store, saved.value(), {}, 0).ok());
    EXPECT_EQ(FilesIn(files, FolderOf("job", 2)), 3U) << seed;
  }
  EXPECT_GT(left, 0U);
}

TEST(SnapshotTest, IsNotThereWhenAFileDidNotReachTheDisk) {
  for (uint64_t sync = 1; sync <= 3; ++sync) {
    Disk disk;
    disk.files.FailSyncAfter(sync);
    EXPECT_FALSE(Save(disk.store, 1, 2).ok());
    EXPECT_TRUE(ListSnapshots(disk.store, "").value().empty());
  }
}

TEST(SnapshotTest, KeepsByCountAndAgeAndAlwaysTheNewest) {
  Disk disk;
  for (uint64_t number = 1; number <= 4; ++number) ASSERT_TRUE(Save(disk.store, number, 1).ok());
  const auto found = ListSnapshots(disk.store, "job").value();
  const auto numbers = [](const std::vector<FoundSnapshot>& list) {
    std::vector<uint64_t> out;
    for (const FoundSnapshot& one : list) out.push_back(one.number);
    return out;
  };
  EXPECT_EQ(numbers(Expired(found, {.count_max = 2}, 0)), (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(numbers(Expired(found, {.age_ms_max = 1}, 2'000'000'000'000)),
            (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_TRUE(Expired(found, {}, 2'000'000'000'000).empty());
  ASSERT_TRUE(RemoveSnapshot(disk.store, found[0].folder()).ok());
  EXPECT_EQ(numbers(ListSnapshots(disk.store, "job").value()), (std::vector<uint64_t>{2, 3, 4}));
}

TEST(SnapshotTest, RefusesACutThatNamesARankTwiceOrOutOfOrder) {
  Disk disk;
  Manifest manifest = Save(disk.store, 1, 1).value();
  const std::vector<RankState> cut = {{WorkerId{0}, 5}, {WorkerId{1}, 5}};
  manifest.cut = cut;
  EXPECT_TRUE(DecodeManifest(EncodeManifest(manifest)).ok());
  manifest.cut = {cut[1], cut[0]};
  EXPECT_FALSE(DecodeManifest(EncodeManifest(manifest)).ok());
  manifest.cut = {cut[0], cut[0]};
  const Result<Manifest> twice = DecodeManifest(EncodeManifest(manifest));
  ASSERT_FALSE(twice.ok());
  EXPECT_NE(twice.error().message.find("each rank once"), std::string::npos);
}

TEST(SnapshotTest, ProvesThatAFolderIsSeenByAll) {
  Disk disk;
  EXPECT_FALSE(CheckToken(disk.store, "job", JobId{5}).ok());
  ASSERT_TRUE(LeaveToken(disk.store, "job", JobId{5}).ok());
  EXPECT_TRUE(CheckToken(disk.store, "job", JobId{5}).ok());
  EXPECT_FALSE(CheckToken(disk.store, "job", JobId{6}).ok());
  EXPECT_TRUE(ListSnapshots(disk.store, "").value().empty());
}

TEST(SnapshotTest, KnowsWhenAnotherJobHasTakenItsFolder) {
  Disk disk;
  EXPECT_TRUE(KeepToken(disk.store, "job", JobId{5}).ok());
  EXPECT_TRUE(KeepToken(disk.store, "job", JobId{5}).ok());
  const Result<> other = KeepToken(disk.store, "job", JobId{6});
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("another job of this name"), std::string::npos);
}

TEST(SnapshotTest, CleansUpItsOwnJobsAndThoseBeforeItAndLeavesOthersOfTheName) {
  Disk disk;
  for (uint64_t number = 1; number <= 5; ++number) {
    Manifest manifest = Save(disk.store, number, 1).value();
    manifest.job = JobId{number <= 2 ? 70 + number : 77};
    if (manifest.job == JobId{77}) manifest.line = {JobId{72}};
    ASSERT_TRUE(WriteManifest(disk.store, manifest).ok());
  }
  const Manifest newest = ReadManifest(disk.store, FolderOf("job", 5)).value();
  ASSERT_EQ(newest.line, std::vector<JobId>{JobId{72}});
  ASSERT_TRUE(CleanUp(disk.store, newest, {.count_max = 2}, 0).ok());
  std::vector<uint64_t> left;
  const std::vector<FoundSnapshot> found = ListSnapshots(disk.store, "job").value();
  for (const FoundSnapshot& one : found) {
    left.push_back(one.number);
  }
  EXPECT_EQ(left, (std::vector<uint64_t>{1, 4, 5}));
}

TEST(SnapshotTest, CleansUpWhatItsOwnJobHasNotCompletedAndLeavesWhatAnotherIsWriting) {
  Disk disk;
  for (const uint64_t number : {1U, 2U}) {
    Manifest manifest = ManifestOf(number, 1);
    manifest.job = JobId{75 + number};
    ASSERT_TRUE(SaveShard(disk.store, manifest, 0).ok());
  }
  const Manifest newest = Save(disk.store, 3, 1).value();
  ASSERT_EQ(newest.job, JobId{77});
  ASSERT_TRUE(CleanUp(disk.store, newest, {}, 0).ok());
  EXPECT_TRUE(disk.store.Size(FolderOf("job", 1) + "shard-0.safetensors").ok());
  EXPECT_FALSE(disk.store.Size(FolderOf("job", 2) + "shard-0.safetensors").ok());
}

// The reader in tests/snapshot/read_tensors.py goes by the format's rules alone.
TEST(SnapshotTest, ExportsWhatAnIndependentReaderReads) {
  PosixFiles files;
  FolderStore store(files, testing::TempDir() + "/snapshots");
  ASSERT_TRUE(Save(store, 7, 3).ok());
  Snapshot snapshot = std::move(Snapshot::Open(store, FolderOf("job", 7)).value());
  const Result<> exported = ExportSnapshot(snapshot, true, store, "all.safetensors");
  ASSERT_TRUE(exported.ok()) << exported.error().message;
  const std::string command =
      "python3 tests/snapshot/read_tensors.py " + store.PlaceOf("all.safetensors");
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace shardmill
