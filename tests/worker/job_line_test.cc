#include "worker/job_line.h"

#include <gtest/gtest.h>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "snapshot/folder.h"
#include "worker/local_snapshot.h"

namespace shardmill {
namespace {

class NoImages final : public LocalImages {
 public:
  bool Has(size_t) const override { return false; }
  Result<DenseImage> Image(size_t) override { return DenseImage{}; }
  std::vector<uint64_t> Keys(size_t) const override { return {}; }
  Result<RowBatch> RowImages(size_t, std::span<const uint64_t>, uint64_t) override {
    return RowBatch{};
  }
};

const Columns kColumns{{.name = "label", .kind = ColumnKind::kIds}};

TEST(JobLineTest, IsOfTheSnapshotThatTheJobBeginsFrom) {
  JobOptions job;
  job.job.name = "fruit";
  job.snapshot.to = testing::TempDir() + "job_line";
  NoImages none;
  const FileLock lock = LockSnapshots(job).value();
  EXPECT_EQ(LockSnapshots(job).error().code, ErrorCode::kUnavailable);
  for (uint64_t number = 1; number <= 2; ++number) {
    ASSERT_EQ(WriteLocalSnapshot(job, {}, kColumns, none, {.job = number, .steps = 10}).value(),
              number);
  }
  PosixFiles files;
  FolderStore store(files, job.snapshot.to);
  const uint64_t first = ReadManifest(store, FolderOf("fruit", 1)).value().job.value;
  Manifest second = ReadManifest(store, FolderOf("fruit", 2)).value();
  second.line = {JobId{first}};
  ASSERT_TRUE(WriteManifest(store, second).ok());
  EXPECT_TRUE(JobLine(job).empty()) << "it begins anew";
  job.snapshot.resume = "1";
  EXPECT_EQ(JobLine(job), (std::vector<uint64_t>{first}));
  job.snapshot.resume = "latest";
  EXPECT_EQ(JobLine(job), (std::vector<uint64_t>{first, second.job.value}));
  job.snapshot.resume = "3";
  EXPECT_TRUE(JobLine(job).empty());
  job.job.name = "fruit-2";
  job.snapshot.resume = "latest";
  EXPECT_TRUE(JobLine(job).empty());
}

}  // namespace
}  // namespace shardmill
