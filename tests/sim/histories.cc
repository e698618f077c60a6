// Runs seeded histories of a simulated cluster and counts violations:
//   bazel run //tests/sim:histories -- --count 1000 --seed 1 [--json]
// A history is its seed: `--count 1 --seed S` replays one. Where the digest of the same seeds is
// the same, so are their histories.

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include "common/rng.h"
#include "sim/cluster.h"

namespace {

using shardmill::sim::Cluster;
using shardmill::sim::Outcome;
using shardmill::sim::Scenario;

// What is counted over all histories, and what it is called.
struct Count {
  uint64_t Outcome::*count;
  const char* words;
};
constexpr Count kCounts[] = {
    {&Outcome::events, "events"},
    {&Outcome::crashes, "crashes"},
    {&Outcome::replaced, "replaced workers"},
    {&Outcome::restarts, "restarts of the coordinator"},
    {&Outcome::bad_links, "bad links"},
    {&Outcome::snapshots, "snapshots"},
    {&Outcome::resumed, "new beginnings from one"},
    {&Outcome::rollbacks, "rollbacks"},
    {&Outcome::promotions, "promotions"},
    {&Outcome::moved, "moves"},
    {&Outcome::copies, "replicas compared"},
    {&Outcome::restored, "shards restored from their logs"},
    {&Outcome::power_cuts, "power cuts"},
    {&Outcome::joins, "workers that joined"},
    {&Outcome::leaves, "that left"},
};

struct Arguments {
  uint64_t count = 1000;
  uint64_t seed = 1;
  bool json = false;
};

bool Parse(const std::vector<std::string>& words, Arguments& arguments) {
  for (size_t i = 0; i < words.size(); ++i) {
    const bool has_value = i + 1 < words.size();
    if (words[i] == "--json") {
      arguments.json = true;
    } else if (words[i] == "--count" && has_value) {
      arguments.count = std::strtoull(words[++i].c_str(), nullptr, 10);
    } else if (words[i] == "--seed" && has_value) {
      arguments.seed = std::strtoull(words[++i].c_str(), nullptr, 10);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse({argv + 1, argv + argc}, arguments)) {
    std::fprintf(stderr, "usage: histories [--count N] [--seed S] [--json]\n");
    return 2;
  }
  std::array<uint64_t, std::size(kCounts)> sums{};
  uint64_t digest = 0;
  uint64_t violations = 0;
  uint64_t first_seed = 0;
  shardmill::FramePool frames(shardmill::FramePool::Memory::kPrivate);
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.count; ++seed) {
    const Outcome outcome = Cluster(Scenario::FromSeed(seed), frames).Run();
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += outcome.*kCounts[i].count;
    digest = shardmill::Mix(digest ^ outcome.digest);
    if (outcome.violations.empty()) continue;
    if (violations++ == 0) first_seed = seed;
    std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed),
                 outcome.violations.front().c_str());
  }
  const auto print = [](uint64_t n) { return std::to_string(n); };
  if (arguments.json) {
    std::printf("{\"histories\":%s,\"events\":%s,\"digest\":\"%016llx\",\"violations\":%s,",
                print(arguments.count).c_str(), print(sums[0]).c_str(),
                static_cast<unsigned long long>(digest), print(violations).c_str());
    std::printf("\"first_seed\":%s}\n", violations == 0 ? "null" : print(first_seed).c_str());
  } else {
    std::printf("%s histories", print(arguments.count).c_str());
    for (size_t i = 0; i < sums.size(); ++i) {
      std::printf(", %s %s", print(sums[i]).c_str(), kCounts[i].words);
    }
    std::printf(", %s violations; digest %016llx\n", print(violations).c_str(),
                static_cast<unsigned long long>(digest));
    if (violations > 0) {
      std::printf("replay the first: --count 1 --seed %s\n", print(first_seed).c_str());
    }
  }
  return violations == 0 ? 0 : 1;
}
