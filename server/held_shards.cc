#include "server/held_shards.h"

#include <algorithm>
#include <new>
#include <utility>

#include "common/process/cpu_set.h"

namespace shardmill {

namespace {

// What lacks memory on the way, other than a table that is to be made, ends the server in words.
Result<> RunWithinMemory(ShardAgent& agent, const StopSource& stop) {
  try {
    return agent.Run(stop);
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kUnavailable,
                 "the server has not enough memory for its tables and what is pushed to them: give "
                 "it more, or spread the job over more servers (cluster.servers)"};
  }
}

}  // namespace

std::string NameOf(HostedCopy copy) {
  return "shard " + std::to_string(copy.shard.value) +
         (copy.copy == 0 ? "" : ", copy " + std::to_string(copy.copy));
}

HeldShards::HeldShards(Make make, std::vector<uint32_t> cpus, StopSource& stop, const Log& log)
    : make_(std::move(make)), cpus_(std::move(cpus)), stop_(stop), log_(log) {}

HeldShards::~HeldShards() {
  for (const auto& one : running_) {
    one->agent->Close();
    one->thread.join();
  }
}

Result<> HeldShards::Become(const std::vector<HostedCopy>& copies) {
  for (const auto& one : running_) {
    if (std::ranges::find(copies, one->copy) == copies.end()) one->agent->Close();
  }
  std::erase_if(running_, [&](const std::unique_ptr<Running>& one) {
    const bool gone = one->ended && std::ranges::find(copies, one->copy) == copies.end();
    if (!gone && !(one->ended && one->again)) return false;
    one->thread.join();
    log_.Info("shard_closed", {{"shard", one->copy.shard.value}, {"copy", one->copy.copy}});
    return true;
  });
  for (const HostedCopy copy : copies) {
    // One copy of a shard at a time: the next is opened when the one before has ended.
    const auto same = [copy](const auto& one) { return one->copy.shard == copy.shard; };
    if (stop_.requested() || std::ranges::any_of(running_, same)) continue;
    SM_TRY(Open(copy));
  }
  unready_.Set(UnreadyWords());
  let_in_ = std::ranges::any_of(running_, [](const auto& one) { return one->agent->let_in(); });
  return {};
}

Result<> HeldShards::Open(HostedCopy copy) {
  auto added = std::make_unique<Running>();
  added->copy = copy;
  added->place = FreePlace();
  added->agent = SM_TRY(make_(copy, added->place));
  Running& one = *running_.emplace_back(std::move(added));
  one.thread = std::thread([this, &one] {
    if (!cpus_.empty()) StayOnCpu(cpus_[one.place % cpus_.size()]);
    TakeEnd(one, RunWithinMemory(*one.agent, stop_));
  });
  return {};
}

void HeldShards::TakeEnd(Running& one, const Result<>& ran) {
  one.again =
      !ran.ok() && ran.error().code == ErrorCode::kUnavailable && let_in_ && !one.agent->let_in();
  if (one.again) {
    log_.Warn(
        "shard_not_let_in",
        {{"shard", one.copy.shard.value}, {"copy", one.copy.copy}, {"why", ran.error().message}});
  } else if (!ran.ok()) {
    if (!failure_.Get()) failure_.Set(ran.error());
    stop_.Request(StopReason::kFailed);
  }
  one.ended = true;
}

uint32_t HeldShards::FreePlace() const {
  uint32_t place = 0;
  const auto taken = [&place](const auto& one) { return one->place == place; };
  while (std::ranges::any_of(running_, taken)) ++place;
  return place;
}

std::vector<BootId> HeldShards::BusyFor(Duration least, Duration most) const {
  std::vector<BootId> busy;
  for (const auto& one : running_) {
    if (one->ended) continue;
    if (const auto boot = one->agent->BusyFor(least, most)) busy.push_back(*boot);
  }
  return busy;
}

bool HeldShards::Ended() const {
  return std::ranges::all_of(running_, [](const auto& one) { return one->ended.load(); });
}

Result<> HeldShards::End(const Result<>& ran) {
  if (!ran.ok()) stop_.Request(StopReason::kFailed);
  for (const auto& one : running_) one->thread.join();
  running_.clear();
  const std::optional<Error> failure = failure_.Get();
  if (failure) return *failure;
  return ran;
}

std::string HeldShards::UnreadyWords() const {
  if (stop_.requested()) return "this server is told to stop";
  std::string words;
  for (const auto& one : running_) {
    if (one->agent->ready()) continue;
    words += (words.empty() ? "" : "; ") + NameOf(one->copy);
  }
  return words.empty() ? "" : words + " has no view yet, or not yet what its primary has";
}

}  // namespace shardmill
