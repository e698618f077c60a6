#include "common/storage/record_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

namespace shardmill {
namespace {

namespace fs = std::filesystem;

// The file begins with these; the last one is the version of the format.
constexpr std::array<char, 8> kMagic = {'s', 'h', 'a', 'r', 'd', 'l', 'o', 1};
constexpr uint64_t kRecordMax = uint64_t{1} << 30;

uint32_t ChecksumOf(std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// What stands before each record. Little-endian, as all that we write. It has a checksum of its
// own: a length that is wrong must not hide the records behind it.
struct Head {
  uint32_t length = 0;
  uint32_t record = 0;  // Its checksum.
  uint32_t head = 0;    // That of the two before.

  static Head Of(std::span<const std::byte> bytes) {
    Head head{static_cast<uint32_t>(bytes.size()), ChecksumOf(bytes), 0};
    head.head = head.Checksum();
    return head;
  }
  uint32_t Checksum() const {
    return ChecksumOf(std::as_bytes(std::span(this, 1)).first(offsetof(Head, head)));
  }
};

Error FileError(const std::string& doing, const std::string& path, int why) {
  return {ErrorCode::kFailed, "cannot " + doing + " " + path + ": " + std::strerror(why)};
}

bool WriteAll(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return true;
}

std::vector<std::byte> Framed(std::span<const std::byte> record) {
  const Head head = Head::Of(record);
  std::vector<std::byte> bytes(sizeof(head) + record.size());
  std::memcpy(bytes.data(), &head, sizeof(head));
  std::ranges::copy(record, bytes.begin() + sizeof(head));
  return bytes;
}

// A new name, or a file's absence, is on disk when its folder is.
Result<> SyncFolderOf(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  const FileDescriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.valid() && fsync(opened.get()) == 0) return {};
  return FileError("sync the folder of", path, errno);
}

Result<std::vector<std::byte>> ReadAll(int file, const std::string& path) {
  std::vector<std::byte> bytes;
  std::array<std::byte, 1 << 16> piece;
  while (true) {
    const ssize_t got = read(file, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read", path, errno);
    if (got == 0) return bytes;
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + got);
  }
}

Result<FileDescriptor> LockBeside(const std::string& path) {
  const std::string name = path + ".lock";
  FileDescriptor lock(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock.valid()) return FileError("open", name, errno);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return FileError("lock", name, errno);
  return Error{ErrorCode::kUnavailable,
               "another process has the log " + path + "; end it, or use another folder"};
}

}  // namespace

Result<std::unique_ptr<RecordLog>> RecordLog::Open(const std::string& path, const Visit& visit) {
  const std::string whole = fs::absolute(path).string();
  std::error_code why;
  fs::create_directories(fs::path(whole).parent_path(), why);
  if (why) return FileError("make the folder of", whole, why.value());
  FileDescriptor lock = SM_TRY(LockBeside(whole));
  std::unique_ptr<RecordLog> log(new RecordLog(whole, std::move(lock)));
  SM_TRY(log->Read(visit));
  return log;
}

Result<> RecordLog::Read(const Visit& visit) {
  file_ = FileDescriptor(open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file_.valid()) return FileError("open", path_, errno);
  const std::vector<std::byte> all = SM_TRY(ReadAll(file_.get(), path_));
  std::span<const std::byte> rest(all);
  const auto magic = std::as_bytes(std::span(kMagic));
  if (rest.size() < magic.size() && std::ranges::equal(rest, magic.first(rest.size()))) {
    // New, or a crash came while it was made.
    if (ftruncate(file_.get(), 0) != 0 || !WriteAll(file_.get(), magic)) return Failed("write");
    if (fsync(file_.get()) != 0) return Failed("sync");
    bytes_ = magic.size();
    return SyncFolderOf(path_);
  }
  if (rest.size() < magic.size() || !std::ranges::equal(rest.first(magic.size()), magic)) {
    return Error{ErrorCode::kBadInput, path_ + " is no log of this program and version"};
  }
  rest = rest.subspan(magic.size());
  while (!rest.empty()) {
    const uint64_t length = SM_TRY(Next(rest, all.size() - rest.size()));
    if (length == 0) break;
    SM_TRY(visit(rest.subspan(sizeof(Head), length)));
    rest = rest.subspan(sizeof(Head) + length);
  }
  bytes_ = all.size() - rest.size();
  if (rest.empty()) return {};
  if (ftruncate(file_.get(), static_cast<off_t>(bytes_)) != 0) return Failed("shorten");
  if (fsync(file_.get()) != 0) return Failed("sync");
  return {};
}

// The length of the record that `rest` begins with; 0: it is half-written, and the last.
Result<uint64_t> RecordLog::Next(std::span<const std::byte> rest, uint64_t at) const {
  Head head;
  if (rest.size() < sizeof(head)) return uint64_t{0};
  std::memcpy(&head, rest.data(), sizeof(head));
  const auto body = rest.subspan(sizeof(head));
  if (head.length > 0 && head.head == head.Checksum()) {
    if (head.length > body.size()) return uint64_t{0};
    if (ChecksumOf(body.first(head.length)) == head.record) return uint64_t{head.length};
    if (head.length == body.size()) return uint64_t{0};
  } else if (std::ranges::all_of(body, [](std::byte byte) { return byte == std::byte{0}; })) {
    return uint64_t{0};  // The file had grown, and its bytes had not come.
  }
  return Error{ErrorCode::kBadInput, path_ + " is damaged at byte " + std::to_string(at) +
                                         "; restore it, or begin anew in another folder"};
}

Result<> RecordLog::Append(std::span<const std::byte> record) {
  if (!file_.valid()) return Error{ErrorCode::kFailed, path_ + " could not be written before"};
  if (record.empty() || record.size() > kRecordMax) {
    return Error{ErrorCode::kFailed, "a record of " + std::to_string(record.size()) +
                                         " bytes does not fit into " + path_};
  }
  const std::vector<std::byte> bytes = Framed(record);
  if (!WriteAll(file_.get(), bytes)) return Failed("write");
  if (fdatasync(file_.get()) != 0) return Failed("sync");
  bytes_ += bytes.size();
  return {};
}

Result<> RecordLog::Rewrite(std::span<const std::byte> record) {
  if (!file_.valid()) return Error{ErrorCode::kFailed, path_ + " could not be written before"};
  const std::string name = path_ + ".new";
  file_ =
      FileDescriptor(open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644));
  if (!file_.valid()) return FileError("open", name, errno);
  bytes_ = kMagic.size();
  if (!WriteAll(file_.get(), std::as_bytes(std::span(kMagic)))) return Failed("write");
  SM_TRY(Append(record));
  if (rename(name.c_str(), path_.c_str()) != 0) return Failed("rename");
  return SyncFolderOf(path_);
}

Error RecordLog::Failed(const std::string& doing) {
  const Error error = FileError(doing, path_, errno);
  file_.Close();
  return error;
}

}  // namespace shardmill
