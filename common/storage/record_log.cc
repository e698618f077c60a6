#include "common/storage/record_log.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "common/blob/posix_files.h"
#include "common/crc32c.h"

namespace shardmill {
namespace {

// The file begins with these; the last one is the version of the format.
constexpr std::array<char, 8> kMagic = {'s', 'h', 'a', 'r', 'd', 'l', 'o', 1};
constexpr uint64_t kRecordMax = uint64_t{1} << 30;

// What stands before each record. Little-endian, as all that we write. It has a checksum of its
// own: a length that is wrong must not hide the records behind it.
struct Head {
  uint32_t length = 0;
  uint32_t record = 0;  // Its checksum.
  uint32_t head = 0;    // That of the two before.

  static Head Of(std::span<const std::byte> bytes) {
    Head head{static_cast<uint32_t>(bytes.size()), Crc32c(bytes), 0};
    head.head = head.Checksum();
    return head;
  }
  uint32_t Checksum() const {
    return Crc32c(std::as_bytes(std::span(this, 1)).first(offsetof(Head, head)));
  }
};

bool AllZero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

// The head that `bytes` begin with; none where it is not sound.
std::optional<Head> HeadIn(std::span<const std::byte> bytes) {
  Head head;
  if (bytes.size() < sizeof(head)) return {};
  std::memcpy(&head, bytes.data(), sizeof(head));
  if (head.length == 0 || head.head != head.Checksum()) return {};
  return head;
}

// Whether a sector that the head at the beginning of `rest`, which is at that place of the file,
// lies in was never written.
bool LacksSectorOfHead(std::span<const std::byte> rest, uint64_t at) {
  constexpr uint64_t kSector = 512;
  const uint64_t room = kSector - at % kSector;
  if (AllZero(rest.first(std::min<uint64_t>(room, rest.size())))) return true;
  if (room >= sizeof(Head) || room >= rest.size()) return false;
  return AllZero(rest.subspan(room, std::min<uint64_t>(kSector, rest.size() - room)));
}

bool HasHeadBehind(std::span<const std::byte> bytes) {
  for (size_t i = 1; i < bytes.size(); ++i) {
    if (HeadIn(bytes.subspan(i))) return true;
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<RecordLog>> RecordLog::Open(FileSystem& files, const std::string& path,
                                                   const Visit& visit) {
  std::unique_ptr<RecordLog> log(new RecordLog(files, path));
  SM_TRY(log->Read(visit));
  return log;
}

Result<> RecordLog::Read(const Visit& visit) {
  const Result<uint64_t> size = files_.Size(path_);
  if (!size.ok() && size.error().code != ErrorCode::kUnavailable) return size.error();
  const auto magic = std::as_bytes(std::span(kMagic));
  if (!size.ok()) return Replace(magic);
  std::vector<std::byte> all(size.value());
  SM_TRY(files_.Read(path_, 0, all));
  std::span<const std::byte> rest(all);
  const auto [differs, end] = std::ranges::mismatch(rest, magic);
  if (end != magic.end()) {
    if (rest.size() <= magic.size() && AllZero({differs, rest.end()})) {
      return Replace(magic);  // A crash came while it was made.
    }
    return Error{ErrorCode::kBadInput, path_ + " is no log of this program and version"};
  }
  rest = rest.subspan(magic.size());
  while (!rest.empty()) {
    const uint64_t length = SM_TRY(Next(rest, all.size() - rest.size()));
    if (length == 0) break;
    SM_TRY(visit(rest.subspan(sizeof(Head), length)));
    rest = rest.subspan(sizeof(Head) + length);
  }
  // What was read may be in memory alone, where a sync of the process before has failed.
  return Replace(std::span(all).first(all.size() - rest.size()));
}

// The length of the record that `rest` begins with; 0: it is half-written, and the last.
Result<uint64_t> RecordLog::Next(std::span<const std::byte> rest, uint64_t at) const {
  if (rest.size() < sizeof(Head)) return uint64_t{0};
  const auto body = rest.subspan(sizeof(Head));
  if (const std::optional<Head> head = HeadIn(rest)) {
    if (head->length > body.size()) return uint64_t{0};
    if (Crc32c(body.first(head->length)) == head->record) return uint64_t{head->length};
    if (head->length == body.size()) return uint64_t{0};
  } else if (AllZero(body) || (LacksSectorOfHead(rest, at) && !HasHeadBehind(rest))) {
    return uint64_t{0};  // The file had grown, and these bytes had not come.
  }
  return Error{ErrorCode::kBadInput, path_ + " is damaged at byte " + std::to_string(at) +
                                         "; restore it, or begin anew in another folder"};
}

Result<std::vector<std::byte>> RecordLog::Framed(std::span<const std::byte> record) const {
  if (record.empty() || record.size() > kRecordMax) {
    return Error{ErrorCode::kFailed, "a record of " + std::to_string(record.size()) +
                                         " bytes does not fit into " + path_};
  }
  const Head head = Head::Of(record);
  std::vector<std::byte> bytes(sizeof(head) + record.size());
  std::memcpy(bytes.data(), &head, sizeof(head));
  std::ranges::copy(record, bytes.begin() + sizeof(head));
  return bytes;
}

Result<> RecordLog::Append(std::span<const std::byte> record) {
  const std::vector<std::byte> framed = SM_TRY(Framed(record));
  return Write(framed);
}

Result<> RecordLog::Write(std::span<const std::byte> bytes) {
  if (file_ == nullptr) return Error{ErrorCode::kFailed, path_ + " could not be written before"};
  // Kept only where the bytes are surely there.
  std::unique_ptr<File> file = std::exchange(file_, nullptr);
  SM_TRY(file->Append(bytes));
  SM_TRY(file->Sync());
  file_ = std::move(file);
  bytes_ += bytes.size();
  return {};
}

Result<> RecordLog::Rewrite(std::span<const std::byte> record) {
  if (file_ == nullptr) return Error{ErrorCode::kFailed, path_ + " could not be written before"};
  std::vector<std::byte> all = SM_TRY(Framed(record));
  const auto magic = std::as_bytes(std::span(kMagic));
  all.insert(all.begin(), magic.begin(), magic.end());
  return Replace(all);
}

Result<> RecordLog::Replace(std::span<const std::byte> all) {
  const std::string name = path_ + ".new";
  SM_TRY(files_.RemoveFile(name));
  file_ = SM_TRY(files_.CreateNew(name));
  bytes_ = 0;
  SM_TRY(Write(all));
  std::unique_ptr<File> file = std::exchange(file_, nullptr);
  SM_TRY(files_.Rename(name, path_));
  SM_TRY(files_.SyncFolder(ParentOf(path_)));
  file_ = std::move(file);
  return {};
}

}  // namespace shardmill
