#include "worker/data/byte_source.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/worker/data/files.h"

namespace shardmill {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kBytesMax = uint64_t{8} << 20;

struct Format {
  const char* name;
  Bytes (*pack)(std::span<const uint8_t>);
};

constexpr Format kFormats[] = {
    {"gzip", Gzipped}, {"Zstandard", Zstandarded}, {"bzip2", Bzipped}, {"xz", Xzipped}};

// More than the reader takes at once, and not all the same.
Bytes ManyBytes() {
  Bytes bytes((uint64_t{3} << 20) + 17);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i >> 7);
  return bytes;
}

Result<Bytes> Unpack(const Bytes& packed, uint64_t bytes_max = kBytesMax) {
  const auto source = SourceOf(packed, "file");
  return ReadAll(*source, "file", bytes_max);
}

std::string MessageOf(const Result<Bytes>& result) {
  return result.ok() ? "" : result.error().message;
}

TEST(ByteSourceTest, ReadsPackedAndPlainFilesAlike) {
  const TestFolder folder;
  const Bytes bytes = ManyBytes();
  EXPECT_EQ(ReadWhole(folder.Write("plain", bytes), kBytesMax).value(), bytes);
  EXPECT_EQ(ReadWhole(folder.Write("nothing", {}), kBytesMax).value().size(), 0U);
  EXPECT_EQ(ReadWhole(folder.Write("short", Bytes{7}), kBytesMax).value(), Bytes{7});
  for (const Format& format : kFormats) {
    EXPECT_EQ(ReadWhole(folder.Write("packed", format.pack(bytes)), kBytesMax).value(), bytes)
        << format.name;
  }
}

TEST(ByteSourceTest, ReadsStreamsThatFollowEachOther) {
  for (const Format& format : kFormats) {
    Bytes twice = format.pack(Bytes{1, 2, 3});
    const Bytes second = format.pack(Bytes{4, 5});
    twice.insert(twice.end(), second.begin(), second.end());
    EXPECT_EQ(Unpack(twice).value(), (Bytes{1, 2, 3, 4, 5})) << format.name;
  }
}

TEST(ByteSourceTest, TellsAFileThatIsNotThereFromOneThatIsWrong) {
  const TestFolder folder;
  const auto missing = ReadWhole(folder.path() + "/none", kBytesMax);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(missing.error().message, folder.path() + "/none: there is no such file");
  const auto directory = ReadWhole(folder.path(), kBytesMax);
  ASSERT_FALSE(directory.ok());
  EXPECT_EQ(directory.error().code, ErrorCode::kBadInput);
}

TEST(ByteSourceTest, NoticesAStreamThatIsCutOffAnywhere) {
  for (const Format& format : kFormats) {
    const Bytes packed = format.pack(Bytes{1, 2, 3, 4, 5, 6, 7});
    for (size_t size = 6; size < packed.size(); ++size) {
      const Bytes cut(packed.begin(), packed.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_NE(MessageOf(Unpack(cut))
                    .find("file: the file is cut off: its " + std::string(format.name) +
                          " stream does not end"),
                std::string::npos)
          << format.name << " " << size;
    }
  }
}

TEST(ByteSourceTest, NoticesBytesThatWereChanged) {
  for (const Format& format : kFormats) {
    if (format.pack == Zstandarded) continue;  // Sums are an option there, and off by default.
    const Bytes packed = format.pack(ManyBytes());
    for (const size_t place : {packed.size() / 2, packed.size() * 3 / 4}) {
      Bytes changed = packed;
      changed[place] ^= 0x5a;
      EXPECT_FALSE(Unpack(changed).ok()) << format.name << " " << place;
    }
  }
  Bytes changed = Gzipped(ManyBytes());
  changed[changed.size() - 1] ^= 1;  // Its length.
  EXPECT_NE(MessageOf(Unpack(changed)).find("gzip stream is damaged"), std::string::npos);
}

TEST(ByteSourceTest, NoticesBytesAfterTheEnd) {
  for (const Format& format : kFormats) {
    Bytes packed = format.pack(Bytes{1, 2, 3});
    packed.insert(packed.end(), 5, 0);
    EXPECT_NE(MessageOf(Unpack(packed))
                  .find("5 bytes follow the end of its " + std::string(format.name) + " stream"),
              std::string::npos)
        << MessageOf(Unpack(packed));
  }
}

TEST(ByteSourceTest, StopsAtTheLimitWhateverTheFileUnpacksTo) {
  const Bytes zeros(uint64_t{16} << 20);
  for (const Format& format : kFormats) {
    EXPECT_NE(MessageOf(Unpack(format.pack(zeros), 1000)).find("more than 1000 bytes"),
              std::string::npos);
  }
  const Bytes plain(1001);
  EXPECT_NE(MessageOf(Unpack(plain, 1000)).find("more than 1000 bytes"), std::string::npos);
  EXPECT_TRUE(Unpack(plain, 1001).ok());
}

}  // namespace
}  // namespace shardmill
