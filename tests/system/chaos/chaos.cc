// Makes trouble for clusters of real processes and counts what they break of what they promise:
//   bazel run //tests/system:chaos -- --scenario NAME --count N [--seed S] [--resume FILE] [--json]
//       [--minutes N] [--shard-mib N]
// A trial is its seed: `--count 1 --seed S` makes the same cluster and the same trouble again, as
// far as the machine's own timing lets it. With --resume the trials add up over several runs.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/config/environment.h"
#include "tests/system/chaos/campaign.h"

namespace shardmill::chaos {
namespace {

struct Arguments {
  std::string scenario = {};
  uint64_t count = 10;
  uint64_t seed = 1;
  std::string resume = {};
  std::string logs = {};
  uint64_t minutes = 20;
  uint64_t shard_mib = 0;
  bool json = false;
  bool inside = false;  // We are in a network of our own.
};

bool Parse(const std::vector<std::string>& words, Arguments& arguments) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--json" || words[i] == "--inside") {
      (words[i] == "--json" ? arguments.json : arguments.inside) = true;
      continue;
    }
    if (i + 1 == words.size()) return false;
    const std::string& name = words[i];
    const std::string& value = words[++i];
    if (name == "--scenario") {
      arguments.scenario = value;
    } else if (name == "--resume") {
      arguments.resume = value;
    } else if (name == "--logs") {
      arguments.logs = value;
    } else if (name == "--minutes") {
      arguments.minutes = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--shard-mib") {
      arguments.shard_mib = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--count") {
      arguments.count = std::strtoull(value.c_str(), nullptr, 10);
    } else if (name == "--seed") {
      arguments.seed = std::strtoull(value.c_str(), nullptr, 10);
    } else {
      return false;
    }
  }
  return true;
}

// Paths are where the user is; `bazel run` starts us elsewhere.
std::string FromUser(const std::string& path) {
  const std::string folder =
      config::ValueOf(config::ProcessEnvironment(), "BUILD_WORKING_DIRECTORY");
  return path.empty() || folder.empty() ? path : (std::filesystem::path(folder) / path).string();
}

// Starts this program anew in a network that it may change. Comes back where that cannot be.
int EnterOwnNetwork(const std::vector<std::string>& words) {
  std::vector<std::string> argv = Hosts::OwnNetwork();
  argv.push_back(std::filesystem::read_symlink("/proc/self/exe").string());
  argv.insert(argv.end(), words.begin(), words.end());
  argv.emplace_back("--inside");
  std::vector<char*> pointers;
  for (std::string& word : argv) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execv(pointers[0], pointers.data());
  std::perror(pointers[0]);
  return 2;
}

int Usage() {
  std::fprintf(stderr,
               "usage: chaos --scenario NAME [--count N] [--seed S] [--resume FILE] [--logs "
               "FOLDER] [--minutes N] [--shard-mib N] [--json]\nscenarios:");
  for (const Scenario* scenario : Scenarios()) {
    std::fprintf(stderr, " %s", std::string(scenario->name).c_str());
  }
  std::fprintf(stderr, "\n");
  return 2;
}

int Main(const std::vector<std::string>& words) {
  Arguments arguments;
  if (!Parse(words, arguments)) return Usage();
  const Scenario* scenario = FindScenario(arguments.scenario);
  if (scenario == nullptr) return Usage();
  if (scenario->own_network && !arguments.inside) return EnterOwnNetwork(words);
  TrialPlaces places;
  places.minutes = arguments.minutes;
  places.shard_mib = arguments.shard_mib;
  places.programs = std::filesystem::current_path().string();
  places.logs = arguments.logs.empty()
                    ? (std::filesystem::temp_directory_path() / "shardmill-chaos").string()
                    : FromUser(arguments.logs);
  Result<Campaign> campaign =
      Campaign::Begin(*scenario, arguments.seed, places, FromUser(arguments.resume));
  if (!campaign.ok()) {
    std::fprintf(stderr, "%s\n", campaign.error().message.c_str());
    return 2;
  }
  for (uint64_t i = 0; i < arguments.count; ++i) {
    const Result<> ran = campaign.value().RunOne();
    if (ran.ok()) continue;
    std::fprintf(stderr, "%s\n", ran.error().message.c_str());
    return 1;
  }
  const std::string end = arguments.json ? campaign.value().ToJson() : campaign.value().ToLine();
  std::printf("%s\n", end.c_str());
  return campaign.value().totals().violations == 0 ? 0 : 1;
}

}  // namespace
}  // namespace shardmill::chaos

int main(int argc, char** argv) {
  return shardmill::chaos::Main(std::vector<std::string>(argv + 1, argv + argc));
}
