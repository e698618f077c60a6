#include "common/blob/folder_store.h"

#include <algorithm>
#include <utility>

#include "common/blob/posix_files.h"

namespace shardmill {
namespace {

constexpr std::string_view kUnfinishedSuffix = ".part";

bool IsHidden(std::string_view name) { return name.starts_with('.'); }

bool IsUnfinished(std::string_view name) {
  return IsHidden(name) && name.ends_with(kUnfinishedSuffix);
}

bool IsBlobName(std::string_view name) {
  constexpr size_t kLengthMax = 1024;
  if (name.size() > kLengthMax || name.find('\0') != std::string_view::npos) return false;
  while (true) {
    const size_t end = name.find('/');
    const std::string_view part = name.substr(0, end);
    if (part.empty() || IsHidden(part)) return false;
    if (end == std::string_view::npos) return true;
    name.remove_prefix(end + 1);
  }
}

class FolderWriter final : public BlobWriter {
 public:
  // The folders on the way, and the store's own parent, are synced from the inmost on.
  FolderWriter(FileSystem& files, std::unique_ptr<File> file, std::string unfinished,
               std::string path, std::vector<std::string> folders)
      : files_(files),
        file_(std::move(file)),
        unfinished_(std::move(unfinished)),
        path_(std::move(path)),
        folders_(std::move(folders)) {}

  ~FolderWriter() override {
    // What cannot be removed stays for RemoveUnfinished.
    if (!renamed_) static_cast<void>(files_.RemoveFile(unfinished_).ok());
  }

  Result<> Append(std::span<const std::byte> bytes) override {
    SM_TRY(CheckSound());
    return Noted(file_->Append(bytes));
  }

  Result<> Commit() override {
    SM_TRY(CheckSound());
    sound_ = false;
    SM_TRY(file_->Sync());
    file_.reset();
    SM_TRY(files_.Rename(unfinished_, path_));
    renamed_ = true;
    for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) {
      SM_TRY(files_.SyncFolder(*folder));
    }
    return {};
  }

 private:
  Result<> CheckSound() const {
    if (sound_) return {};
    return Error{ErrorCode::kFailed, path_ + ": this writing of it has ended already"};
  }
  Result<> Noted(Result<> result) {
    sound_ = result.ok();
    return result;
  }

  FileSystem& files_;
  std::unique_ptr<File> file_;
  std::string unfinished_;
  std::string path_;
  std::vector<std::string> folders_;
  bool sound_ = true;
  bool renamed_ = false;
};

}  // namespace

FolderStore::FolderStore(FileSystem& files, std::string root)
    : files_(files), root_(std::move(root)) {
  while (root_.size() > 1 && root_.ends_with('/')) root_.pop_back();
}

Result<std::string> FolderStore::PathOf(const std::string& name) const {
  if (IsBlobName(name)) return root_ + "/" + name;
  return Error{ErrorCode::kBadUsage,
               "\"" + name +
                   "\" cannot be the name of a file here: no part of it may be empty or "
                   "begin with a dot"};
}

std::vector<std::string> FolderStore::FoldersOf(const std::string& name) const {
  std::vector<std::string> folders = {root_};
  for (size_t slash = name.find('/'); slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    folders.push_back(root_ + "/" + name.substr(0, slash));
  }
  return folders;
}

Result<std::unique_ptr<BlobWriter>> FolderStore::Create(const std::string& name) {
  constexpr int kWritersMax = 1000;  // Of one blob, that have not ended or not cleaned up.
  const std::string path = SM_TRY(PathOf(name));
  std::vector<std::string> folders = FoldersOf(name);
  for (const std::string& folder : folders) SM_TRY(files_.MakeFolder(folder));
  folders.insert(folders.begin(), ParentOf(root_));
  const std::string& folder = folders.back();
  const std::string base = path.substr(folder.size() + 1);
  for (int i = 0; i < kWritersMax; ++i) {
    std::string unfinished =
        folder + "/." + base + "." + std::to_string(i) + std::string(kUnfinishedSuffix);
    std::unique_ptr<File> file = SM_TRY(files_.CreateNew(unfinished));
    if (!file) continue;
    return std::unique_ptr<BlobWriter>(
        new FolderWriter(files_, std::move(file), std::move(unfinished), path, std::move(folders)));
  }
  return Error{ErrorCode::kFailed, path + ": " + std::to_string(kWritersMax) +
                                       " unfinished files of it lie here; remove ." + base + ".*" +
                                       std::string(kUnfinishedSuffix)};
}

Result<uint64_t> FolderStore::Size(const std::string& name) {
  const std::string path = SM_TRY(PathOf(name));
  return files_.Size(path);
}

Result<> FolderStore::Read(const std::string& name, uint64_t begin, std::span<std::byte> to) {
  const std::string path = SM_TRY(PathOf(name));
  return files_.Read(path, begin, to);
}

// `folder`: a name with a slash behind it, or nothing for the store's own.
template <class Visit>
Result<> FolderStore::Walk(const std::string& folder, const std::string& prefix, Visit visit) {
  const std::vector<FolderEntry> entries = SM_TRY(files_.ListFolder(root_ + "/" + folder));
  for (const FolderEntry& entry : entries) {
    const std::string name = folder + entry.name;
    if (!entry.folder) {
      SM_TRY(visit(name, entry));
    } else if (const std::string inner = name + "/";
               !IsHidden(entry.name) && (inner.starts_with(prefix) || prefix.starts_with(inner))) {
      SM_TRY(Walk(inner, prefix, visit));
    }
  }
  return {};
}

Result<std::vector<BlobInfo>> FolderStore::List(const std::string& prefix) {
  std::vector<BlobInfo> blobs;
  SM_TRY(Walk("", prefix, [&](const std::string& name, const FolderEntry& entry) -> Result<> {
    if (!IsHidden(entry.name) && name.starts_with(prefix)) blobs.push_back({name, entry.bytes});
    return {};
  }));
  std::ranges::sort(blobs, {}, &BlobInfo::name);
  return blobs;
}

Result<> FolderStore::Remove(const std::string& name) {
  const std::string path = SM_TRY(PathOf(name));
  SM_TRY(files_.RemoveFile(path));
  // A folder that is empty now goes too; what is not known to be gone may not come back.
  std::vector<std::string> folders = FoldersOf(name);
  for (; folders.size() > 1; folders.pop_back()) {
    const std::vector<FolderEntry> entries = SM_TRY(files_.ListFolder(folders.back()));
    if (!entries.empty()) break;
    SM_TRY(files_.RemoveFolder(folders.back()));
  }
  const Result<> synced = files_.SyncFolder(folders.back());
  if (!synced.ok() && synced.error().code == ErrorCode::kUnavailable) return {};
  return synced;
}

Result<> FolderStore::RemoveUnfinished(const std::string& prefix) {
  return Walk("", prefix, [&](const std::string& name, const FolderEntry& entry) -> Result<> {
    if (!IsUnfinished(entry.name) || !name.starts_with(prefix)) return {};
    return files_.RemoveFile(PlaceOf(name));
  });
}

}  // namespace shardmill
