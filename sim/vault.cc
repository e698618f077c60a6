#include "sim/vault.h"

#include <algorithm>
#include <utility>

#include "common/rng.h"
#include "sim/elsewhere.h"
#include "snapshot/folder.h"
#include "snapshot/verify.h"

namespace shardmill::sim {
namespace {

constexpr const char* kJob = "job";

}  // namespace

Vault::Vault(uint64_t seed, FramePool& frames)
    : rng_(Mix(seed)), frames_(frames), files_(Mix(seed ^ 0xd15c)), store_(files_, "disk") {}

void Vault::MakeRoom(size_t shards) {
  while (desks_.size() < shards) desks_.push_back(std::make_unique<DiskDesk>(store_, kJob));
  loads_.resize(desks_.size());
  answers_.resize(desks_.size());
}

void Vault::Work(uint32_t index, Shard& shard, Outbox& outbox) {
  std::deque<DiskAnswer>& answers = answers_[index];
  std::optional<DiskRequest>& load = loads_[index];
  if ((shard.DiskWaits() || load) && answers.empty() && rng_.Chance(0.5)) {
    std::optional<DiskRequest> request = std::exchange(load, {});
    if (!request) request = shard.NextDiskRequest(1 + rng_.Below(3));
    if (request && std::holds_alternative<LoadTables>(*request) && files_.crashed()) {
      load = std::move(request);
    } else if (request) {
      desks_[index]->Do(*request, [&](DiskAnswer answer) -> Result<> {
        answers.push_back(std::move(answer));
        return {};
      });
    }
  }
  for (; !answers.empty() && rng_.Chance(0.7); answers.pop_front()) {
    shard.Handle(std::move(answers.front()), outbox);
  }
}

Result<> Vault::Keep(const Manifest& manifest) {
  SM_TRY(WriteManifest(store_, manifest));
  kept_ = manifest.number;
  // What could not be removed is so the next time.
  static_cast<void>(CleanUp(store_, manifest, {2, 0}, manifest.time_ms));
  return {};
}

void Vault::Restart() {
  for (size_t i = 0; i < desks_.size(); ++i) {
    desks_[i]->Drop(Error{ErrorCode::kFailed, "the disk is gone"},
                    [&](DiskAnswer answer) -> Result<> {
                      answers_[i].push_back(std::move(answer));
                      return {};
                    });
  }
  files_.Restart();
}

void Vault::ForgetShard(uint32_t index) {
  answers_[index].clear();
  loads_[index].reset();
  desks_[index] = std::make_unique<DiskDesk>(store_, kJob);
}

void Vault::Forget(bool power) {
  for (uint32_t i = 0; i < desks_.size(); ++i) ForgetShard(i);
  if (power || files_.crashed()) files_.Restart();
}

std::optional<Manifest> Vault::Newest() {
  auto found = ListSnapshots(store_, kJob);
  if (!found.ok() || found->empty()) return {};
  return found->back().manifest;
}

std::vector<Manifest> Vault::Complete() {
  std::vector<Manifest> complete;
  auto found = ListSnapshots(store_, kJob);
  if (!found.ok()) return complete;
  for (FoundSnapshot& one : found.value()) {
    if (one.manifest) complete.push_back(std::move(*one.manifest));
  }
  return complete;
}

uint64_t Vault::HighestNumber() {
  const auto highest = shardmill::HighestNumber(store_, kJob);
  return highest.ok() ? highest.value() : 0;
}

std::string Vault::Problem(size_t looked_into) {
  if (files_.crashed()) return "";
  auto found = ListSnapshots(store_, kJob);
  if (!found.ok()) return "snapshots cannot be listed: " + found.error().message;
  for (size_t i = 0; i < found->size(); ++i) {
    const FoundSnapshot& snapshot = (*found)[i];
    const std::string name = "snapshot " + std::to_string(snapshot.number) + ": ";
    if (!snapshot.manifest) return name + snapshot.problem;
    if (found->size() - i > looked_into) continue;
    auto report = VerifySnapshot(store_, snapshot.folder());
    if (!report.ok()) return name + report.error().message;
    if (!report->problems.empty()) return name + report->problems.front();
  }
  const uint64_t newest = found->empty() ? 0 : found->back().number;
  return newest >= kept_ ? "" : "snapshot " + std::to_string(kept_) + " is gone";
}

std::string Vault::RestoreProblem(const Manifest& manifest, uint32_t shards, const Policy& policy) {
  MemoryFiles files(1);
  FolderStore scratch(files, "disk");
  Elsewhere elsewhere(store_, scratch, kJob, manifest, shards, policy, frames_);
  const std::optional<Manifest> again = elsewhere.Run();
  const std::string words =
      "snapshot " + std::to_string(manifest.number) + " on " + std::to_string(shards) + " shards ";
  if (!again) return words + "does not begin: " + elsewhere.words();
  const size_t ranks = manifest.cut.empty() && manifest.data.rows > 0 ? 1 : manifest.cut.size();
  if (again->cut.size() != ranks) return words + "has other ranks";
  if (again->data.used != manifest.data.used || again->data.returned != manifest.data.returned) {
    return words + "has used other data";
  }
  for (size_t i = 0; i < manifest.cut.size(); ++i) {
    if (again->cut[i].ended != manifest.cut[i].ended) return words + "is at other steps";
  }
  return ContentOf(*again) == ContentOf(manifest) ? "" : words + "is another state";
}

}  // namespace shardmill::sim
