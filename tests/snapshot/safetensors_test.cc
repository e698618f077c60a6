#include "snapshot/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

namespace shardmill {
namespace {

// A file of that header and so many bytes of data, as the reader finds it.
std::string Read(const std::string& header, uint64_t data_bytes) {
  std::string file(8, '\0');
  const uint64_t size = header.size();
  std::memcpy(file.data(), &size, sizeof(size));
  file += header + std::string(data_bytes, 'x');
  const Result<TensorIndex> index =
      ReadTensorHeader(file.size(), [&](uint64_t begin, std::span<std::byte> to) -> Result<> {
        std::memcpy(to.data(), file.data() + begin, to.size());
        return {};
      });
  return index.ok() ? "good" : index.error().message;
}

constexpr const char* kTwo =
    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}})";

TEST(SafetensorsTest, TakesWhatTheFormatAllows) {
  EXPECT_EQ(Read(kTwo, 9), "good");
  EXPECT_EQ(Read(std::string(kTwo) + "   ", 9), "good");
  EXPECT_EQ(Read("{}", 0), "good");
  EXPECT_EQ(Read(R"({"__metadata__":{"k":"v"}})", 0), "good");
  EXPECT_EQ(Read(R"({"a":{"dtype":"I64","shape":[0,5],"data_offsets":[0,0]}})", 0), "good");
}

TEST(SafetensorsTest, RefusesWhatItDoesNot) {
  const std::pair<const char*, uint64_t> bad[] = {
      {kTwo, 8},
      {kTwo, 10},
      {" {}", 0},
      {"{}\n", 0},
      {"[]", 0},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 8},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4},
      {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0},
      {R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})", 4},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4},
      {R"({"__metadata__":{"k":1}})", 0},
      {"{\"\xff\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1},
  };
  for (const auto& [header, bytes] : bad) EXPECT_NE(Read(header, bytes), "good") << header;
  EXPECT_NE(Read(R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})", 4).find("BF16"),
            std::string::npos);
}

}  // namespace
}  // namespace shardmill
