#include "worker/data/gzip.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/worker/data/files.h"

namespace shardmill {
namespace {

constexpr uint64_t kBytesMax = uint64_t{8} << 20;

// More than the reader takes at once, and not all the same.
std::vector<uint8_t> ManyBytes() {
  std::vector<uint8_t> bytes((uint64_t{3} << 20) + 17);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i >> 7);
  return bytes;
}

std::string MessageOf(const Result<std::vector<uint8_t>>& result) {
  return result.ok() ? "" : result.error().message;
}

TEST(GzipTest, ReadsPackedAndPlainFilesAlike) {
  const TestFolder folder;
  const std::vector<uint8_t> bytes = ManyBytes();
  EXPECT_EQ(ReadMaybeGzip(folder.Write("plain", bytes), kBytesMax).value(), bytes);
  EXPECT_EQ(ReadMaybeGzip(folder.WriteGzip("packed", bytes), kBytesMax).value(), bytes);
  EXPECT_EQ(ReadMaybeGzip(folder.Write("nothing", {}), kBytesMax).value().size(), 0U);
}

TEST(GzipTest, TellsAFileThatIsNotThereFromOneThatIsWrong) {
  const TestFolder folder;
  const auto missing = ReadMaybeGzip(folder.path() + "/none", kBytesMax);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(missing.error().message, folder.path() + "/none: there is no such file");
  const auto directory = ReadMaybeGzip(folder.path(), kBytesMax);
  ASSERT_FALSE(directory.ok());
  EXPECT_EQ(directory.error().code, ErrorCode::kBadInput);
}

TEST(GzipTest, NoticesAStreamThatIsCutOffAnywhere) {
  const TestFolder folder;
  const std::vector<uint8_t> packed = Gzipped(std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7});
  for (size_t size = 2; size < packed.size(); ++size) {
    const auto result =
        ReadMaybeGzip(folder.Write("cut", std::span(packed).first(size)), kBytesMax);
    EXPECT_NE(MessageOf(result).find("cut off"), std::string::npos) << size;
  }
}

TEST(GzipTest, NoticesBytesThatWereChanged) {
  const TestFolder folder;
  const std::vector<uint8_t> packed = Gzipped(ManyBytes());
  // The header's id of the method, a byte within, the checksum, the length.
  for (const size_t place : {size_t{2}, packed.size() / 2, packed.size() - 8, packed.size() - 1}) {
    std::vector<uint8_t> changed = packed;
    changed[place] ^= 0x5a;
    EXPECT_FALSE(ReadMaybeGzip(folder.Write("changed", changed), kBytesMax).ok()) << place;
  }
}

TEST(GzipTest, NoticesBytesAfterTheEnd) {
  const TestFolder folder;
  std::vector<uint8_t> packed = Gzipped(std::vector<uint8_t>{1, 2, 3});
  packed.insert(packed.end(), 5, 0);
  const auto result = ReadMaybeGzip(folder.Write("long", packed), kBytesMax);
  EXPECT_NE(MessageOf(result).find("5 bytes follow the end"), std::string::npos);
}

TEST(GzipTest, StopsAtTheLimitWhateverTheFileUnpacksTo) {
  const TestFolder folder;
  const std::vector<uint8_t> zeros(uint64_t{64} << 20);
  const std::string path = folder.WriteGzip("bomb", zeros);
  EXPECT_NE(MessageOf(ReadMaybeGzip(path, 1000)).find("more than 1000 bytes"), std::string::npos);
  const std::string plain = folder.Write("plain", std::span(zeros).first(1001));
  EXPECT_NE(MessageOf(ReadMaybeGzip(plain, 1000)).find("more than 1000 bytes"), std::string::npos);
  EXPECT_TRUE(ReadMaybeGzip(plain, 1001).ok());
}

}  // namespace
}  // namespace shardmill
