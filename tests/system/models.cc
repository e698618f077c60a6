#include "tests/system/models.h"

#include <gtest/gtest.h>

#include <fstream>
#include <utility>

#include "tests/system/launch.h"

namespace shardmill {

double At(const JsonValue& json, const char* key) {
  const JsonValue* value = json.Find(key);
  EXPECT_NE(value, nullptr) << key;
  return value == nullptr ? -1 : value->number;
}

JsonValue Train(const std::string& job, const std::vector<std::string>& sets,
                std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--json", "--quiet"});
  for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
  const auto train = LaunchTrain(job, std::move(arguments));
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  Result<JsonValue> json = ParseJson(LastLineOf("train"));
  EXPECT_TRUE(json.ok()) << OutputOf("train");
  return json.ok() ? std::move(json).value() : JsonValue{};
}

double Metric(const JsonValue& result, const char* name) {
  const JsonValue* metrics = result.Find("metrics");
  return metrics == nullptr ? -1 : At(*metrics, name);
}

std::string Ask(const std::string& command, const std::string& job,
                std::vector<std::string> arguments, int code) {
  const std::string runs = "job.runs=" + TestFolder() + "/runs";
  arguments.insert(arguments.begin(), {command, job, "--set", runs});
  const auto asked = Launch(command, "cli/shardmill", std::move(arguments));
  EXPECT_EQ(asked->Wait(kPatience), (ExitStatus{code, 0})) << OutputOf(command);
  return OutputOf(command);
}

std::vector<std::string> LinesOf(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void WriteText(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string WriteTable(const std::string& bad_line) {
  std::string rows = "colour,size,thing\n";
  for (int i = 0; i < 300; ++i) {
    const char* colours[] = {"red", "green", "blue"};
    rows += std::string(colours[i % 3]) + "," + std::to_string(i % 7) + "," +
            (i % 3 == 2  ? "sky"
             : i % 7 > 3 ? "tree"
                         : "apple") +
            "\n";
    if (i == 10) rows += bad_line;
  }
  const std::string folder = TestFolder();
  WriteText(folder + "/things.csv", rows);
  WriteText(folder + "/things.toml", R"([job]
name = "things"
runs = ")" + folder + R"(/runs"
[optimizer]
name = "adam"
learning_rate = 0.05
[data]
format = "csv"
train = ")" + folder + R"(/things.csv"
split = [0.8, 0, 0.2]
label = "thing"
categories = ["colour", "thing"]
batch_size = 16
[model]
metrics = ["accuracy", "loss"]
layers = [
  { name = "words", type = "embedding_bag", units = 8, inputs = ["colour"] },
  { name = "size", type = "affine", units = 8, inputs = ["numbers"] },
  { type = "add", inputs = ["words", "size"] },
  { type = "relu" },
  { type = "dropout", rate = 0.1 },
  { type = "affine", units = 3 },
]
[train]
epochs = 8
)");
  return folder + "/things.toml";
}

std::string WriteSparseRows() {
  std::string rows;
  for (uint32_t row = 0; row < 300; ++row) {
    const uint32_t label = row % 2;
    const uint32_t first = 1 + (row * 37) % 200 + 250 * label;
    rows += std::to_string(label);
    for (uint32_t id = first; id < first + row % 5; ++id) rows += " " + std::to_string(id) + ":0.5";
    rows += " " + std::to_string(first + 40) + ":1\n";
  }
  const std::string folder = TestFolder();
  WriteText(folder + "/rows.svm", rows);
  WriteText(folder + "/rows.toml", R"([job]
name = "rows"
runs = ")" + folder + R"(/runs"
[cluster]
shards_per_server = 2
[optimizer]
name = "adagrad"
learning_rate = 0.1
[data]
format = "libsvm"
train = ")" + folder + R"(/rows.svm"
split = [0.8, 0, 0.2]
batch_size = 16
[model]
metrics = ["accuracy", "loss"]
layers = [{ type = "affine", units = 8 }, { type = "relu" }, { type = "affine", units = 2 }]
[train]
epochs = 8
)");
  return folder + "/rows.toml";
}

}  // namespace shardmill
