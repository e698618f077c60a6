#include "worker/data/unpacker.h"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>

#include "common/assert.h"

namespace shardmill {
namespace {

// What the libraries count in 32 bits.
constexpr uint64_t kRunBytesMax = uint64_t{1} << 30;
// What a stream may ask for to remember; xz -9 asks for 65 MiB.
constexpr uint64_t kMemoryMax = uint64_t{256} << 20;
constexpr char kGzip[] = "gzip";
constexpr char kZlib[] = "zlib";
constexpr char kZstandard[] = "Zstandard";
constexpr char kBzip2[] = "bzip2";
constexpr char kXz[] = "xz";

uint32_t Bounded(size_t bytes) {
  return static_cast<uint32_t>(std::min<uint64_t>(bytes, kRunBytesMax));
}

// zlib's two framings: gzip's, and its own.
class Inflater final : public Unpacker {
 public:
  explicit Inflater(bool gzip) : gzip_(gzip) {
    SM_ASSERT(inflateInit2(&stream_, (gzip ? 16 : 0) + MAX_WBITS) == Z_OK);
  }
  ~Inflater() override { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Unpacked Run(std::span<const uint8_t>& in, std::span<uint8_t>& out) override {
    const uint32_t in_bytes = Bounded(in.size());
    const uint32_t out_bytes = Bounded(out.size());
    // zlib reads only, though its type does not say so.
    stream_.next_in = const_cast<Bytef*>(in.data());
    stream_.avail_in = in_bytes;
    stream_.next_out = out.data();
    stream_.avail_out = out_bytes;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    in = in.subspan(in_bytes - stream_.avail_in);
    out = out.subspan(out_bytes - stream_.avail_out);
    if (status == Z_STREAM_END) return Unpacked::kEnd;
    return status == Z_OK || status == Z_BUF_ERROR ? Unpacked::kMore : Unpacked::kBad;
  }
  const char* format() const override { return gzip_ ? kGzip : kZlib; }
  std::string message() const override {
    return stream_.msg != nullptr ? stream_.msg : "no details";
  }

 private:
  const bool gzip_;
  z_stream stream_{};
};

class ZstdUnpacker final : public Unpacker {
 public:
  ZstdUnpacker() : stream_(ZSTD_createDStream()) { SM_ASSERT(stream_ != nullptr); }
  ~ZstdUnpacker() override { ZSTD_freeDStream(stream_); }
  ZstdUnpacker(const ZstdUnpacker&) = delete;
  ZstdUnpacker& operator=(const ZstdUnpacker&) = delete;

  Unpacked Run(std::span<const uint8_t>& in, std::span<uint8_t>& out) override {
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    status_ = ZSTD_decompressStream(stream_, &to, &from);
    in = in.subspan(from.pos);
    out = out.subspan(to.pos);
    if (ZSTD_isError(status_) != 0U) return Unpacked::kBad;
    return status_ == 0 ? Unpacked::kEnd : Unpacked::kMore;
  }
  const char* format() const override { return kZstandard; }
  std::string message() const override { return ZSTD_getErrorName(status_); }

 private:
  ZSTD_DStream* const stream_;
  size_t status_ = 0;
};

class Bzip2Unpacker final : public Unpacker {
 public:
  Bzip2Unpacker() { SM_ASSERT(BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK); }
  ~Bzip2Unpacker() override { BZ2_bzDecompressEnd(&stream_); }
  Bzip2Unpacker(const Bzip2Unpacker&) = delete;
  Bzip2Unpacker& operator=(const Bzip2Unpacker&) = delete;

  Unpacked Run(std::span<const uint8_t>& in, std::span<uint8_t>& out) override {
    const uint32_t in_bytes = Bounded(in.size());
    const uint32_t out_bytes = Bounded(out.size());
    // bzip2 reads only, though its type does not say so.
    stream_.next_in = reinterpret_cast<char*>(const_cast<uint8_t*>(in.data()));
    stream_.avail_in = in_bytes;
    stream_.next_out = reinterpret_cast<char*>(out.data());
    stream_.avail_out = out_bytes;
    status_ = BZ2_bzDecompress(&stream_);
    in = in.subspan(in_bytes - stream_.avail_in);
    out = out.subspan(out_bytes - stream_.avail_out);
    if (status_ == BZ_STREAM_END) return Unpacked::kEnd;
    return status_ == BZ_OK ? Unpacked::kMore : Unpacked::kBad;
  }
  const char* format() const override { return kBzip2; }
  std::string message() const override { return "code " + std::to_string(status_); }

 private:
  bz_stream stream_{};
  int status_ = 0;
};

// xz files, and LZMA2 without a frame as R has it.
class LzmaUnpacker final : public Unpacker {
 public:
  explicit LzmaUnpacker(bool raw) {
    if (!raw) {
      SM_ASSERT(lzma_stream_decoder(&stream_, kMemoryMax, 0) == LZMA_OK);
      return;
    }
    lzma_options_lzma options;
    // What R packs with; a lesser dictionary could not unpack it.
    SM_ASSERT(lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME) == 0);
    const std::array<lzma_filter, 2> filters = {
        {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}}};
    SM_ASSERT(lzma_raw_decoder(&stream_, filters.data()) == LZMA_OK);
  }
  ~LzmaUnpacker() override { lzma_end(&stream_); }
  LzmaUnpacker(const LzmaUnpacker&) = delete;
  LzmaUnpacker& operator=(const LzmaUnpacker&) = delete;

  Unpacked Run(std::span<const uint8_t>& in, std::span<uint8_t>& out) override {
    stream_.next_in = in.data();
    stream_.avail_in = in.size();
    stream_.next_out = out.data();
    stream_.avail_out = out.size();
    status_ = lzma_code(&stream_, LZMA_RUN);
    in = in.subspan(in.size() - stream_.avail_in);
    out = out.subspan(out.size() - stream_.avail_out);
    if (status_ == LZMA_STREAM_END) return Unpacked::kEnd;
    return status_ == LZMA_OK || status_ == LZMA_BUF_ERROR ? Unpacked::kMore : Unpacked::kBad;
  }
  const char* format() const override { return kXz; }
  std::string message() const override { return "code " + std::to_string(status_); }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  lzma_ret status_ = LZMA_OK;
};

template <size_t kCount>
bool BeginsWith(std::span<const uint8_t> bytes, const std::array<uint8_t, kCount>& magic) {
  static_assert(kCount <= kMagicBytesMax);
  return bytes.size() >= kCount && std::equal(magic.begin(), magic.end(), bytes.begin());
}

}  // namespace

std::unique_ptr<Unpacker> UnpackerFor(std::span<const uint8_t> begin) {
  constexpr std::array<uint8_t, 2> kGzipMagic = {0x1f, 0x8b};
  constexpr std::array<uint8_t, 4> kZstdMagic = {0x28, 0xb5, 0x2f, 0xfd};
  constexpr std::array<uint8_t, 3> kBzip2Magic = {'B', 'Z', 'h'};
  constexpr std::array<uint8_t, 6> kXzMagic = {0xfd, '7', 'z', 'X', 'Z', 0};
  if (BeginsWith(begin, kGzipMagic)) return std::make_unique<Inflater>(true);
  if (BeginsWith(begin, kZstdMagic)) return std::make_unique<ZstdUnpacker>();
  if (BeginsWith(begin, kBzip2Magic)) return std::make_unique<Bzip2Unpacker>();
  if (BeginsWith(begin, kXzMagic)) return std::make_unique<LzmaUnpacker>(false);
  return nullptr;
}

std::unique_ptr<Unpacker> MakeZlibUnpacker() { return std::make_unique<Inflater>(false); }
std::unique_ptr<Unpacker> MakeBzip2Unpacker() { return std::make_unique<Bzip2Unpacker>(); }
std::unique_ptr<Unpacker> MakeRawLzmaUnpacker() { return std::make_unique<LzmaUnpacker>(true); }

}  // namespace shardmill
