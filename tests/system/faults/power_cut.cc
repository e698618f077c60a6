#include "tests/system/faults/power_cut.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

namespace shardmill::chaos {
namespace {

namespace fs = std::filesystem;

// One cut. Lives for it, on its thread.
class Cut final {
 public:
  Cut(Rng& rng, const DiskNotes& notes)
      : rng_(rng), notes_(notes), sector_bytes_(rng.Chance(0.5) ? 512 : 4096) {}

  const PowerCut& done() const { return done_; }

  // `lasts`: the names that are in it for sure; nothing happens to others than those `of`.
  void InFolder(const fs::path& folder, const DiskNotes::Names& lasts,
                const std::set<std::string>& of) {
    const DiskNotes::Names names = DiskNotes::NamesIn(folder);
    for (const auto& [name, entry] : names) {
      if (of.contains(name) && !entry.folder) notes_.Keep(folder / name);
    }
    for (const std::string& name : of) {
      const auto now = names.find(name);
      const auto before = lasts.find(name);
      const bool is = now != names.end();
      const bool was = before != lasts.end();
      const bool changed = is != was || (is && now->second != before->second);
      const bool back = changed && rng_.Chance(0.5);
      if (back) Undo(folder / name, was ? &before->second : nullptr);
      if (back ? was : is) InEntry(folder / name, back ? before->second : now->second);
    }
    notes_.SetLastingNames(DiskNotes::IdOf(folder), DiskNotes::NamesIn(folder));
  }

 private:
  void Undo(const fs::path& path, const DiskNotes::Entry* before) {
    ++done_.names;
    std::error_code why;
    fs::remove_all(path, why);
    if (before == nullptr) return;
    if (before->folder) {
      fs::create_directory(path, why);
    } else {
      fs::create_hard_link(notes_.KeptPath(before->id), path, why);
    }
  }

  void InEntry(const fs::path& path, const DiskNotes::Entry& entry) {
    if (!entry.folder) return InFile(path, entry.id);
    const DiskNotes::Names lasts = notes_.LastingNames(entry.id);
    std::set<std::string> all;
    for (const auto& [name, is] : lasts) all.insert(name);
    for (const auto& [name, is] : DiskNotes::NamesIn(path)) all.insert(name);
    InFolder(path, lasts, all);
  }

  void InFile(const fs::path& path, const DiskNotes::Id& id) {
    std::error_code why;
    const uint64_t size = fs::file_size(path, why);
    if (why) return;
    const std::optional<uint64_t> noted = notes_.Bytes(id);
    if (noted) ++done_.known;
    const uint64_t synced = noted.value_or(0);
    if (synced >= size) return;
    const uint64_t end = synced + rng_.Below(size - synced + 1);
    fs::resize_file(path, end, why);
    done_.cut += end < size ? 1 : 0;
    if (rng_.Chance(0.5)) Tear(path, synced, end);
    notes_.SetBytes(id, end);
  }

  // Some sectors of what lies between have not come.
  void Tear(const fs::path& path, uint64_t begin, uint64_t end) {
    const double lost = rng_.Uniform();
    bool torn = false;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    while (begin < end) {
      const uint64_t next = std::min(end, (begin / sector_bytes_ + 1) * sector_bytes_);
      if (rng_.Chance(lost)) {
        file.seekp(static_cast<std::streamoff>(begin));
        file << std::string(next - begin, '\0');
        torn = true;
      }
      begin = next;
    }
    done_.torn += torn ? 1 : 0;
  }

  Rng& rng_;
  const DiskNotes& notes_;
  uint64_t sector_bytes_;
  PowerCut done_;
};

}  // namespace

Result<PowerCut> CutPower(Rng& rng, const DiskNotes& notes, const std::string& folder,
                          const std::vector<std::string>& names) {
  Cut cut(rng, notes);
  const std::string id = DiskNotes::IdOf(folder);
  if (id.empty()) return Error{ErrorCode::kFailed, folder + ": there is no such folder"};
  cut.InFolder(folder, notes.LastingNames(id), {names.begin(), names.end()});
  return cut.done();
}

}  // namespace shardmill::chaos
