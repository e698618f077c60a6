#include "snapshot/resume.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "snapshot/folder.h"

namespace shardmill {

Result<Manifest> FindResumed(BlobStore& store, const std::string& job, const std::string& resume) {
  std::vector<FoundSnapshot> found = SM_TRY(ListSnapshots(store, job));
  const auto none = [&](const std::string& what) {
    return Error{ErrorCode::kBadUsage,
                 store.PlaceOf(job) + ": " + what +
                     " (snapshot.resume); `shardmill snapshot ls` shows what is there"};
  };
  if (resume == kLatestSnapshot) {
    if (found.empty()) return none("there is no snapshot to begin from");
    const auto sound = [](const FoundSnapshot& one) { return one.manifest.has_value(); };
    const auto last = std::find_if(found.rbegin(), found.rend(), sound);
    if (last == found.rend()) return none(found.back().problem);
    return std::move(*last->manifest);
  }
  const auto same = [&](const FoundSnapshot& one) { return std::to_string(one.number) == resume; };
  const auto one = std::ranges::find_if(found, same);
  if (one == found.end()) return none("there is no snapshot " + resume);
  if (!one->manifest) return none(one->problem);
  return std::move(*one->manifest);
}

std::string RowsProblem(const Manifest& from, const JobKeyList& keys, bool leased) {
  constexpr std::array<std::string_view, 7> kColumns = {
      "data.format", "data.label",    "data.target", "data.categories",
      "data.object", "data.features", "data.buckets"};
  const std::string name = "snapshot " + std::to_string(from.number);
  for (const JobKeyChange& change : ChangesOf(from.keys, keys)) {
    if (std::ranges::find(kColumns, change.key) != kColumns.end()) {
      return name + " is of a job that read other columns: " + change.Words() +
             "; put that back, or begin anew";
    }
    // Steps, and so the places in the data, are counted by these.
    const bool counts =
        change.key == "job.seed" || change.key == "data.split" ||
        ((change.key == "data.batch_size" || change.key == "train.accumulate") && !leased);
    if (!counts) continue;
    return name + " is of a job of other steps: " + change.Words() +
           "; put that back, or begin anew";
  }
  return "";
}

}  // namespace shardmill
