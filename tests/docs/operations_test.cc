// The commands of docs/operations.md, run as they stand there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/process/child.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

// What stands between ```sh and ```.
std::string CommandsOf(const std::string& page) {
  std::ifstream file(page);
  std::string commands;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```")) {
      inside = line == "```sh";
    } else if (inside) {
      commands += line + "\n";
    }
  }
  return commands;
}

TEST(OperationsTest, CommandsOfThePageWork) {
  const std::string commands = CommandsOf("docs/operations.md");
  ASSERT_NE(commands.find("shardmill doctor"), std::string::npos) << commands;
  const std::string folder = TestFolder();
  WriteJob(150);
  std::ofstream(folder + "/job.toml", std::ios::app)
      << "[snapshot]\nto = \"" << folder << "/snapshots\"\n";
  fs::create_directories(folder + "/bin");
  fs::create_symlink(fs::current_path() / "cli/shardmill", folder + "/bin/shardmill");
  ChildOptions options;
  options.name = "commands";
  options.argv = {"/bin/bash", "-c",
                  "set -euxo pipefail; cd '" + folder + "'; PATH=\"$PWD/bin:$PATH\"\n" + commands};
  options.log_path = folder + "/commands.out";
  const Result<std::unique_ptr<Child>> child = Child::Spawn(options);
  ASSERT_TRUE(child.ok()) << child.error().message;
  EXPECT_EQ(child.value()->Wait(std::chrono::seconds(60)), ExitStatus{}) << OutputOf("commands");
  const std::string out = OutputOf("commands");
  EXPECT_NE(out.find("\"state\":"), std::string::npos) << out;
  EXPECT_NE(out.find("sound"), std::string::npos) << out;
}

}  // namespace
}  // namespace shardmill
