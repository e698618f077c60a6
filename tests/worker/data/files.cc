#include "tests/worker/data/files.h"

#include <bzlib.h>
#include <gtest/gtest.h>
#include <lzma.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

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

std::string TestFolder::WriteText(const std::string& name, std::string_view text) const {
  return Write(name, BytesOf(text));
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

std::vector<uint8_t> Zstandarded(std::span<const uint8_t> bytes) {
  std::vector<uint8_t> out(ZSTD_compressBound(bytes.size()));
  const size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1);
  SM_ASSERT(ZSTD_isError(size) == 0);
  out.resize(size);
  return out;
}

std::vector<uint8_t> Bzipped(std::span<const uint8_t> bytes) {
  std::vector<char> in(bytes.begin(), bytes.end());
  std::vector<uint8_t> out(in.size() + in.size() / 100 + 600);
  auto size = static_cast<unsigned>(out.size());
  SM_ASSERT(BZ2_bzBuffToBuffCompress(reinterpret_cast<char*>(out.data()), &size, in.data(),
                                     static_cast<unsigned>(in.size()), 1, 0, 0) == BZ_OK);
  out.resize(size);
  return out;
}

std::vector<uint8_t> Xzipped(std::span<const uint8_t> bytes) {
  std::vector<uint8_t> out(lzma_stream_buffer_bound(bytes.size()));
  size_t size = 0;
  SM_ASSERT(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, nullptr, bytes.data(), bytes.size(),
                                    out.data(), &size, out.size()) == LZMA_OK);
  out.resize(size);
  return out;
}

std::vector<uint8_t> BytesOf(std::string_view text) { return {text.begin(), text.end()}; }

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
