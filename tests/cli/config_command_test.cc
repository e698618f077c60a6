#include "cli/config_command.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace shardmill {
namespace {

constexpr const char* kFile = "configs/quickstart.toml";

struct Screen {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err};
};

TEST(ConfigCommandTest, FindsTheSampleGood) {
  Screen screen;
  const Result<> ran = RunConfigCheck({{.file = kFile}}, screen.console);
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(screen.out.str(), "configs/quickstart.toml: good\n");
}

TEST(ConfigCommandTest, SaysWhatTrainNeedsThatAProgramOfOnesOwnDoesNot) {
  const std::string path = testing::TempDir() + "/bare.toml";
  std::ofstream(path) << "cluster = { workers = 2 }\n";
  Screen screen;
  const Result<> ran = RunConfigCheck({{.file = path}}, screen.console);
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(screen.out.str(), path +
                                  ": good for a program of your own; shardmill train still needs "
                                  "data.folder and model.layers\n");
}

TEST(ConfigCommandTest, FindsAResultThatCannotBeWritten) {
  Screen screen;
  EXPECT_TRUE(FlushResult(screen.console).ok());
  screen.out.setstate(std::ios::badbit);
  EXPECT_EQ(FlushResult(screen.console).error().code, ErrorCode::kFailed);
}

TEST(ConfigCommandTest, NamesAMisspeltKeyAndWhatWasMeant) {
  Screen screen;
  const Result<> ran =
      RunConfigCheck({{.file = kFile, .sets = {"policy.staleless=1"}}}, screen.console);
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code, ErrorCode::kBadUsage);
  EXPECT_NE(ran.error().message.find("policy.staleness"), std::string::npos) << ran.error().message;
  EXPECT_EQ(screen.out.str(), "");
}

TEST(ConfigCommandTest, PrintsWhereEachValueCameFrom) {
  Screen screen;
  screen.console.environment = {{"SHARDMILL__TRAIN__EPOCHS", "3"}};
  const Result<> ran = RunConfigPrint(
      {.job = {.file = kFile, .sets = {"job.seed=11"}}, .origin = true}, screen.console);
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  const std::string printed = screen.out.str();
  for (const char* part :
       {"seed = 11", "# --set", "epochs = 3", "# environment SHARDMILL__TRAIN__EPOCHS", "# default",
        "# configs/quickstart.toml:"}) {
    EXPECT_NE(printed.find(part), std::string::npos) << part << " in\n" << printed;
  }
}

}  // namespace
}  // namespace shardmill
