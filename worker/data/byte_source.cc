#include "worker/data/byte_source.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/process/file_descriptor.h"
#include "worker/data/unpacker.h"

namespace shardmill {
namespace {

constexpr uint64_t kChunkBytes = uint64_t{1} << 16;

Error Bad(const std::string& name, const std::string& what) {
  return {ErrorCode::kBadInput, name + ": " + what};
}

class FileSource final : public ByteSource {
 public:
  FileSource(FileDescriptor file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  Result<size_t> Read(std::span<uint8_t> to) override {
    for (;;) {
      const ssize_t got = read(file_.get(), to.data(), to.size());
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) {
        return Error{ErrorCode::kUnavailable, path_ + ": the file cannot be read: " +
                                                  std::generic_category().message(errno)};
      }
    }
  }

 private:
  FileDescriptor file_;
  const std::string path_;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  Result<size_t> Read(std::span<uint8_t> to) override {
    const size_t count = std::min(to.size(), bytes_.size());
    std::copy_n(bytes_.begin(), count, to.begin());
    bytes_ = bytes_.subspan(count);
    return count;
  }

 private:
  std::span<const uint8_t> bytes_;
};

// Looks at the first bytes, and unpacks if they say so: one packed stream after the other, as
// programs that pack in parts and `cat` leave them.
class MaybePackedSource final : public ByteSource {
 public:
  MaybePackedSource(std::unique_ptr<ByteSource> source, std::string name)
      : source_(std::move(source)), name_(std::move(name)), chunk_(kChunkBytes) {}

  Result<size_t> Read(std::span<uint8_t> to) override {
    if (!begun_) SM_TRY(Begin());
    if (unpacker_ == nullptr) return ReadPlain(to);
    const size_t wanted = to.size();
    while (to.size() == wanted) {
      if (at_end_of_stream_ && !SM_TRY(BeginNext())) return size_t{0};
      if (packed_.empty()) SM_TRY(Fill());
      const Unpacked status = unpacker_->Run(packed_, to);
      if (status == Unpacked::kBad) {
        return Bad(name_, std::string("its ") + unpacker_->format() + " stream is damaged (" +
                              unpacker_->message() + ")");
      }
      at_end_of_stream_ = status == Unpacked::kEnd;
      if (!at_end_of_stream_ && at_end_ && packed_.empty() && to.size() == wanted) {
        return Bad(name_, std::string("the file is cut off: its ") + unpacker_->format() +
                              " stream does not end");
      }
    }
    return wanted - to.size();
  }

 private:
  // Reads more behind what is left of the chunk.
  Result<> Fill() {
    std::copy(packed_.begin(), packed_.end(), chunk_.begin());
    size_t filled = packed_.size();
    const std::span<uint8_t> room = std::span(chunk_).subspan(filled);
    const size_t got = SM_TRY(source_->Read(room));
    at_end_ = got == 0;
    filled += got;
    packed_ = std::span<const uint8_t>(chunk_).first(filled);
    return {};
  }

  Result<> Begin() {
    begun_ = true;
    while (!at_end_ && packed_.size() < kMagicBytesMax) SM_TRY(Fill());
    unpacker_ = UnpackerFor(packed_);
    return {};
  }

  // False at the end of all.
  Result<bool> BeginNext() {
    while (!at_end_ && packed_.size() < kMagicBytesMax) SM_TRY(Fill());
    if (packed_.empty()) return false;
    const char* const before = unpacker_->format();
    std::unique_ptr<Unpacker> next = UnpackerFor(packed_);
    if (next == nullptr || next->format() != before) {
      const std::string count =
          at_end_ ? std::to_string(packed_.size()) + " bytes follow" : "other bytes follow";
      return Bad(name_, count + " the end of its " + before + " stream");
    }
    unpacker_ = std::move(next);
    at_end_of_stream_ = false;
    return true;
  }

  Result<size_t> ReadPlain(std::span<uint8_t> to) {
    if (packed_.empty()) return source_->Read(to);
    const size_t count = std::min(to.size(), packed_.size());
    std::copy_n(packed_.begin(), count, to.begin());
    packed_ = packed_.subspan(count);
    return count;
  }

  const std::unique_ptr<ByteSource> source_;
  const std::string name_;
  std::vector<uint8_t> chunk_;
  std::span<const uint8_t> packed_;  // Of the chunk, what is still to be used.
  bool begun_ = false;
  bool at_end_ = false;  // Of the source.
  bool at_end_of_stream_ = false;
  std::unique_ptr<Unpacker> unpacker_;  // None where the bytes are plain.
};

}  // namespace

Result<std::unique_ptr<ByteSource>> OpenSource(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return Error{ErrorCode::kUnavailable, path + ": there is no such file"};
  }
  if (error) return Error{ErrorCode::kUnavailable, path + ": " + error.message()};
  if (!std::filesystem::is_regular_file(status)) return Bad(path, "this is not a file");
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    return Error{ErrorCode::kUnavailable,
                 path + ": the file cannot be opened: " + std::generic_category().message(errno)};
  }
  return std::unique_ptr<ByteSource>(std::make_unique<MaybePackedSource>(
      std::make_unique<FileSource>(std::move(file), path), path));
}

std::unique_ptr<ByteSource> SourceOf(std::span<const uint8_t> bytes, const std::string& name) {
  return std::make_unique<MaybePackedSource>(std::make_unique<MemorySource>(bytes), name);
}

Result<std::vector<uint8_t>> ReadAll(ByteSource& source, const std::string& name,
                                     uint64_t bytes_max) {
  std::vector<uint8_t> bytes;
  for (;;) {
    const size_t before = bytes.size();
    bytes.resize(before + kChunkBytes);
    const size_t got = SM_TRY(source.Read(std::span(bytes).subspan(before)));
    bytes.resize(before + got);
    if (bytes.size() > bytes_max) {
      return Bad(name, "it holds more than " + std::to_string(bytes_max) + " bytes");
    }
    if (got == 0) return bytes;
  }
}

Result<std::vector<uint8_t>> ReadWhole(const std::string& path, uint64_t bytes_max) {
  const std::unique_ptr<ByteSource> source = SM_TRY(OpenSource(path));
  return ReadAll(*source, path, bytes_max);
}

}  // namespace shardmill
