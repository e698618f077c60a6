// Switches on each known bug in turn and looks for a history that shows it:
//   bazel run //tests/sim:mutations [-- --json]

#include <cstdio>
#include <cstring>

#include "common/json/json.h"
#include "tests/sim/hunt.h"

int main(int argc, char** argv) {
  const bool json = argc == 2 && std::strcmp(argv[1], "--json") == 0;
  if (argc > 1 && !json) {
    std::fprintf(stderr, "usage: mutations [--json]\n");
    return 2;
  }
  shardmill::JsonWriter writer;
  writer.BeginList();
  bool all = true;
  for (const shardmill::sim::KnownBug& bug : shardmill::sim::KnownBugs()) {
    const shardmill::sim::Catch found = shardmill::sim::Hunt(bug.mutation);
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
