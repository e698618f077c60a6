#include "snapshot/folder.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "snapshot/shard_file.h"

namespace shardmill {
namespace {

constexpr const char* kManifestName = "manifest";
constexpr const char* kTokenName = "/seen-by-all";
constexpr size_t kNumberDigits = 12;
constexpr uint64_t kTokenBytesMax = 64;

// A blob's job, snapshot and name in it; nothing where it does not lie in a snapshot.
struct Place {
  std::string job;
  uint64_t number = 0;
  std::string file;
};
std::optional<Place> PlaceIn(const std::string& name) {
  const size_t first = name.find('/');
  const size_t second = first == std::string::npos ? first : name.find('/', first + 1);
  if (second == std::string::npos) return {};
  const auto number = NumberOf(std::string_view(name).substr(first + 1, second - first - 1));
  if (!number) return {};
  return Place{name.substr(0, first), *number, name.substr(second + 1)};
}

// Whether the job is the snapshot's own, or one that this goes on from.
bool IsOfLine(const Manifest& of, JobId job) {
  return job == of.job || std::ranges::find(of.line, job) != of.line.end();
}

}  // namespace

std::string FolderOf(const std::string& job, uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < kNumberDigits) digits.insert(0, kNumberDigits - digits.size(), '0');
  return job + "/" + digits + "/";
}

std::optional<uint64_t> NumberOf(std::string_view folder) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(folder.data(), folder.data() + folder.size(), number);
  const bool whole = error == std::errc() && end == folder.data() + folder.size();
  if (!whole || FolderOf("", number) != "/" + std::string(folder) + "/") return {};
  return number;
}

Result<> WriteManifest(BlobStore& store, const Manifest& manifest) {
  return WriteBlob(store, FolderOf(manifest.name, manifest.number) + kManifestName,
                   EncodeManifest(manifest));
}

Result<Manifest> ReadManifest(BlobStore& store, const std::string& folder) {
  const std::string name = folder + kManifestName;
  const std::string bytes = SM_TRY(ReadBlob(store, name, kManifestBytesMax));
  Result<Manifest> manifest = DecodeManifest(bytes);
  if (manifest.ok()) return manifest;
  return Error{manifest.error().code, store.PlaceOf(name) + ": " + manifest.error().message};
}

Result<std::vector<FoundSnapshot>> ListSnapshots(BlobStore& store, const std::string& job) {
  const std::vector<BlobInfo> blobs = SM_TRY(store.List(job.empty() ? "" : job + "/"));
  std::vector<FoundSnapshot> found;
  for (const BlobInfo& blob : blobs) {
    const std::optional<Place> place = PlaceIn(blob.name);
    if (!place || place->file != kManifestName) continue;
    FoundSnapshot& snapshot = found.emplace_back(FoundSnapshot{place->job, place->number});
    Result<Manifest> manifest = ReadManifest(store, snapshot.folder());
    if (manifest.ok()) {
      snapshot.manifest = std::move(*manifest);
    } else {
      snapshot.problem = manifest.error().message;
    }
  }
  std::ranges::sort(found, {}, [](const FoundSnapshot& one) {
    return std::pair<const std::string&, uint64_t>(one.job, one.number);
  });
  return found;
}

std::vector<FoundSnapshot> Expired(const std::vector<FoundSnapshot>& snapshots,
                                   const Retention& retention, int64_t now_ms) {
  std::vector<FoundSnapshot> expired;
  uint64_t newer = 0;
  for (auto one = snapshots.rbegin(); one != snapshots.rend(); ++one) {
    if (!one->manifest) continue;
    const bool too_many = retention.count_max > 0 && newer >= retention.count_max;
    const bool too_old =
        retention.age_ms_max > 0 && one->manifest->time_ms < now_ms - retention.age_ms_max;
    if (newer > 0 && (too_many || too_old)) expired.push_back(*one);
    ++newer;
  }
  std::ranges::reverse(expired);
  return expired;
}

Result<uint64_t> HighestNumber(BlobStore& store, const std::string& job) {
  uint64_t highest = 0;
  const std::vector<BlobInfo> blobs = SM_TRY(store.List(job + "/"));
  for (const BlobInfo& blob : blobs) {
    const std::optional<Place> place = PlaceIn(blob.name);
    if (place) highest = std::max(highest, place->number);
  }
  return highest;
}

Result<> RemoveSnapshot(BlobStore& store, const std::string& folder) {
  SM_TRY(store.Remove(folder + kManifestName));
  SM_TRY(store.RemoveUnfinished(folder));
  const std::vector<BlobInfo> blobs = SM_TRY(store.List(folder));
  for (const BlobInfo& blob : blobs) SM_TRY(store.Remove(blob.name));
  return {};
}

Result<uint64_t> RemoveIncomplete(BlobStore& store, const Manifest& newest) {
  const std::vector<BlobInfo> blobs = SM_TRY(store.List(newest.name + "/"));
  std::map<uint64_t, bool> stays;
  for (const BlobInfo& blob : blobs) {
    const std::optional<Place> place = PlaceIn(blob.name);
    if (!place || place->number >= newest.number) continue;
    bool& whole = stays[place->number];
    whole = whole || place->file == kManifestName;
  }
  for (const BlobInfo& blob : blobs) {
    const std::optional<Place> place = PlaceIn(blob.name);
    if (!place || place->number >= newest.number || stays[place->number]) continue;
    const Result<ShardHead> head = ReadShardHead(store, blob.name);
    stays[place->number] = head.ok() && !IsOfLine(newest, head.value().job);
  }
  uint64_t removed = 0;
  for (const auto& [number, stay] : stays) {
    if (stay) continue;
    SM_TRY(RemoveSnapshot(store, FolderOf(newest.name, number)));
    ++removed;
  }
  return removed;
}

Result<> CleanUp(BlobStore& store, const Manifest& newest, const Retention& retention,
                 int64_t now_ms) {
  // A writer that was killed may have had the same number, and no file that anybody could see.
  SM_TRY(store.RemoveUnfinished(FolderOf(newest.name, newest.number)));
  SM_TRY(RemoveIncomplete(store, newest));
  std::vector<FoundSnapshot> found = SM_TRY(ListSnapshots(store, newest.name));
  std::erase_if(found, [&](const FoundSnapshot& one) {
    return !one.manifest || !IsOfLine(newest, one.manifest->job);
  });
  for (const FoundSnapshot& expired : Expired(found, retention, now_ms)) {
    SM_TRY(RemoveSnapshot(store, expired.folder()));
  }
  return {};
}

Result<> LeaveToken(BlobStore& store, const std::string& job, JobId token) {
  return WriteBlob(store, job + kTokenName, std::to_string(token.value));
}

Result<> CheckToken(BlobStore& store, const std::string& job, JobId token) {
  const std::string name = job + kTokenName;
  const Result<std::string> found = ReadBlob(store, name, kTokenBytesMax);
  if (found.ok() && found.value() == std::to_string(token.value)) return {};
  return Error{ErrorCode::kBadUsage,
               store.PlaceOf(name) + ": " +
                   (found.ok() ? "it has another token than" : "the token is not here that") +
                   " the coordinator left: snapshots must go to one folder that every server sees; "
                   "mount the same one on all of them"};
}

Result<> KeepToken(BlobStore& store, const std::string& job, JobId token) {
  const std::string name = job + kTokenName;
  const Result<std::string> found = ReadBlob(store, name, kTokenBytesMax);
  if (found.ok() && found.value() == std::to_string(token.value)) return {};
  if (!found.ok()) return LeaveToken(store, job, token);
  return Error{ErrorCode::kBadUsage,
               store.PlaceOf(name) +
                   ": another job of this name keeps its snapshots here, too; "
                   "give one of them another job.name or snapshot.to"};
}

}  // namespace shardmill
