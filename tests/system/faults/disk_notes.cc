#include "tests/system/faults/disk_notes.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

// The library that calls this defines open, rename and unlink itself: so others are called here.
namespace shardmill::chaos {

Result<> DiskNotes::Begin() const {
  std::error_code why;
  std::filesystem::create_directory(folder_, why);
  if (!why) return {};
  return Error{ErrorCode::kFailed, folder_ + ": " + why.message()};
}

DiskNotes::Id DiskNotes::IdOf(const std::string& path) {
  struct statx is {};
  const unsigned wanted = STATX_INO | STATX_BTIME;
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, wanted, &is) != 0) return "";
  // Numbers are used again.
  return std::to_string(is.stx_ino) + "." + std::to_string(is.stx_btime.tv_sec) + "." +
         std::to_string(is.stx_btime.tv_nsec);
}

DiskNotes::Names DiskNotes::NamesIn(const std::string& folder) {
  Names names;
  std::error_code gone;
  for (std::filesystem::directory_iterator at(folder, gone), end; !gone && at != end;
       at.increment(gone)) {
    std::error_code unknown;
    const Entry entry{IdOf(at->path().string()), at->is_directory(unknown)};
    if (!entry.id.empty()) names[at->path().filename().string()] = entry;
  }
  return names;
}

std::optional<uint64_t> DiskNotes::Bytes(const Id& file) const {
  uint64_t bytes = 0;
  if (std::ifstream(BytesPath(file)) >> bytes) return bytes;
  return std::nullopt;
}

bool DiskNotes::SetBytes(const Id& file, uint64_t bytes) const {
  const FileDescriptor note(
      openat(AT_FDCWD, BytesPath(file).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  // Of one length, so that none is ever seen half-written.
  char digits[24];
  const int size =
      std::snprintf(digits, sizeof digits, "%020llu\n", static_cast<unsigned long long>(bytes));
  return note.valid() && pwrite(note.get(), digits, static_cast<size_t>(size), 0) == size;
}

DiskNotes::Names DiskNotes::LastingNames(const Id& folder) const {
  Names names;
  std::ifstream file(NamesPath(folder));
  Entry entry;
  std::string name;
  while (file >> entry.id >> entry.folder && file.get() == ' ' && std::getline(file, name)) {
    names[name] = entry;
  }
  return names;
}

bool DiskNotes::SetLastingNames(const Id& folder, const Names& names) const {
  std::ostringstream text;
  for (const auto& [name, entry] : names) {
    text << entry.id << " " << entry.folder << " " << name << "\n";
  }
  const std::string path = NamesPath(folder);
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << text.str();
  file.close();
  return file.good() && renameat(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str()) == 0;
}

FileDescriptor DiskNotes::LockNames(const Id& folder) const {
  const std::string path = NamesPath(folder) + ".lock";
  FileDescriptor lock(openat(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.valid()) flock(lock.get(), LOCK_EX);
  return lock;
}

bool DiskNotes::Keep(const std::string& path) const {
  const Id id = IdOf(path);
  if (id.empty()) return false;
  return link(path.c_str(), KeptPath(id).c_str()) == 0 || errno == EEXIST;
}

}  // namespace shardmill::chaos
