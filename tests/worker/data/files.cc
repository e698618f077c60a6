#include "tests/worker/data/files.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "common/assert.h"

namespace shardmill {

TestFolder::TestFolder() : path_(testing::TempDir() + "/shardmill_data_XXXXXX") {
  SM_ASSERT(mkdtemp(path_.data()) != nullptr);
}

TestFolder::~TestFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string TestFolder::Write(const std::string& name, std::span<const uint8_t> bytes) const {
  const std::string path = path_ + '/' + name;
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  SM_ASSERT(file.good());
  return path;
}

std::string TestFolder::WriteGzip(const std::string& name, std::span<const uint8_t> bytes) const {
  return Write(name, Gzipped(bytes));
}

std::vector<uint8_t> Gzipped(std::span<const uint8_t> bytes) {
  z_stream stream{};
  SM_ASSERT(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8,
                         Z_DEFAULT_STRATEGY) == Z_OK);
  std::vector<uint8_t> in(bytes.begin(), bytes.end());
  std::vector<uint8_t> out(deflateBound(&stream, in.size()));
  stream.next_in = in.data();
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  SM_ASSERT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::vector<uint8_t> Idx(const std::vector<uint32_t>& dims, std::span<const uint8_t> values) {
  std::vector<uint8_t> bytes{0, 0, 8, static_cast<uint8_t>(dims.size())};
  for (const uint32_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<uint8_t>(dim >> shift));
  }
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

}  // namespace shardmill
