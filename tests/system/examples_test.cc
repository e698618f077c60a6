// The examples, as their `run` scripts start them.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{120000};

// Where the example's job file says that its coordinator is.
std::string CoordinatorOf(const std::string& job) {
  std::ifstream file(job);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("coordinator")) continue;
    const size_t begin = line.find('"') + 1;
    return line.substr(begin, line.rfind('"') - begin);
  }
  ADD_FAILURE() << job << " names no coordinator";
  return "";
}

// Runs a whole job of two workers. Rank 0 has arguments of its own behind those that both have.
// What a worker said goes to OutputOf("rank-N").
void ExpectJobEndsWell(const std::string& example, std::vector<std::string> arguments = {},
                       const std::vector<std::string>& of_first = {}) {
  const std::string folder = "examples/" + example + "/";
  const std::string job = folder + "job.toml";
  const std::string program = folder + example;
  const auto coordinator = Launch("coordinator", "server/shardmill-coordinator", {job});
  const auto server = Launch("server", "server/shardmill-ps", {job, "--index", "0"});

  arguments.insert(arguments.begin(), {CoordinatorOf(job), "1"});
  const auto second = Launch("rank-1", program, arguments);
  arguments[1] = "0";
  arguments.insert(arguments.end(), of_first.begin(), of_first.end());
  const auto first = Launch("rank-0", program, arguments);
  EXPECT_EQ(first->Wait(kPatience), ExitStatus{}) << OutputOf("rank-0");
  EXPECT_EQ(second->Wait(kPatience), ExitStatus{}) << OutputOf("rank-1");

  coordinator->Terminate();
  EXPECT_EQ(coordinator->Wait(kPatience), ExitStatus{}) << OutputOf("coordinator");
}

std::string MakeRows(const std::string& name, const std::string& rows, const std::string& seed) {
  std::string path = TestFolder() + "/" + name;
  const auto maker =
      Launch("maker", "examples/sparse_logistic/sparse_logistic", {"--make", path, rows, seed});
  EXPECT_EQ(maker->Wait(kPatience), ExitStatus{}) << OutputOf("maker");
  return path;
}

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ExamplesTest, OwnModelFindsItsWeights) {
  ExpectJobEndsWell("own_model");
  for (const char* rank : {"rank-0", "rank-1"}) {
    std::istringstream said(OutputOf(rank));
    int weights = 0;
    char bracket = 0;
    for (double found, hidden; said >> found >> bracket >> hidden >> bracket; ++weights) {
      EXPECT_NEAR(found, hidden, 0.02) << rank;
    }
    EXPECT_EQ(weights, 4) << OutputOf(rank);
  }
}

TEST(ExamplesTest, KmeansFindsAllCentres) {
  ExpectJobEndsWell("kmeans", {"2"});
  EXPECT_NE(OutputOf("rank-0").find("5 centres"), std::string::npos) << OutputOf("rank-0");
}

std::vector<std::string> WithOwnTypes(const std::string& library) {
  return {"--quiet",
          "--set",
          "model.library=" + library,
          "--set",
          "model.loss=my::SmoothedCrossEntropy",
          "--set",
          "model.layers=[{type = \"flatten\"}, {type = \"affine\", units = 8}, {type = "
          "\"my::Swish\"}, {type = \"affine\", units = 4}]"};
}

TEST(ExamplesTest, OwnLayerTrainsInAWholeJob) {
  const std::string job = WriteJob(4);
  std::vector<std::string> arguments = WithOwnTypes("examples/own_layer/libown_layer.so");
  const std::string model = TestFolder() + "/model.safetensors";
  arguments.insert(arguments.end(), {"--set", "train.model=" + model});
  const auto train = LaunchTrain(job, arguments);
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_TRUE(std::regex_search(OutputOf("train"), std::regex("\naccuracy +1\n")))
      << OutputOf("train");

  // What the loss of one's own makes of its outputs is not known; which is the greatest is.
  arguments.front() = job;
  arguments.insert(arguments.begin(), "predict");
  arguments.insert(arguments.end(), {"--model", model});
  const auto predict = Launch("predict", "cli/shardmill", arguments);
  EXPECT_EQ(predict->Wait(kPatience), ExitStatus{}) << OutputOf("predict");
  const std::string head = "row,prediction,label\n";
  const std::string said = OutputOf("predict");
  ASSERT_NE(said.find(head), std::string::npos) << said;
  std::istringstream lines(said.substr(said.find(head) + head.size()));
  int rows = 0;
  for (std::string line; std::getline(lines, line); ++rows) {
    const std::string fields = line.substr(line.find(',') + 1);
    EXPECT_EQ(fields.substr(0, fields.find(',')), fields.substr(fields.find(',') + 1)) << line;
  }
  EXPECT_GT(rows, 0);
}

TEST(ExamplesTest, ALibraryOfOwnTypesThatIsNotThereIsBadUsage) {
  const auto train = LaunchTrain(WriteJob(1), WithOwnTypes("nowhere/libown_layer.so"));
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 2})) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("model.library: the library nowhere/libown_layer.so cannot be "
                                   "used"),
            std::string::npos)
      << OutputOf("train");
}

TEST(ExamplesTest, ATypeOfOnesOwnAsksForItsLibrary) {
  const auto train = LaunchTrain(WriteJob(1), WithOwnTypes(""));
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 2})) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("\"my::Swish\" is a type of one's own: say in "
                                   "\"model.library\" which has it"),
            std::string::npos)
      << OutputOf("train");
}

// FTRL in one process, in double precision and without a server, comes to 0.9219 on this file.
TEST(ExamplesTest, SparseLogisticIsAsGoodAsFtrlInOneProcess) {
  ExpectJobEndsWell("sparse_logistic", {"2", MakeRows("rows", "20000", "1")}, {"0.91"});
  EXPECT_TRUE(OutputOf("rank-0").starts_with("accuracy 0.92")) << OutputOf("rank-0");
}

TEST(ExamplesTest, SparseLogisticMakesTheSameRowsOfTheSameSeedAlone) {
  const std::string rows = TextOf(MakeRows("rows", "50", "7"));
  EXPECT_EQ(std::ranges::count(rows, '\n'), 50);
  EXPECT_EQ(TextOf(MakeRows("again", "50", "7")), rows);
  EXPECT_NE(TextOf(MakeRows("other", "50", "8")), rows);
}

TEST(ExamplesTest, SparseLogisticNamesTheLineThatIsNoRow) {
  const std::string path = TestFolder() + "/rows";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"2 1:1", "\"2\" is no label"},
      {"", "\"\" is no label"},
      {"+1 5", "\"5\" is no INDEX:VALUE"},
      {"+1 5:", "\"5:\" is no INDEX:VALUE"},
      {"+1 5:1x", "is no INDEX:VALUE"},
      {"+1 -5:1", "is no INDEX:VALUE"},
      {"+1 5:nan", "is no INDEX:VALUE"},
      {"+1 0:1", "the index 0: they start from 1"},
      {"+1 5:1 5:2", "the index 5 does not grow"},
  };
  for (const auto& [line, words] : cases) {
    std::ofstream(path) << "-1 3:0.5 4:1 \n" << line << "\n";
    const auto reader = Launch("reader", "examples/sparse_logistic/sparse_logistic",
                               {"127.0.0.1:1", "0", "1", path});
    EXPECT_EQ(reader->Wait(kPatience), (ExitStatus{.code = 1}));
    EXPECT_NE(OutputOf("reader").find(path + ":2: "), std::string::npos) << OutputOf("reader");
    EXPECT_NE(OutputOf("reader").find(words), std::string::npos) << OutputOf("reader");
  }
}

}  // namespace
}  // namespace shardmill
