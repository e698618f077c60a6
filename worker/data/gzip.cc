#include "worker/data/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <span>
#include <system_error>

namespace shardmill {
namespace {

constexpr uint64_t kChunkBytes = uint64_t{1} << 20;

Error Bad(const std::string& path, const std::string& what) {
  return {ErrorCode::kBadInput, path + ": " + what};
}

Result<std::vector<uint8_t>> ReadFile(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return Error{ErrorCode::kUnavailable, path + ": there is no such file"};
  }
  if (error) return Error{ErrorCode::kUnavailable, path + ": " + error.message()};
  if (!std::filesystem::is_regular_file(status)) return Bad(path, "this is not a file");
  std::ifstream file(path, std::ios::binary);
  std::vector<uint8_t> bytes;
  while (file) {
    const size_t before = bytes.size();
    bytes.resize(before + kChunkBytes);
    file.read(reinterpret_cast<char*>(bytes.data() + before), kChunkBytes);
    bytes.resize(before + static_cast<size_t>(file.gcount()));
  }
  if (!file.eof()) return Error{ErrorCode::kUnavailable, path + ": the file cannot be read"};
  return bytes;
}

// One inflate stream of zlib, which allocates: this ends it on every way out.
class Inflater final {
 public:
  // Asks for gzip's header and its checks of length and sum.
  Inflater() : ready_(inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK) {}
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  bool ready() const { return ready_; }
  const char* message() const { return stream_.msg != nullptr ? stream_.msg : "no details"; }

  // Moves on in both spans; zlib's status.
  int Run(std::span<const uint8_t>& in, std::span<uint8_t>& out) {
    const uInt in_bytes = static_cast<uInt>(std::min<uint64_t>(in.size(), kChunkBytes));
    const uInt out_bytes = static_cast<uInt>(std::min<uint64_t>(out.size(), kChunkBytes));
    // zlib reads only, though its type does not say so.
    stream_.next_in = const_cast<Bytef*>(in.data());
    stream_.avail_in = in_bytes;
    stream_.next_out = out.data();
    stream_.avail_out = out_bytes;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    in = in.subspan(in_bytes - stream_.avail_in);
    out = out.subspan(out_bytes - stream_.avail_out);
    return status;
  }

 private:
  z_stream stream_{};
  const bool ready_;
};

Result<std::vector<uint8_t>> Unpack(const std::string& path, std::span<const uint8_t> packed,
                                    uint64_t bytes_max) {
  Inflater inflater;
  if (!inflater.ready()) return Error{ErrorCode::kFailed, path + ": zlib does not start"};
  std::vector<uint8_t> bytes;
  for (;;) {
    const size_t before = bytes.size();
    bytes.resize(before + kChunkBytes);
    std::span<uint8_t> out = std::span(bytes).subspan(before);
    const size_t packed_before = packed.size();
    const int status = inflater.Run(packed, out);
    bytes.resize(bytes.size() - out.size());
    if (bytes.size() > bytes_max) {
      return Bad(path, "it unpacks to more than " + std::to_string(bytes_max) + " bytes");
    }
    if (status == Z_STREAM_END) break;
    const bool stuck = packed.size() == packed_before && bytes.size() == before;
    if (status == Z_BUF_ERROR || (status == Z_OK && stuck)) {
      return Bad(path, "the file is cut off: its gzip stream does not end");
    }
    if (status != Z_OK) {
      return Bad(path, std::string("its gzip stream is damaged (") + inflater.message() + ")");
    }
  }
  if (packed.empty()) return bytes;
  return Bad(path, std::to_string(packed.size()) + " bytes follow the end of its gzip stream");
}

}  // namespace

Result<std::vector<uint8_t>> ReadMaybeGzip(const std::string& path, uint64_t bytes_max) {
  std::vector<uint8_t> bytes = SM_TRY(ReadFile(path));
  const bool gzip = bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
  if (gzip) return Unpack(path, bytes, bytes_max);
  if (bytes.size() <= bytes_max) return bytes;
  return Bad(path, "it holds more than " + std::to_string(bytes_max) + " bytes");
}

}  // namespace shardmill
