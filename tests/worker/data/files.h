#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shardmill {

// A folder of a test's own, gone when the test is. Used on the test's thread; ends the test's
// process where the disk does not let it.
class TestFolder final {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }

  // All give the file's path.
  std::string Write(const std::string& name, std::span<const uint8_t> bytes) const;
  std::string WriteText(const std::string& name, std::string_view text) const;
  std::string WriteGzip(const std::string& name, std::span<const uint8_t> bytes) const;

 private:
  std::string path_;
};

std::vector<uint8_t> Gzipped(std::span<const uint8_t> bytes);
std::vector<uint8_t> Zstandarded(std::span<const uint8_t> bytes);
std::vector<uint8_t> Bzipped(std::span<const uint8_t> bytes);
std::vector<uint8_t> Xzipped(std::span<const uint8_t> bytes);

std::vector<uint8_t> BytesOf(std::string_view text);

// An IDX file of unsigned bytes.
std::vector<uint8_t> Idx(const std::vector<uint32_t>& dims, std::span<const uint8_t> values);

}  // namespace shardmill
