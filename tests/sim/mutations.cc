// Switches on each known bug in turn, or those that are named, and looks for a history that shows
// it:
//   bazel run //tests/sim:mutations [-- [--json] [NAME...]]

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "tests/sim/hunt.h"

int main(int argc, char** argv) {
  std::vector<std::string> names(argv + 1, argv + argc);
  const bool json = std::erase(names, "--json") > 0;
  for (const std::string& name : names) {
    const auto has_name = [&name](const auto& bug) { return bug.name == name; };
    if (std::ranges::any_of(shardmill::sim::KnownBugs(), has_name)) continue;
    std::fprintf(stderr, "no known bug is named %s\nusage: mutations [--json] [NAME...]\n",
                 name.c_str());
    return 2;
  }
  shardmill::JsonWriter writer;
  writer.BeginList();
  bool all = true;
  for (const shardmill::sim::KnownBug& bug : shardmill::sim::KnownBugs()) {
    if (!names.empty() && std::ranges::find(names, bug.name) == names.end()) continue;
    const shardmill::sim::Catch found = shardmill::sim::Hunt(bug);
    all = all && found.caught;
    writer.BeginObject();
    writer.Key("name").Text(bug.name);
    writer.Key("caught").Flag(found.caught);
    writer.Key("seed");
    found.caught ? writer.Whole(found.seed) : writer.Null();
    writer.EndObject();
    if (json) continue;
    std::printf("%-20s %s\n", bug.name,
                found.caught
                    ? ("seed " + std::to_string(found.seed) + ": " + found.violation).c_str()
                    : "NOT CAUGHT");
  }
  if (json) std::printf("%s\n", writer.EndList().Take().c_str());
  return all ? 0 : 1;
}
