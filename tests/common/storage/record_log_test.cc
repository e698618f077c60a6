#include "common/storage/record_log.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/blob/memory_files.h"
#include "common/blob/posix_files.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

class RecordLogTest : public testing::Test {
 protected:
  RecordLogTest() {
    const char* name = testing::UnitTest::GetInstance()->current_test_info()->name();
    path_ = testing::TempDir() + name;
  }

  Result<std::unique_ptr<RecordLog>> Open() {
    records_.clear();
    return RecordLog::Open(files_, path_, [this](std::span<const std::byte> record) -> Result<> {
      records_.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
      return {};
    });
  }
  // Opens, or fails the test.
  std::unique_ptr<RecordLog> Opened() {
    auto log = Open();
    EXPECT_TRUE(log.ok()) << log.error().message;
    return log.ok() ? std::move(log).value() : nullptr;
  }
  static std::span<const std::byte> Bytes(const std::string& text) {
    return std::as_bytes(std::span(text));
  }
  std::string Content() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }
  void Replace(const std::string& content) const {
    std::ofstream(path_, std::ios::trunc) << content;
  }

  PosixFiles files_;
  std::string path_;
  std::vector<std::string> records_;
};

TEST_F(RecordLogTest, GivesBackWhatWasAppendedInOrder) {
  ASSERT_TRUE(Opened()->Append(Bytes("one")).ok());
  auto log = Opened();
  EXPECT_EQ(records_, std::vector<std::string>({"one"}));
  ASSERT_TRUE(log->Append(Bytes("two")).ok());
  ASSERT_TRUE(log->Append(Bytes(std::string(100000, 'x'))).ok());
  log.reset();
  EXPECT_EQ(Opened()->bytes(), fs::file_size(path_));
  EXPECT_EQ(records_, std::vector<std::string>({"one", "two", std::string(100000, 'x')}));
}

TEST_F(RecordLogTest, RewritesAllAsOne) {
  auto log = Opened();
  for (const char* text : {"one", "two", "three"}) ASSERT_TRUE(log->Append(Bytes(text)).ok());
  ASSERT_TRUE(log->Rewrite(Bytes("all")).ok());
  ASSERT_TRUE(log->Append(Bytes("four")).ok());
  log.reset();
  Opened();
  EXPECT_EQ(records_, std::vector<std::string>({"all", "four"}));
}

TEST_F(RecordLogTest, RefusesARecordOfNothing) { EXPECT_FALSE(Opened()->Append({}).ok()); }

// However much of the last record reached the disk, those before it are there, and it is not.
TEST_F(RecordLogTest, CutsOffWhatACrashLeftHalfWritten) {
  auto log = Opened();
  ASSERT_TRUE(log->Append(Bytes("before")).ok());
  const uint64_t whole = log->bytes();
  ASSERT_TRUE(log->Append(Bytes("the last one")).ok());
  log.reset();
  const std::string content = Content();
  for (uint64_t size = whole; size < content.size(); ++size) {
    // Cut short, or as long as it should be and filled up with zeros.
    for (const bool filled : {false, true}) {
      std::string torn = content.substr(0, size);
      if (filled) torn.resize(content.size());
      Replace(torn);
      ASSERT_NE(Opened(), nullptr) << size;
      ASSERT_EQ(records_, std::vector<std::string>({"before"})) << size;
      ASSERT_EQ(Content(), content.substr(0, whole)) << size;
    }
  }
}

// The system writes sectors in any order.
TEST_F(RecordLogTest, CutsOffARecordOfWhichAnySectorIsMissing) {
  constexpr size_t kSector = 512;
  for (const size_t before : {1, 470, 480, 485, 490, 500}) {
    fs::remove(path_);
    auto log = Opened();
    ASSERT_TRUE(log->Append(Bytes(std::string(before, 'b'))).ok());
    const uint64_t whole = log->bytes();
    ASSERT_TRUE(log->Append(Bytes(std::string(1500, 'x'))).ok());
    log.reset();
    const std::string content = Content();
    for (size_t sector = whole / kSector; sector * kSector < content.size(); ++sector) {
      std::string torn = content;
      for (size_t i = sector * kSector; i < std::min(torn.size(), (sector + 1) * kSector); ++i) {
        if (i >= whole) torn[i] = 0;
      }
      Replace(torn);
      ASSERT_NE(Opened(), nullptr) << before << " " << sector;
      ASSERT_EQ(records_, std::vector<std::string>({std::string(before, 'b')}));
    }
  }
}

// Unless there is a record behind it, which was written when it was whole.
TEST_F(RecordLogTest, SaysThatASectorInTheMiddleIsLost) {
  auto log = Opened();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(log->Append(Bytes(std::string(1500, 'x'))).ok());
  log.reset();
  std::string lost = Content();
  std::fill_n(lost.begin() + 8, 504, '\0');
  Replace(lost);
  EXPECT_FALSE(Open().ok());
}

TEST_F(RecordLogTest, BeginsAnewWhereACrashCameWhileItWasMade) {
  Opened().reset();
  const std::string content = Content();
  for (size_t size = 0; size < content.size(); ++size) {
    Replace(content.substr(0, size));
    ASSERT_NE(Opened(), nullptr) << size;
    ASSERT_EQ(Content(), content);
  }
}

// But for the last record: what a crash leaves of it cannot be told from damage.
TEST_F(RecordLogTest, SaysThatAndWhereItIsDamaged) {
  auto log = Opened();
  for (const char* text : {"one", "two", "three"}) ASSERT_TRUE(log->Append(Bytes(text)).ok());
  const uint64_t end = log->bytes() - std::string("three").size();
  log.reset();
  const std::string content = Content();
  for (size_t at = 0; at < content.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = content;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      Replace(damaged);
      const auto opened = Open();
      ASSERT_EQ(opened.ok(), at >= end) << at;
      if (opened.ok()) {
        ASSERT_EQ(records_, std::vector<std::string>({"one", "two"}));
      } else {
        ASSERT_EQ(opened.error().code, ErrorCode::kBadInput);
      }
    }
  }
}

TEST_F(RecordLogTest, SaysWhatIsNoLog) {
  Opened().reset();
  Replace("something else altogether");
  const auto opened = Open();
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("is no log"), std::string::npos);
}

// A full disk, as a file that may not grow.
TEST_F(RecordLogTest, TakesNothingMoreAfterAnError) {
  auto log = Opened();
  ASSERT_TRUE(log->Append(Bytes("one")).ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  const rlimit full{log->bytes() + 3, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const Result<> appended = log->Append(Bytes("two"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(appended.ok());
  EXPECT_NE(appended.error().message.find(path_), std::string::npos) << appended.error().message;
  EXPECT_FALSE(log->Append(Bytes("three")).ok());
  EXPECT_FALSE(log->Rewrite(Bytes("all")).ok());
  log.reset();
  Opened();
  EXPECT_EQ(records_, std::vector<std::string>({"one"}));
}

// A machine that dies at any change, and comes back with what its disk has kept.
TEST(CrashingRecordLogTest, KeepsAllThatWasAppendedAndNothingThatNeverWas) {
  constexpr int kRecords = 30;
  constexpr int kRewrittenEvery = 8;
  int crashes = 0;
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    MemoryFiles files(seed);
    files.CrashAfter(1 + seed % 80);
    int appended = 0;
    auto before = RecordLog::Open(files, "log", [](auto) { return Result<>(); });
    for (; before.ok() && appended < kRecords; ++appended) {
      const std::string text = "record " + std::to_string(appended);
      const auto record = std::as_bytes(std::span(text));
      const bool rewrites = appended % kRewrittenEvery == kRewrittenEvery - 1;
      RecordLog& log = *before.value();
      if (!(rewrites ? log.Rewrite(record) : log.Append(record)).ok()) break;
    }
    crashes += appended < kRecords ? 1 : 0;
    files.Restart();
    std::vector<std::string> kept;
    const auto log = RecordLog::Open(files, "log", [&](std::span<const std::byte> record) {
      kept.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
      return Result<>();
    });
    ASSERT_TRUE(log.ok()) << seed << ": " << log.error().message;
    // The one that was under way may be there.
    const int last = kept.empty() ? -1 : std::stoi(kept.back().substr(kept.back().find(' ')));
    ASSERT_GE(last, appended - 1) << seed;
    ASSERT_LE(last, appended) << seed;
    for (size_t i = 1; i < kept.size(); ++i) {
      ASSERT_EQ(kept[i], "record " + std::to_string(last - static_cast<int>(kept.size() - 1 - i)))
          << seed;
    }
  }
  EXPECT_GT(crashes, 1000);
}

// A later sync of the same file says that all is well, and the disk has a hole.
TEST(CrashingRecordLogTest, GoesOnInAnotherFileAfterASyncThatFailed) {
  MemoryFiles files(1);
  std::vector<std::string> records;
  const auto open = [&] {
    records.clear();
    return RecordLog::Open(files, "log", [&](std::span<const std::byte> record) -> Result<> {
      records.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
      return {};
    });
  };
  const auto bytes = [](const char* text) { return std::as_bytes(std::span(text, 3)); };
  {
    const auto log = open();
    ASSERT_TRUE(log.ok());
    ASSERT_TRUE(log.value()->Append(bytes("one")).ok());
    files.FailSyncAfter(1);
    EXPECT_FALSE(log.value()->Append(bytes("two")).ok());
  }
  {
    const auto log = open();  // The next process, on a machine that lives.
    ASSERT_TRUE(log.ok());
    ASSERT_EQ(records, std::vector<std::string>({"one", "two"}));
    ASSERT_TRUE(log.value()->Append(bytes("six")).ok());
  }
  files.Restart();
  const auto log = open();
  ASSERT_TRUE(log.ok()) << log.error().message;
  EXPECT_EQ(records, std::vector<std::string>({"one", "two", "six"}));
}

TEST(CrashingRecordLogTest, TakesNothingMoreAfterASyncThatFailed) {
  MemoryFiles files(1);
  const auto log = RecordLog::Open(files, "log", [](auto) { return Result<>(); });
  ASSERT_TRUE(log.ok());
  const auto record = std::as_bytes(std::span("one", 3));
  ASSERT_TRUE(log.value()->Append(record).ok());
  files.FailSyncAfter(1);
  EXPECT_FALSE(log.value()->Append(record).ok());
  EXPECT_FALSE(log.value()->Append(record).ok());
}

}  // namespace
}  // namespace shardmill
