// A sparse table that grows to ten million rows: how long its worst call takes.
#include <time.h>

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "bench/benchmarks.h"
#include "bench/ready_shard.h"
#include "common/rng.h"

namespace shardmill::bench {
namespace {

constexpr uint64_t kRows = 10'000'000;
constexpr uint32_t kDim = 16;
constexpr uint64_t kCallRows = 256;

// Of this thread: what other processes of the machine take is no pause of ours.
double CpuMilliseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// Calls `add` with the new keys of each call; the longest call.
template <class Add>
Result<double> LongestCall(Add add) {
  std::vector<uint64_t> keys(kCallRows);
  double longest = 0;
  for (uint64_t row = 0; row < kRows; row += kCallRows) {
    for (uint64_t i = 0; i < kCallRows; ++i) keys[i] = Mix(row + i);
    const double begin = CpuMilliseconds();
    SM_TRY(add(keys));
    longest = std::max(longest, CpuMilliseconds() - begin);
  }
  return longest;
}

class GrowthSides final : public Sides {
 public:
  Result<double> Product() override {
    UpdateSettings settings;
    settings.rule = UpdateRule::kSgd;
    ReadyShard shard({"rows", 0, {}, kDim, settings});
    const Frame gradient = Frame::CopyOf(std::vector<float>(kCallRows * kDim, 0.5F));
    uint64_t step = 0;
    return LongestCall([&](const std::vector<uint64_t>& keys) -> Result<> {
      ++step;
      shard.Say(Unit{ReadyShard::kSender,
                     step,
                     0,
                     0,
                     ReadyShard::kTable,
                     0,
                     gradient,
                     {step, Frame::CopyOf(std::span<const uint64_t>(keys))}});
      const Outbox& ended = shard.Say(End{ReadyShard::kSender, step, 0, 1, 1});
      if (!ended.empty() && std::holds_alternative<Ended>(ended.front().message)) return {};
      return Error{ErrorCode::kFailed, "the shard did not apply a push"};
    });
  }
  Result<double> Baseline() override {
    std::unordered_map<uint64_t, std::array<float, kDim>> map;
    return LongestCall([&](const std::vector<uint64_t>& keys) -> Result<> {
      for (const uint64_t key : keys) map[key].fill(0.5F);
      return {};
    });
  }
};

}  // namespace

std::vector<Benchmark> GrowthBenchmarks() {
  return {{"growth.pause", "ms",
           "the longest push of 256 new rows while a table grows to ten million rows of 16 floats, "
           "through a shard alone, in processor time of its thread; baseline: a "
           "std::unordered_map that grows alike",
           Judge::kValueAtMost, 5,
           [](const Programs&) -> Result<Prepared> {
             return Prepared{std::make_unique<GrowthSides>(), ""};
           },
           2}};
}

}  // namespace shardmill::bench
