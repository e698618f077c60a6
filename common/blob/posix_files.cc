#include "common/blob/posix_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/process/file_descriptor.h"

namespace shardmill {
namespace {

Error Failed(const std::string& path, const std::string& what, int why) {
  const bool absent = why == ENOENT || why == ENOTDIR;
  return {absent ? ErrorCode::kUnavailable : ErrorCode::kFailed,
          path + ": " + what + ": " + std::generic_category().message(why)};
}

class PosixFile final : public File {
 public:
  PosixFile(FileDescriptor file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  Result<> Append(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return Failed(path_, "it cannot be written", errno);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return {};
  }

  Result<> Sync() override {
    // Its size is synced with it, and its times need not be.
    if (fdatasync(file_.get()) == 0) return {};
    return Failed(path_, "it did not reach the disk", errno);
  }

  bool HasName() const override {
    struct stat is {};
    return fstat(file_.get(), &is) != 0 || is.st_nlink > 0;
  }

 private:
  FileDescriptor file_;
  std::string path_;
};

}  // namespace

std::string ParentOf(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::unique_ptr<File>> PosixFiles::CreateNew(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.valid()) return std::unique_ptr<File>(new PosixFile(std::move(file), path));
  if (errno == EEXIST) return std::unique_ptr<File>();
  return Failed(path, "it cannot be made", errno);
}

Result<uint64_t> PosixFiles::Size(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return Failed(path, "it cannot be read", errno);
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::kFailed, path + ": it is no file"};
  return static_cast<uint64_t>(status.st_size);
}

Result<> PosixFiles::Read(const std::string& path, uint64_t begin, std::span<std::byte> to) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Failed(path, "it cannot be read", errno);
  while (!to.empty()) {
    const ssize_t got = pread(file.get(), to.data(), to.size(), static_cast<off_t>(begin));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(path, "it cannot be read", errno);
    if (got == 0) {
      return Error{ErrorCode::kBadInput,
                   path + ": it ends at byte " + std::to_string(begin) + ", too early"};
    }
    to = to.subspan(static_cast<size_t>(got));
    begin += static_cast<uint64_t>(got);
  }
  return {};
}

Result<std::vector<FolderEntry>> PosixFiles::ListFolder(const std::string& path) {
  namespace fs = std::filesystem;
  std::vector<FolderEntry> entries;
  std::error_code why;
  fs::directory_iterator at(path, why);
  if (why == std::errc::no_such_file_or_directory) return entries;
  while (!why && at != fs::directory_iterator()) {
    std::error_code gone;  // Another process may remove what is listed.
    const fs::file_status status = at->status(gone);
    const bool folder = !gone && fs::is_directory(status);
    const uint64_t bytes = !gone && fs::is_regular_file(status) ? at->file_size(gone) : 0;
    if (!gone) entries.push_back({at->path().filename().string(), folder, bytes});
    at.increment(why);
  }
  if (why) return Failed(path, "the folder cannot be listed", why.value());
  std::ranges::sort(entries, {}, &FolderEntry::name);
  return entries;
}

Result<> PosixFiles::MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0777) == 0) return {};
  struct stat status {};
  const int why = errno;
  if (why == EEXIST && stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
  return Failed(path, "the folder cannot be made", why);
}

Result<> PosixFiles::SyncFolder(const std::string& path) {
  const FileDescriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return Failed(path, "the folder cannot be opened", errno);
  if (fsync(folder.get()) == 0) return {};
  return Failed(path, "the folder did not reach the disk", errno);
}

Result<> PosixFiles::Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return {};
  return Failed(from, "it cannot be renamed to " + to, errno);
}

Result<> PosixFiles::RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return {};
  return Failed(path, "it cannot be removed", errno);
}

Result<> PosixFiles::RemoveFolder(const std::string& path) {
  if (rmdir(path.c_str()) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) {
    return {};
  }
  return Failed(path, "the folder cannot be removed", errno);
}

}  // namespace shardmill
