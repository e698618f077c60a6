// Runs seeded histories of a simulated cluster and counts violations:
//   bazel run //tests/sim:histories -- --count 1000 --seed 1 [--json] [--verbose]
// A history is its seed: `--count 1 --seed S` replays one.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "sim/cluster.h"

namespace {

struct Arguments {
  uint64_t count = 1000;
  uint64_t seed = 1;
  bool json = false;
  bool verbose = false;
};

bool Parse(const std::vector<std::string>& words, Arguments& arguments) {
  for (size_t i = 0; i < words.size(); ++i) {
    const bool has_value = i + 1 < words.size();
    if (words[i] == "--json") {
      arguments.json = true;
    } else if (words[i] == "--verbose") {
      arguments.verbose = true;
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
    std::fprintf(stderr, "usage: histories [--count N] [--seed S] [--json] [--verbose]\n");
    return 2;
  }
  uint64_t events = 0;
  uint64_t violations = 0;
  uint64_t crashes = 0;
  uint64_t replaced = 0;
  uint64_t restarts = 0;
  uint64_t snapshots = 0;
  uint64_t resumed = 0;
  uint64_t rollbacks = 0;
  uint64_t joins = 0;
  uint64_t leaves = 0;
  uint64_t promotions = 0;
  uint64_t moves = 0;
  uint64_t copies = 0;
  uint64_t restored = 0;
  uint64_t power_cuts = 0;
  uint64_t first_seed = 0;
  for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.count; ++seed) {
    shardmill::sim::Cluster cluster(shardmill::sim::Scenario::FromSeed(seed));
    const shardmill::sim::Outcome outcome = cluster.Run();
    events += outcome.events;
    crashes += outcome.crashes;
    replaced += outcome.replaced;
    restarts += outcome.restarts;
    snapshots += outcome.snapshots;
    resumed += outcome.resumed;
    rollbacks += outcome.rollbacks;
    joins += outcome.joins;
    leaves += outcome.leaves;
    promotions += outcome.promotions;
    moves += outcome.moved;
    copies += outcome.copies;
    restored += outcome.restored;
    power_cuts += outcome.power_cuts;
    if (outcome.violations.empty()) continue;
    if (violations++ == 0) first_seed = seed;
    std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed),
                 outcome.violations.front().c_str());
  }
  const auto print = [](uint64_t n) { return std::to_string(n); };
  if (arguments.json) {
    std::printf("{\"histories\":%s,\"events\":%s,\"violations\":%s,\"first_seed\":%s}\n",
                print(arguments.count).c_str(), print(events).c_str(), print(violations).c_str(),
                violations == 0 ? "null" : print(first_seed).c_str());
  } else {
    std::printf(
        "%s histories, %s events, %s crashes, %s replaced workers, "
        "%s restarts of the coordinator, %s snapshots, %s new beginnings from one, "
        "%s rollbacks, %s promotions, %s moves, %s replicas compared, "
        "%s shards restored from their logs, %s power cuts, %s workers that joined, %s that left, "
        "%s violations\n",
        print(arguments.count).c_str(), print(events).c_str(), print(crashes).c_str(),
        print(replaced).c_str(), print(restarts).c_str(), print(snapshots).c_str(),
        print(resumed).c_str(), print(rollbacks).c_str(), print(promotions).c_str(),
        print(moves).c_str(), print(copies).c_str(), print(restored).c_str(),
        print(power_cuts).c_str(), print(joins).c_str(), print(leaves).c_str(),
        print(violations).c_str());
    if (violations > 0) {
      std::printf("replay the first: --count 1 --seed %s\n", print(first_seed).c_str());
    }
  }
  return violations == 0 ? 0 : 1;
}
