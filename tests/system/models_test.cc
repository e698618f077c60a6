// What becomes of a model: kept, measured, asked, ended early; and trained without servers.
#include "tests/system/models.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

TEST(ModelsTest, SparseRowsTrainOnASparseTableAndOnADenseOne) {
  const std::string job = WriteSparseRows();
  const std::vector<std::string> workers{"cluster.workers=2"};
  EXPECT_GT(Metric(Train(job, workers), "accuracy"), 0.95);
  const std::string figures = Ask("eval", job, {"--part", "train"});
  EXPECT_NE(figures.find("accuracy 1"), std::string::npos) << figures;
  const std::string dense = "model.layers=[{type='affine',units=2,rows=500}]";
  EXPECT_GT(Metric(Train(job, {"cluster.workers=2", dense}), "accuracy"), 0.95);
}

TEST(ModelsTest, AnIdBeyondTheRowsOfALayerIsNamedByFileAndLine) {
  const std::string job = WriteSparseRows();
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, std::vector<std::string>{"--single"}}) {
    std::vector<std::string> arguments{"--set", "model.layers=[{type='affine',units=2,rows=100}]"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(LaunchTrain(job, arguments)->Wait(kPatience), (ExitStatus{2, 0}));
    const std::string words = OutputOf("train");
    EXPECT_NE(words.find("has 100 rows, and the ids of its data go up to 4"), std::string::npos)
        << words;
    EXPECT_NE(words.find(TestFolder() + "/rows."), std::string::npos) << words;
  }
}

TEST(ModelsTest, SingleComesToTheBitsOfOneSynchronousWorker) {
  const std::string pictures = WriteJob(2);
  const std::string things = WriteTable();
  const std::string rows = WriteSparseRows();
  const std::vector<std::pair<std::string, std::string>> jobs{
      {pictures, "optimizer.name=adam"}, {pictures, "optimizer.name=momentum"},
      {things, "optimizer.name=adam"},   {things, "optimizer.name=ftrl"},
      {things, "train.accumulate=2"},    {things, "train.validate_steps=7"},
      {rows, "optimizer.name=adam"},     {rows, "train.accumulate=2"}};
  for (const auto& [job, set] : jobs) {
    const JsonValue alone = Train(job, {set}, {"--single"});
    const JsonValue served = Train(job, {set, "cluster.workers=1"});
    EXPECT_EQ(Metric(alone, "weights_crc32"), Metric(served, "weights_crc32")) << job << " " << set;
    EXPECT_EQ(Metric(alone, "train_loss"), Metric(served, "train_loss")) << job << " " << set;
    EXPECT_EQ(At(alone, "steps"), At(served, "steps"));
  }
}

TEST(ModelsTest, SingleEndsInTheSameStepAsOneWorker) {
  const std::string job = WriteTable();
  const std::vector<std::string> sets{"train.stop=[{metric='loss',at_most=0.9}]",
                                      "train.validate_steps=5", "cluster.workers=1"};
  const JsonValue alone = Train(job, sets, {"--single"});
  const JsonValue served = Train(job, sets);
  EXPECT_LT(At(alone, "steps"), 8 * 15);
  EXPECT_EQ(At(alone, "steps"), At(served, "steps"));
  EXPECT_EQ(Metric(alone, "weights_crc32"), Metric(served, "weights_crc32"));
}

// Measured after step 10, told in step 11; under a bound of 2 all end two steps later.
TEST(ModelsTest, StopEndsAllWorkersInOneStep) {
  const std::string job = WriteJob(4);
  const std::vector<std::string> sets{"train.stop=[{metric='loss',at_most=100}]",
                                      "model.metrics=['accuracy','loss']",
                                      "train.validate_steps=10"};
  EXPECT_EQ(At(Train(job, sets), "steps"), 11);
  std::vector<std::string> stale = sets;
  stale.insert(stale.end(), {"policy.mode=stale", "policy.staleness=2"});
  EXPECT_EQ(At(Train(job, stale), "steps"), 13);
  std::vector<std::string> async = sets;
  async.emplace_back("policy.mode=async");
  const JsonValue ended = Train(job, async);
  EXPECT_GE(At(ended, "steps"), 11);
  EXPECT_LT(At(ended, "steps"), 200);
}

TEST(ModelsTest, ValidateEpochsSaysHowOftenItIsMeasured) {
  const std::vector<std::string> sets{"train.stop={metric='loss',at_most=100}",
                                      "model.metrics=['loss']", "train.validate_epochs=2"};
  EXPECT_EQ(At(Train(WriteJob(4), sets, {"--single"}), "steps"), 2 * 100 + 1);
}

TEST(ModelsTest, StepsBoundsTheTraining) {
  EXPECT_EQ(At(Train(WriteJob(4), {"train.steps=17"}), "steps"), 17);
}

TEST(ModelsTest, AccumulateMakesOneStepOfSeveralBatches) {
  const std::string job = WriteJob(2);
  const JsonValue parts = Train(job, {"data.batch_size=32", "train.accumulate=4"});
  const JsonValue whole = Train(job, {"data.batch_size=128"});
  EXPECT_EQ(At(parts, "steps"), At(whole, "steps"));
  EXPECT_NEAR(Metric(parts, "accuracy"), Metric(whole, "accuracy"), 0.01);
}

TEST(ModelsTest, BestKeepsTheModelThatEvalMeasuresAgain) {
  const std::string job = WriteTable();
  const JsonValue result = Train(job, {"train.best=loss", "train.validate_steps=10"});
  EXPECT_GT(Metric(result, "best_step"), 0);
  const std::string figures = Ask("eval", job, {"--json"});
  const size_t begin = figures.find('{');
  ASSERT_NE(begin, std::string::npos) << figures;
  const Result<JsonValue> json = ParseJson(figures.substr(begin, figures.find('}') + 1 - begin));
  ASSERT_TRUE(json.ok()) << figures;
  EXPECT_EQ(At(json.value(), "loss"), Metric(result, "loss"));
  EXPECT_EQ(At(json.value(), "accuracy"), Metric(result, "accuracy"));
}

TEST(ModelsTest, PredictWritesALineForEachRowOfThePart) {
  const std::string job = WriteTable();
  const std::string model = TestFolder() + "/kept.safetensors";
  Train(job, {"train.model=" + model}, {"--single"});
  const std::string csv = TestFolder() + "/predictions.csv";
  Ask("predict", job, {"--part", "train", "--out", csv, "--model", model});
  const std::vector<std::string> lines = LinesOf(csv);
  ASSERT_GT(lines.size(), 200U);
  EXPECT_EQ(lines[0], "row,prediction,chance,label");
  size_t right = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    std::istringstream fields(lines[i]);
    std::string row, prediction, chance, label;
    std::getline(std::getline(std::getline(fields, row, ','), prediction, ','), chance, ',');
    std::getline(fields, label);
    EXPECT_EQ(row, std::to_string(i));
    EXPECT_TRUE(label == "sky" || label == "tree" || label == "apple") << label;
    right += prediction == label ? 1 : 0;
  }
  EXPECT_GT(static_cast<double>(right) / static_cast<double>(lines.size() - 1), 0.9);
}

TEST(ModelsTest, TheChanceIsThatOfThePredictedClass) {
  const std::string job = WriteSparseRows();
  const std::vector<std::string> sets{"model.loss=log_loss", "model.metrics=['loss']",
                                      "model.layers=[{type='affine',units=1}]"};
  Train(job, sets, {"--single"});
  const std::string csv = TestFolder() + "/predictions.csv";
  std::vector<std::string> arguments{"--part", "train", "--out", csv};
  for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
  Ask("predict", job, arguments);
  const std::vector<std::string> lines = LinesOf(csv);
  ASSERT_GT(lines.size(), 100U);
  for (size_t i = 1; i < lines.size(); ++i) {
    const size_t prediction = lines[i].find(',');
    EXPECT_GE(std::stod(lines[i].substr(lines[i].find(',', prediction + 1) + 1)), 0.5) << lines[i];
  }
}

TEST(ModelsTest, SingleIsOneWorkerWhateverTheJobHas) {
  const std::string job = WriteJob(1);
  const std::vector<std::string> sets{
      "policy.aggregate=sum",
      "model.layers=[{type='flatten'},{type='batch_norm1d'},{type='affine',units=4}]"};
  std::vector<std::string> three = sets;
  three.emplace_back("cluster.workers=3");
  std::vector<std::string> one = sets;
  one.emplace_back("cluster.workers=1");
  EXPECT_EQ(Metric(Train(job, three, {"--single"}), "weights_crc32"),
            Metric(Train(job, one, {"--single"}), "weights_crc32"));
}

TEST(ModelsTest, PredictAsksForNoLabelAndEvalDoes) {
  const std::string job = WriteTable();
  Train(job, {}, {"--single"});
  const std::string unlabelled = TestFolder() + "/unlabelled.csv";
  WriteText(unlabelled, "size,colour\n1,red\n5,green\n2,blue\n6,none\n");
  const std::vector<std::string> rows{"--set", "data.split=[]", "--set", "data.test=" + unlabelled};
  std::vector<std::string> arguments = rows;
  const std::string csv = TestFolder() + "/predictions.csv";
  arguments.insert(arguments.end(), {"--out", csv});
  Ask("predict", job, arguments);
  const std::vector<std::string> lines = LinesOf(csv);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[0], "row,prediction,chance");
  EXPECT_TRUE(lines[1].starts_with("1,apple,0.")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with("2,tree,0.")) << lines[2];
  EXPECT_TRUE(lines[3].starts_with("3,sky,0.")) << lines[3];
  EXPECT_EQ(std::ranges::count(lines[4], ','), 2);
  const std::string words = Ask("eval", job, rows, 2);
  EXPECT_NE(words.find("there is no column \"thing\", which data.label names"), std::string::npos)
      << words;
}

// An exported snapshot is what the servers had; a run's model is what the last measure read.
TEST(ModelsTest, EvalAndPredictReadAnExportedSnapshotAsARun) {
  const std::string job = WriteTable();
  const JsonValue result = Train(job, {"snapshot.to=" + TestFolder() + "/kept"});
  const std::string exported = TestFolder() + "/exported.safetensors";
  const auto command = Launch("export", "cli/shardmill",
                              {"snapshot", "export", TestFolder() + "/kept/things", exported});
  ASSERT_EQ(command->Wait(kPatience), ExitStatus{}) << OutputOf("export");
  const std::string of_run = Ask("eval", job, {"--json"});
  const std::string of_snapshot = Ask("eval", job, {"--json", "--model", exported});
  const auto figures = [](const std::string& text) {
    const size_t begin = text.find('{');
    return begin == std::string::npos ? text : text.substr(begin, text.find('}') + 1 - begin);
  };
  EXPECT_EQ(figures(of_run), figures(of_snapshot));
  const Result<JsonValue> json = ParseJson(figures(of_snapshot));
  ASSERT_TRUE(json.ok()) << of_snapshot;
  EXPECT_EQ(At(json.value(), "loss"), Metric(result, "loss"));
  const std::string csv = TestFolder() + "/predictions.csv";
  Ask("predict", job, {"--model", exported, "--part", "train", "--out", csv});
  EXPECT_GT(LinesOf(csv).size(), 200U);
}

TEST(ModelsTest, AModelOfAnotherNetworkIsRefusedByTheKeyThatDiffers) {
  const std::string job = WriteTable();
  const std::vector<std::string> kept{"snapshot.to=" + TestFolder() + "/kept"};
  Train(job, {kept[0], "cluster.workers=1"});
  const std::string exported = TestFolder() + "/exported.safetensors";
  const auto command = Launch("export", "cli/shardmill",
                              {"snapshot", "export", TestFolder() + "/kept/things", exported});
  ASSERT_EQ(command->Wait(kPatience), ExitStatus{}) << OutputOf("export");
  const std::string other =
      "model.layers=[{name='words',type='embedding_bag',units=8,inputs=['colour']},"
      "{name='size',type='affine',units=8,inputs=['numbers']},{type='add',inputs=['words','size']},"
      "{type='tanh'},{type='dropout',rate=0.1},{type='affine',units=3}]";
  const std::string words = "model.layers[3].type is \"tanh\", and was \"relu\"";
  for (const std::string command_name : {"eval", "predict"}) {
    for (const std::vector<std::string>& more :
         {std::vector<std::string>{}, std::vector<std::string>{"--model", exported}}) {
      std::vector<std::string> arguments{"--set", other};
      arguments.insert(arguments.end(), more.begin(), more.end());
      const std::string said = Ask(command_name, job, arguments, 2);
      EXPECT_NE(said.find(words), std::string::npos) << said;
    }
  }
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, std::vector<std::string>{"--single"}}) {
    std::vector<std::string> arguments{"--set", other,
                                       "--set", kept[0],
                                       "--set", "snapshot.resume=latest",
                                       "--set", "cluster.workers=1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(LaunchTrain(job, arguments)->Wait(kPatience), (ExitStatus{2, 0}));
    EXPECT_NE(OutputOf("train").find(words), std::string::npos) << OutputOf("train");
  }
}

// Its weights are of ids, and ids are of words in the order in which the files had them.
TEST(ModelsTest, AnExportedSnapshotIsNotMeasuredWithOtherWords) {
  const std::string job = WriteTable();
  Train(job, {"snapshot.to=" + TestFolder() + "/kept"}, {"--single"});
  const std::string exported = TestFolder() + "/exported.safetensors";
  const auto command = Launch("export", "cli/shardmill",
                              {"snapshot", "export", TestFolder() + "/kept/things", exported});
  ASSERT_EQ(command->Wait(kPatience), ExitStatus{}) << OutputOf("export");
  Ask("eval", job, {"--model", exported});
  const std::vector<std::string> lines = LinesOf(TestFolder() + "/things.csv");
  std::string turned = lines[0] + "\n";
  for (size_t i = lines.size() - 1; i > 0; --i) turned += lines[i] + "\n";
  WriteText(TestFolder() + "/things.csv", turned);
  for (const std::string asked : {"eval", "predict"}) {
    const std::string words = Ask(asked, job, {"--model", exported}, 2);
    EXPECT_NE(words.find("other words or classes"), std::string::npos) << words;
  }
}

TEST(ModelsTest, SaysWhatIsWrongWithATableByFileAndLine) {
  const std::string job = WriteTable("red,large,apple\n");
  const auto fails = [&](const std::vector<std::string>& sets, const std::string& words) {
    std::vector<std::string> arguments{"--single", "--quiet"};
    for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
    const auto train = LaunchTrain(job, arguments);
    EXPECT_NE(train->Wait(kPatience), ExitStatus{});
    EXPECT_NE(OutputOf("train").find(words), std::string::npos) << OutputOf("train");
  };
  const std::string file = TestFolder() + "/things.csv";
  fails({}, file + ":13: wanted a number in column \"size\", found \"large\"");
  fails({"data.label=thin"}, "there is no column \"thin\", which data.label names");
  fails({"data.features=['sise']"}, "did you mean \"size\"?");
  WriteTable("red,1\n");
  fails({}, file + ":13: wanted 3 columns, found 2");
  // So many may be left out, and are counted.
  EXPECT_EQ(At(Train(job, {"data.bad_rows_max=1"}, {"--single"}), "bad_rows"), 1);
  const JsonValue served = Train(job, {"data.bad_rows_max=1"});
  EXPECT_EQ(At(served, "bad_rows"), 1);
  ASSERT_NE(served.Find("left_out"), nullptr);
  EXPECT_EQ(served.Find("left_out")->items.at(0).text, file + ":13: wanted 3 columns, found 2");
}

TEST(ModelsTest, AModelKnowsItsWordsAndColumnsWithoutTheDataThatItWasTrainedWith) {
  const std::string job = WriteTable();
  Train(job, {}, {"--single"});
  std::filesystem::remove(TestFolder() + "/things.csv");
  const std::string others = TestFolder() + "/others.csv";
  WriteText(others, "thing,size,colour,weight\napple,1,red,7\ntree,5,green,7\nsky,2,blue,7\n");
  const std::vector<std::string> rows{"--set", "data.split=[]", "--set", "data.test=" + others};
  EXPECT_NE(Ask("eval", job, rows).find("accuracy 1, loss"), std::string::npos);
  const std::string csv = TestFolder() + "/predictions.csv";
  std::vector<std::string> arguments = rows;
  arguments.insert(arguments.end(), {"--out", csv});
  Ask("predict", job, arguments);
  const std::vector<std::string> lines = LinesOf(csv);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_TRUE(lines[2].starts_with("2,tree,0.") && lines[2].ends_with(",tree")) << lines[2];
  WriteText(others, "size,colour,weight\n1,red,7\n");
  arguments.insert(arguments.end(), {"--set", "data.features=['weight']"});
  const std::string words = Ask("predict", job, arguments, 2);
  EXPECT_NE(words.find("the model was trained with the inputs \"numbers\" (size), \"colour\", and "
                       "the data have \"numbers\" (weight), \"colour\""),
            std::string::npos)
      << words;
}

TEST(ModelsTest, AResumedRunKeepsTheBestModelOfTheRunBefore) {
  const std::string job = WriteTable();
  const std::vector<std::string> sets{"train.best=loss", "snapshot.to=" + TestFolder() + "/kept"};
  const JsonValue before = Train(job, sets);
  // At such a rate nothing better comes.
  std::vector<std::string> again = sets;
  again.insert(again.end(),
               {"snapshot.resume=latest", "train.epochs=10", "optimizer.learning_rate=20"});
  const JsonValue after = Train(job, again);
  EXPECT_GT(At(after, "steps"), At(before, "steps"));
  EXPECT_EQ(Metric(after, "best_step"), Metric(before, "best_step"));
  EXPECT_EQ(Metric(after, "loss"), Metric(before, "loss"));
  // A newer run of the name that the snapshot knows nothing of has kept a better one: not its own.
  Train(job, {"train.best=loss", "train.epochs=40"});
  std::vector<std::string> first = again;
  first[2] = "snapshot.resume=1";
  EXPECT_EQ(Metric(Train(job, first), "loss"), Metric(before, "loss"));
  // Where there is none to take up, the last is the best of those that came.
  std::filesystem::remove_all(TestFolder() + "/runs");
  EXPECT_GT(Metric(Train(job, again), "loss"), Metric(before, "loss"));
}

TEST(ModelsTest, EvalSaysWhereAModelIsMissing) {
  const std::string words = Ask("eval", WriteTable(), {}, 4);
  EXPECT_NE(words.find("has a model; train it first"), std::string::npos) << words;
}

}  // namespace
}  // namespace shardmill
