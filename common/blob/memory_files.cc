#include "common/blob/memory_files.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"

namespace shardmill {
namespace {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Error Absent(const std::string& path) {
  return {ErrorCode::kUnavailable, path + ": there is no such file or folder"};
}

}  // namespace

class MemoryFiles::Writer final : public File {
 public:
  Writer(MemoryFiles& files, std::shared_ptr<Node> node, std::string path)
      : files_(files), node_(std::move(node)), path_(std::move(path)) {}

  Result<> Append(std::span<const std::byte> bytes) override {
    return files_.Change(path_, [&]() -> Result<> {
      node_->bytes.insert(node_->bytes.end(), bytes.begin(), bytes.end());
      return {};
    });
  }

  Result<> Sync() override {
    return files_.Change(path_, [&]() -> Result<> {
      if (++files_.syncs_ == files_.fail_sync_at_) {
        node_->dropped.emplace_back(node_->synced, node_->bytes.size());
        return Error{ErrorCode::kFailed, path_ + ": it did not reach the disk"};
      }
      node_->synced = node_->bytes.size();
      return {};
    });
  }

  bool HasName() const override {
    return std::ranges::any_of(files_.nodes_,
                               [this](const auto& named) { return named.second == node_; });
  }

 private:
  MemoryFiles& files_;
  std::shared_ptr<Node> node_;
  std::string path_;
};

MemoryFiles::MemoryFiles(uint64_t seed) : rng_(seed) {
  for (const char* path : {".", "/"}) nodes_[path] = std::make_shared<Node>(Node{true});
  lasting_ = nodes_;
}

void MemoryFiles::Restart() {
  // Each name that was changed since its folder was synced is as it was before, or as it is now.
  Nodes kept = lasting_;
  for (const auto& [path, node] : nodes_) {
    const auto before = lasting_.find(path);
    if ((before == lasting_.end() || before->second != node) && rng_.Chance(0.5)) kept[path] = node;
  }
  for (const auto& [path, node] : lasting_) {
    if (!nodes_.contains(path) && rng_.Chance(0.5)) kept.erase(path);
  }
  // What lies in no folder is lost with it.
  std::erase_if(kept, [&](const auto& entry) { return !kept.contains(FolderOf(entry.first)); });
  nodes_.clear();
  for (const auto& [path, node] : kept) {
    for (const auto& [begin, end] : node->dropped) {
      for (uint64_t at = begin; at < std::min<uint64_t>(end, node->bytes.size()); ++at) {
        node->bytes[at] = std::byte{};
      }
    }
    node->dropped.clear();
    const uint64_t loose = node->bytes.size() - node->synced;
    node->bytes.resize(node->synced + (loose > 0 ? rng_.Below(loose + 1) : 0));
    if (node->bytes.size() > node->synced && rng_.Chance(0.5)) node->bytes.back() = std::byte{};
    node->synced = node->bytes.size();
    nodes_[path] = node;
  }
  lasting_ = nodes_;
  crash_at_.reset();
  fail_sync_at_.reset();
  crashed_ = false;
}

Result<> MemoryFiles::CheckAlive(const std::string& path) const {
  if (!crashed_) return {};
  return Error{ErrorCode::kFailed, path + ": the machine is down"};
}

Result<> MemoryFiles::Change(const std::string& path, const std::function<Result<>()>& change) {
  SM_TRY(CheckAlive(path));
  crashed_ = ++changes_ == crash_at_;
  if (crashed_ && rng_.Chance(0.5)) return CheckAlive(path);
  SM_TRY(change());
  return CheckAlive(path);
}

MemoryFiles::Node* MemoryFiles::Find(const std::string& path) const {
  const auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : found->second.get();
}

Result<std::unique_ptr<File>> MemoryFiles::CreateNew(const std::string& path) {
  std::unique_ptr<File> file;
  SM_TRY(Change(path, [&]() -> Result<> {
    if (Find(path)) return {};
    if (!Find(FolderOf(path))) return Absent(path);
    const auto node = std::make_shared<Node>();
    nodes_[path] = node;
    file = std::make_unique<Writer>(*this, node, path);
    return {};
  }));
  return file;
}

Result<uint64_t> MemoryFiles::Size(const std::string& path) {
  SM_TRY(CheckAlive(path));
  const Node* node = Find(path);
  if (!node || node->folder) return Absent(path);
  return static_cast<uint64_t>(node->bytes.size());
}

Result<> MemoryFiles::Read(const std::string& path, uint64_t begin, std::span<std::byte> to) {
  const uint64_t size = SM_TRY(Size(path));
  if (begin > size || to.size() > size - begin) {
    return Error{ErrorCode::kBadInput,
                 path + ": it ends at byte " + std::to_string(size) + ", too early"};
  }
  std::copy_n(Find(path)->bytes.begin() + static_cast<ptrdiff_t>(begin), to.size(), to.begin());
  return {};
}

Result<std::vector<FolderEntry>> MemoryFiles::ListFolder(const std::string& path) {
  SM_TRY(CheckAlive(path));
  const std::string folder =
      path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
  std::vector<FolderEntry> entries;
  for (const auto& [name, node] : nodes_) {
    if (name == folder || FolderOf(name) != folder) continue;
    const size_t slash = name.find_last_of('/');
    entries.push_back({slash == std::string::npos ? name : name.substr(slash + 1), node->folder,
                       node->bytes.size()});
  }
  return entries;
}

Result<> MemoryFiles::MakeFolder(const std::string& path) {
  return Change(path, [&]() -> Result<> {
    if (!Find(FolderOf(path))) return Absent(path);
    if (!Find(path)) nodes_[path] = std::make_shared<Node>(Node{true});
    return {};
  });
}

Result<> MemoryFiles::SyncFolder(const std::string& path) {
  return Change(path, [&]() -> Result<> {
    if (!Find(path)) return Absent(path);
    const auto inside = [&](const auto& entry) {
      return entry.first != path && FolderOf(entry.first) == path;
    };
    std::erase_if(lasting_, inside);
    for (const auto& entry : nodes_) {
      if (inside(entry)) lasting_.insert(entry);
    }
    return {};
  });
}

Result<> MemoryFiles::Rename(const std::string& from, const std::string& to) {
  return Change(from, [&]() -> Result<> {
    const auto found = nodes_.find(from);
    if (found == nodes_.end() || !Find(FolderOf(to))) return Absent(from);
    nodes_[to] = found->second;
    nodes_.erase(from);
    return {};
  });
}

Result<> MemoryFiles::RemoveFile(const std::string& path) {
  return Change(path, [&]() -> Result<> {
    nodes_.erase(path);
    return {};
  });
}

Result<> MemoryFiles::RemoveFolder(const std::string& path) {
  return Change(path, [&]() -> Result<> {
    const bool empty = std::ranges::none_of(
        nodes_, [&](const auto& entry) { return FolderOf(entry.first) == path; });
    if (empty) nodes_.erase(path);
    return {};
  });
}

void MemoryFiles::Spoil(const std::string& path, uint64_t at, std::byte bits) {
  SM_ASSERT(Find(path) && at < Find(path)->bytes.size());
  Find(path)->bytes[at] ^= bits;
}

void MemoryFiles::Truncate(const std::string& path, uint64_t bytes) {
  SM_ASSERT(Find(path) && bytes <= Find(path)->bytes.size());
  Find(path)->bytes.resize(bytes);
  Find(path)->synced = std::min<uint64_t>(Find(path)->synced, bytes);
}

}  // namespace shardmill
