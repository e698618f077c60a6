// Makes snapshots as coordinator and servers do, by their cores, in one process that can be told to
// kill itself at any change of the file system:
//   saver make TO SHARDS            a snapshot of a state made up on the spot
//   saver FROM TO SHARDS KILL HOW   begins from FROM's newest on so many shards, saves to TO
// The second ends with a line that says how many changes it has made.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "common/blob/folder_store.h"
#include "sim/elsewhere.h"
#include "snapshot/folder.h"
#include "tests/snapshot/world.h"
#include "tests/system/chaos/killing_files.h"

namespace shardmill::chaos {
namespace {

constexpr const char* kJob = "job";

Result<> Make(const std::string& to, uint32_t shards) {
  PosixFiles files;
  FolderStore store(files, to);
  Manifest manifest = ManifestOf(1, shards);
  for (TablePlace& table : manifest.view.tables) table.spec.update->rule = UpdateRule::kAdam;
  for (uint32_t i = 0; i < shards; ++i) {
    manifest.files.push_back(SM_TRY(SaveShard(store, manifest, i)));
  }
  return WriteManifest(store, manifest);
}

Result<> Save(const std::string& from, const std::string& to, uint32_t shards, KillPoint point) {
  PosixFiles files;
  FolderStore old(files, from);
  const std::vector<FoundSnapshot> found = SM_TRY(ListSnapshots(old, kJob));
  if (found.empty() || !found.back().manifest) {
    return Error{ErrorCode::kBadUsage, from + " has no snapshot"};
  }
  KillingFiles killing(point);
  FolderStore store(killing, to);
  Manifest newest = *found.back().manifest;
  FramePool frames(FramePool::Memory::kPrivate);
  sim::Elsewhere elsewhere(old, store, kJob, newest, shards, Policy{}, frames);
  const std::optional<Manifest> manifest = elsewhere.Run();
  if (!manifest) return Error{ErrorCode::kFailed, "no snapshot: " + elsewhere.words()};
  SM_TRY(WriteManifest(store, *manifest));
  SM_TRY(CleanUp(store, *manifest, {1, 0}, manifest->time_ms));
  std::printf("%llu\n", static_cast<unsigned long long>(killing.changes()));
  return {};
}

uint64_t Number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

int Main(const std::vector<std::string>& words) {
  Result<> done;
  if (words.size() == 3 && words[0] == "make") {
    done = Make(words[1], static_cast<uint32_t>(Number(words[2])));
  } else if (words.size() == 5) {
    done = Save(words[0], words[1], static_cast<uint32_t>(Number(words[2])),
                {Number(words[3]), static_cast<KillPoint::How>(Number(words[4]))});
  } else {
    std::fprintf(stderr, "usage: saver make TO SHARDS, or FROM TO SHARDS KILL HOW\n");
    return 2;
  }
  if (done.ok()) return 0;
  std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return 1;
}

}  // namespace
}  // namespace shardmill::chaos

int main(int argc, char** argv) {
  return shardmill::chaos::Main(std::vector<std::string>(argv + 1, argv + argc));
}
