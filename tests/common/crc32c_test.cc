#include "common/crc32c.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace shardmill {
namespace {

std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Crc32cTest, GivesThePublishedNumbers) {
  EXPECT_EQ(Crc32c({}), 0U);
  EXPECT_EQ(Crc32c(BytesOf("123456789")), 0xe3069283U);
  EXPECT_EQ(Crc32c(BytesOf(std::string(32, '\0'))), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(BytesOf(std::string(32, '\xff'))), 0x62a8ab43U);
}

TEST(Crc32cTest, IsTheSameInPiecesAsAtOnce) {
  const std::string text = "a text that is longer than two words of the processor";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const uint32_t before = Crc32c(BytesOf(std::string_view(text).substr(0, cut)));
    EXPECT_EQ(Crc32c(BytesOf(std::string_view(text).substr(cut)), before), Crc32c(BytesOf(text)));
  }
}

}  // namespace
}  // namespace shardmill
