// Training that begins with the weights of another.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/system/launch.h"
#include "tests/system/models.h"
#include "worker/model_file.h"

namespace shardmill {
namespace {

using Sets = std::vector<std::string>;

Sets With(Sets sets, const Sets& more) {
  sets.insert(sets.end(), more.begin(), more.end());
  return sets;
}

// A run's model, kept where later runs do not matter.
std::string TrainModel(const std::string& job, const Sets& sets = {}) {
  std::string model = TestFolder() + "/given.safetensors";
  Train(job, With(sets, {"train.model=" + model}), {"--single"});
  return model;
}

std::vector<float> WeightsIn(const std::string& file, const std::string& name, uint64_t size) {
  const std::vector<ParameterSpec> specs{{.name = name, .size = size}};
  const auto model = ModelFile::Open(file, specs);
  if (!model.ok()) {
    ADD_FAILURE() << model.error().message;
    return {};
  }
  const std::span<const float> values = model.value()->Dense(0).value();
  return {values.begin(), values.end()};
}

// What the command says where it refuses.
std::string Refused(const std::string& job, const Sets& sets, Sets arguments = {}, int code = 2) {
  for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
  const auto train = LaunchTrain(job, std::move(arguments));
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{code, 0})) << OutputOf("train");
  return OutputOf("train");
}

bool Has(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

TEST(WeightsTest, TrainingBeginsWithThoseOfAnotherWithServersOrWithout) {
  for (const std::string& job : {WriteTable(), WriteSparseRows(), WriteJob(1)}) {
    const Sets sets{"train.weights=" + TrainModel(job, {"train.epochs=3"}), "train.steps=3"};
    const JsonValue anew = Train(job, {"train.steps=3"}, {"--single"});
    const JsonValue alone = Train(job, sets, {"--single"});
    const JsonValue served = Train(job, With(sets, {"cluster.workers=1"}));
    EXPECT_GT(Metric(alone, "accuracy"), Metric(anew, "accuracy")) << job;
    EXPECT_EQ(Metric(alone, "weights_crc32"), Metric(served, "weights_crc32")) << job;
    EXPECT_EQ(Metric(alone, "train_loss"), Metric(served, "train_loss")) << job;
  }
}

TEST(WeightsTest, OfNamedLayersThatStayAsTheyAreWhileAnotherHeadIsTrained) {
  const std::string job = WriteTable();
  const std::string given = TrainModel(job);
  const std::string head =
      "model.layers=[{name='words',type='embedding_bag',units=8,inputs=['colour'],frozen=true},"
      "{name='size',type='affine',units=8,inputs=['numbers'],frozen=true},"
      "{type='add',inputs=['words','size']},{type='relu'},"
      "{name='head',type='affine',units=5},{type='relu'},{type='affine',units=3}]";
  const std::string tuned = TestFolder() + "/tuned.safetensors";
  const Sets sets{head, "train.weights=" + given, "train.weights_of=['words','size']",
                  "train.model=" + tuned};
  for (const Sets& arguments : {Sets{}, Sets{"--single"}}) {
    EXPECT_GT(Metric(Train(job, With(sets, {"cluster.workers=2"}), arguments), "accuracy"), 0.8);
    EXPECT_EQ(WeightsIn(tuned, "size.weight", 8), WeightsIn(given, "size.weight", 8));
    EXPECT_EQ(WeightsIn(tuned, "size.bias", 8), WeightsIn(given, "size.bias", 8));
  }
  EXPECT_TRUE(Has(OutputOf("train"),
                  "words.weight, size.weight, size.bias; anew: head.weight, "
                  "head.bias, affine_7.weight, affine_7.bias; not taken of it: "
                  "affine_6.weight, affine_6.bias"))
      << OutputOf("train");
}

TEST(WeightsTest, AreRefusedWhereTheyDoNotFit) {
  const std::string job = WriteTable();
  const Sets given{"train.weights=" + TrainModel(job)};
  EXPECT_TRUE(Has(Refused(job, With(given, {"train.weights_of=['sise']"})),
                  "no layer with weights is called \"sise\"; did you mean \"size\"?"));
  const std::string wide =
      "model.layers=[{name='words',type='embedding_bag',units=8,inputs=['colour']},"
      "{name='size',type='affine',units=8,inputs=['numbers']},{type='add',inputs=['words','size']},"
      "{type='relu'},{type='dropout',rate=0.1},{type='affine',units=4}]";
  EXPECT_TRUE(Has(Refused(job, With(given, {wide})),
                  "\"affine_6.weight\" is 8x3, and the network wants 8x4; the network there is "
                  "another: model.layers[5].units is 4, and was 3; name in"));
  const std::string none = TestFolder() + "/none";
  EXPECT_TRUE(Has(Refused(job, {"train.weights=" + none}, {}, 4), "train.weights: " + none));
  WriteText(none, "no tensors");
  EXPECT_TRUE(Has(Refused(job, {"train.weights=" + none}), "none: no safetensors"));
  // Other words come first now, and so have other ids.
  const std::vector<std::string> lines = LinesOf(TestFolder() + "/things.csv");
  std::string turned = lines[0] + "\n";
  for (size_t i = lines.size() - 1; i > 0; --i) turned += lines[i] + "\n";
  WriteText(TestFolder() + "/things.csv", turned);
  const std::string words = Refused(job, given, {"--single"});
  EXPECT_TRUE(Has(words, "\"words.weight\" reads the input \"colour\", and the word with id 1 is "))
      << words;
}

TEST(WeightsTest, OfClassesInAnotherOrderAreRefused) {
  const std::string job = WriteTable();
  const std::string layers =
      "model.layers=[{name='numbers_first',type='dropout',rate=0.1,inputs=['numbers']},"
      "{name='all',type='affine',units=8},{name='head',type='affine',units=3}]";
  const Sets given{layers, "train.weights=" + TrainModel(job, {layers})};
  std::vector<std::string> lines = LinesOf(TestFolder() + "/things.csv");
  std::string turned = lines[0] + "\n";
  for (size_t i = lines.size() - 1; i > 0; --i) turned += lines[i] + "\n";
  WriteText(TestFolder() + "/things.csv", turned);
  const std::string words = Refused(job, given, {"--single"});
  EXPECT_TRUE(Has(words, "\"head.bias\" tells classes, and class 0 is ")) << words;
}

TEST(WeightsTest, OfOtherWordsAreRefusedWhereAJobGoesOnFromItsSnapshot) {
  const std::string job = WriteTable();
  const Sets kept{"snapshot.to=" + TestFolder() + "/kept", "cluster.workers=1"};
  Train(job, kept);
  EXPECT_FALSE(Has(OutputOf("train"), "nothing was left to train"));
  Train(job, With(kept, {"snapshot.resume=latest"}));
  EXPECT_TRUE(Has(OutputOf("train"), "nothing was left to train")) << OutputOf("train");
  const Sets resumes = With(kept, {"snapshot.resume=latest", "train.epochs=100"});
  Train(job, resumes);
  const std::vector<std::string> lines = LinesOf(TestFolder() + "/things.csv");
  std::string turned = lines[0] + "\n";
  for (size_t i = lines.size() - 1; i > 0; --i) turned += lines[i] + "\n";
  WriteText(TestFolder() + "/things.csv", turned);
  EXPECT_TRUE(Has(Refused(job, resumes), "other words or classes")) << OutputOf("train");
}

TEST(WeightsTest, OfASnapshotAndOfARunsFolder) {
  const std::string job = WriteSparseRows();
  const std::string kept = TestFolder() + "/kept";
  Train(job, {"train.epochs=3", "snapshot.to=" + kept, "cluster.workers=1"});
  const Sets few{"train.steps=3"};
  const std::string run = std::filesystem::directory_iterator(TestFolder() + "/runs")->path();
  const JsonValue of_run = Train(job, With(few, {"train.weights=" + run}), {"--single"});
  const JsonValue of_snapshot =
      Train(job, With(few, {"train.weights=" + kept + "/rows", "cluster.workers=1"}));
  EXPECT_EQ(Metric(of_run, "weights_crc32"), Metric(of_snapshot, "weights_crc32"));
  EXPECT_TRUE(Has(OutputOf("train"), "begins with weights of " + kept + "/rows:"))
      << OutputOf("train");
}

TEST(WeightsTest, ASnapshotIsMadeForAJobThatIsStartedByHand) {
  const std::string job = WriteTable();
  const std::string given = "train.weights=" + TrainModel(job);
  const auto worker =
      Launch("worker", "worker/shardmill-worker", {job, "--rank", "0", "--set", given});
  EXPECT_EQ(worker->Wait(kPatience), (ExitStatus{2, 0}));
  EXPECT_TRUE(Has(OutputOf("worker"), "`shardmill snapshot begin`")) << OutputOf("worker");
  const std::string to = "snapshot.to=" + TestFolder() + "/kept";
  const auto begin =
      Launch("begin", "cli/shardmill", {"snapshot", "begin", job, "--set", given, "--set", to});
  ASSERT_EQ(begin->Wait(kPatience), ExitStatus{}) << OutputOf("begin");
  EXPECT_EQ(LastLineOf("begin"), "1");
  const Sets few{"train.steps=3", "cluster.workers=1"};
  const JsonValue by_hand = Train(job, With(few, {to, "snapshot.resume=1", given}));
  EXPECT_TRUE(Has(OutputOf("train"), "\"train.weights\" is not read")) << OutputOf("train");
  const JsonValue direct = Train(job, With(few, {given}));
  EXPECT_EQ(Metric(by_hand, "weights_crc32"), Metric(direct, "weights_crc32"));
}

// Where it was stopped, and where it had come to its end: by itself, or with servers.
TEST(WeightsTest, TrainingGoesOnFromASnapshotOfTrainingWithoutServersToTheSameBits) {
  for (const std::string& job : {WriteTable(), WriteSparseRows(), WriteJob(1)}) {
    for (const char* optimizer : {"optimizer.name=adam", "optimizer.name=momentum"}) {
      const Sets kept{"snapshot.to=" + TestFolder() + "/kept", "cluster.workers=1"};
      const Sets more{optimizer, "train.epochs=2", "train.validate_epochs=0"};
      const JsonValue whole = Train(job, more, {"--single"});
      Train(job, With(kept, {optimizer, "train.epochs=1", "train.validate_epochs=0"}),
            {"--single"});
      for (const Sets& arguments : {Sets{}, Sets{"--single"}}) {
        const JsonValue rest = Train(job, With(With(more, kept), {"snapshot.resume=1"}), arguments);
        EXPECT_EQ(Metric(rest, "weights_crc32"), Metric(whole, "weights_crc32"))
            << job << " " << optimizer;
        EXPECT_EQ(At(rest, "steps"), At(whole, "steps"));
        EXPECT_EQ(At(rest, "lost") + At(rest, "duplicated"), 0);
      }
      std::filesystem::remove_all(TestFolder() + "/kept");
    }
  }
}

// Begins a training that would take hours, and asks it to stop once it has made some steps.
std::string StoppedTraining(const std::string& job, const Sets& sets) {
  std::vector<std::string> arguments{"--single", "--quiet"};
  for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
  const auto train = LaunchTrain(job, arguments);
  EXPECT_TRUE(Await([] {
    std::error_code none;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(TestFolder() + "/runs", none)) {
      if (entry.path().extension() == ".jsonl" && entry.file_size() > 0) return true;
    }
    return false;
  }));
  train->Terminate();
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{130, 0})) << OutputOf("train");
  return OutputOf("train");
}

TEST(WeightsTest, TrainingWithoutServersKeepsWhereItWasStoppedAndGoesOnFromThere) {
  const std::string job = WriteTable();
  const Sets kept{"snapshot.to=" + TestFolder() + "/kept", "optimizer.name=adam",
                  "train.best=loss"};
  const std::string words = StoppedTraining(job, With(kept, {"train.epochs=1000000"}));
  EXPECT_TRUE(Has(words, "--set snapshot.resume=1 goes on from there")) << words;
  const size_t after = words.find("stopped after step ");
  ASSERT_NE(after, std::string::npos) << words;
  const uint64_t steps = std::stoull(words.substr(after + 19)) + 9;
  const Sets more{"train.epochs=1000000", "train.steps=" + std::to_string(steps)};
  const JsonValue rest = Train(job, With(With(kept, more), {"snapshot.resume=1"}), {"--single"});
  EXPECT_EQ(At(rest, "steps"), static_cast<double>(steps));
  const JsonValue whole =
      Train(job, With(more, {"optimizer.name=adam", "train.best=loss"}), {"--single"});
  EXPECT_EQ(Metric(rest, "weights_crc32"), Metric(whole, "weights_crc32"));
  EXPECT_EQ(Metric(rest, "best_step"), Metric(whole, "best_step"));
  Train(job, With(With(kept, more), {"snapshot.resume=latest"}), {"--single"});
  EXPECT_TRUE(Has(OutputOf("train"), "nothing was left to train")) << OutputOf("train");
}

TEST(WeightsTest, TrainingWithoutServersBeginsNotWhereItCannotKeepASnapshot) {
  EXPECT_TRUE(Has(Refused(WriteTable(), {"snapshot.to=/proc/none"}, {"--single"}, 4),
                  "/proc/none: the folder cannot be made"));
}

TEST(WeightsTest, TrainingWithoutServersThatIsStoppedSaysThatItKeepsNothing) {
  const std::string words = StoppedTraining(WriteTable(), {"train.epochs=1000000"});
  EXPECT_TRUE(Has(words, "and nothing is kept: with a folder in snapshot.to")) << words;
}

}  // namespace
}  // namespace shardmill
