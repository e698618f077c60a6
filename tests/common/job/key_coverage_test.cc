// key_coverage.txt names, for each key of the job file, the test that fails when the key is
// ignored. This test cannot know that it would; it knows that the test is there.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "common/config/load.h"
#include "common/job/job.h"

namespace shardmill {
namespace {

// A line: KEY = PATH:SUITE.TEST
struct Line {
  std::string key;
  std::string path;
  std::string suite;
  std::string test;
};

std::filesystem::path Workspace() {
  return std::filesystem::canonical("configs/quickstart.toml").parent_path().parent_path();
}

std::string ReadText(const std::filesystem::path& path) {
  const Result<std::string> text = config::ReadFile(path);
  EXPECT_TRUE(text.ok()) << text.error().message;
  return text.ok() ? text.value() : "";
}

std::vector<Line> Table() {
  std::vector<Line> table;
  std::istringstream lines(ReadText(Workspace() / "tests/common/job/key_coverage.txt"));
  for (std::string text; std::getline(lines, text);) {
    if (text.empty() || text.starts_with('#')) continue;
    const size_t equals = text.find(" = ");
    const size_t colon = text.find(':', equals);
    const size_t dot = text.find('.', colon);
    if (equals == std::string::npos || colon == std::string::npos || dot == std::string::npos) {
      ADD_FAILURE() << "not KEY = PATH:SUITE.TEST: " << text;
      continue;
    }
    table.push_back({text.substr(0, equals), text.substr(equals + 3, colon - equals - 3),
                     text.substr(colon + 1, dot - colon - 1), text.substr(dot + 1)});
  }
  return table;
}

// Where clang-format has broken the line between suite and name, blanks stand between them.
bool HasTest(std::string source, const Line& line) {
  const auto blank = [](char c) { return c == ' ' || c == '\n'; };
  source.erase(std::remove_if(source.begin(), source.end(), blank), source.end());
  const std::string names = "(" + line.suite + "," + line.test + ")";
  return source.find("TEST" + names) != std::string::npos ||
         source.find("TEST_F" + names) != std::string::npos ||
         source.find("TEST_P" + names) != std::string::npos;
}

TEST(KeyCoverageTest, EveryKeyOfTheJobFileHasALine) {
  std::map<std::string, int> lines;
  for (const Line& line : Table()) ++lines[line.key];
  for (const std::string& key : JobKeys()) {
    EXPECT_EQ(lines[key], 1) << key << ": name the test that fails when this key is ignored";
  }
}

TEST(KeyCoverageTest, EveryLineNamesAKeyAndATestThatExist) {
  const std::vector<std::string> keys = JobKeys();
  const std::vector<Line> table = Table();
  EXPECT_FALSE(table.empty());
  for (const Line& line : table) {
    EXPECT_EQ(std::count(keys.begin(), keys.end(), line.key), 1) << "no such key: " << line.key;
    const std::filesystem::path path = Workspace() / line.path;
    ASSERT_TRUE(line.path.starts_with("tests/") && std::filesystem::exists(path)) << line.path;
    EXPECT_TRUE(HasTest(ReadText(path), line))
        << line.path << " has no test " << line.suite << "." << line.test;
  }
}

}  // namespace
}  // namespace shardmill
