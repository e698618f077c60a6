#include "worker/job_model.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/worker/data/data_set.h"
#include "worker/data/batches.h"
#include "worker/data/row_builder.h"

namespace shardmill {
namespace {

constexpr const char* kHead = R"([data]
folder = "/data"
[model]
)";

// Pictures of 6 by 8 of two classes.
std::shared_ptr<const SampleStore> Pictures() {
  return MakeDataSet(std::vector<float>(4 * 48, 0.5F), {0, 1, 1, 0}, {6, 8}, 2);
}

Result<std::unique_ptr<NetworkModel>> ModelOf(const std::string& model) {
  const Result<Job> job = ParseJob("job.toml", kHead + model, {});
  if (!job.ok()) return job.error();
  return MakeJobModel(job.value().options, *Pictures());
}

nn::LayerSpec LayerOf(const std::string& layer) {
  const Result<Job> job = ParseJob("job.toml", kHead + ("layers = [" + layer + "]"), {});
  EXPECT_TRUE(job.ok()) << job.error().message;
  return LayerSpecOf(job.value().options.model.layers.at(0));
}

TEST(JobModelTest, KnowsWhichWeightsAreOfTheDataBehindLayersWithoutAny) {
  const auto model = ModelOf(R"(layers = [
    { type = "flatten", name = "flat" },
    { type = "relu", name = "bent" },
    { type = "concat", inputs = ["flat", "bent"] },
    { type = "dropout", rate = 0.5 },
    { type = "affine", units = 4 },
    { type = "relu" },
    { type = "affine", units = 2 },
  ])");
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto parameters = model.value()->Parameters();
  ASSERT_EQ(parameters.size(), 4U);
  EXPECT_EQ(parameters[0].reads, 0U);
  EXPECT_EQ(parameters[2].reads, std::nullopt);
}

TEST(JobModelTest, MakesTheNetworkThatTheKeysOfLayersSay) {
  const auto model = ModelOf(R"(layers = [
    { type = "reshape", shape = "8x6x1" },
    { type = "conv2d", name = "first", units = 4, kernel = 3, stride = 2, padding = 1 },
    { type = "leaky_relu", slope = 0.3 },
    { type = "conv2d", name = "second", units = 4, kernel = 3, padding = 1, groups = 2, bias = false },
    { type = "add", inputs = ["second", "first"] },
    { type = "reshape", shape = "4x12" },
    { type = "lstm", name = "all", units = 2, cell_output = "all" },
    { type = "layer_norm", epsilon = 0.001 },
    { type = "lstm", units = 3 },
    { type = "dropout", rate = 0.2 },
    { type = "affine", name = "out", units = 2, initial = "zero" },
  ])");
  ASSERT_TRUE(model.ok()) << model.error().message;
  std::map<std::string, ParameterSpec> tables;
  for (const ParameterSpec& spec : model.value()->Parameters()) tables[spec.name] = spec;
  EXPECT_EQ(tables["first.weight"].size, 3U * 3 * 1 * 4);
  EXPECT_EQ(tables["first.bias"].size, 4U);
  EXPECT_EQ(tables["second.weight"].size, 3U * 3 * 2 * 4);
  EXPECT_FALSE(tables.contains("second.bias"));
  EXPECT_EQ(tables["all.recurrent_weight"].size, 2U * 8);
  EXPECT_EQ(tables["lstm_9.weight"].size, 2U * 12);
  EXPECT_EQ(tables["out.weight"].initial, Initial::Constant(0));
  EXPECT_NE(tables["first.weight"].initial, Initial::Constant(0));
  EXPECT_EQ(LayerOf(R"({ type = "leaky_relu", slope = 0.3 })").slope, 0.3);
  EXPECT_EQ(LayerOf(R"({ type = "dropout", rate = 0.2 })").rate, 0.2);
  EXPECT_EQ(LayerOf(R"({ type = "layer_norm", epsilon = 0.001 })").epsilon, 0.001);
}

TEST(JobModelTest, StepsByRulesOfTheirOwnWhatTheJobsRuleDoesNot) {
  const auto model = ModelOf(R"(layers = [
    { type = "flatten" },
    { type = "affine", name = "plain", units = 4 },
    { type = "affine", name = "slow", units = 4, learning_rate = 0.5 },
    { type = "batch_norm1d", name = "norm", momentum = 0.75 },
    { type = "affine", name = "still", units = 2, frozen = true },
  ]
  [optimizer]
  name = "adam"
  learning_rate = 0.01
  [cluster]
  workers = 4
  [policy]
  aggregate = "sum")");
  ASSERT_TRUE(model.ok()) << model.error().message;
  std::map<std::string, ParameterSpec> tables;
  for (const ParameterSpec& spec : model.value()->Parameters()) tables[spec.name] = spec;
  EXPECT_FALSE(tables["plain.weight"].update.has_value());
  EXPECT_EQ(tables["slow.weight"].update->rule, UpdateRule::kAdam);
  EXPECT_DOUBLE_EQ(tables["slow.weight"].update->rate.base, 0.005);
  // A sum over four workers takes each batch's statistics once.
  EXPECT_EQ(tables["norm.mean"].update->rule, UpdateRule::kSgd);
  EXPECT_FLOAT_EQ(static_cast<float>(tables["norm.mean"].update->rate.base), 0.25F / 4);
  EXPECT_FALSE(tables["norm.mean"].trained);
  EXPECT_TRUE(tables["norm.scale"].trained);
  EXPECT_EQ(tables["still.weight"].update->rule, UpdateRule::kSgd);
  EXPECT_EQ(tables["still.weight"].update->weight_decay, 0);
}

TEST(JobModelTest, RefusesBatchesOfOneRowWhereANormTakesTheirVariance) {
  const std::string layers = R"(layers = [{ type = "flatten" }, { type = "affine", units = 4 },
    { type = "batch_norm1d" }, { type = "affine", units = 2 }])";
  const auto model = ModelOf(layers);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto words = [&](uint32_t batch, uint64_t rows, uint64_t chunk = 0) {
    JobOptions job;
    job.data.batch_size = batch;
    job.data.scheme = chunk > 0 ? DataScheme::kLeased : DataScheme::kRandom;
    job.data.chunk = chunk;
    const Result<> fits = CheckBatches(job, *model.value(), rows);
    return fits.ok() ? "" : fits.error().message;
  };
  EXPECT_EQ(words(64, 128), "");
  EXPECT_EQ(words(64, 130), "");
  EXPECT_EQ(words(64, 0), "");
  EXPECT_NE(words(1, 128), "");
  EXPECT_NE(words(64, 1), "");
  EXPECT_NE(words(64, 128, 65), "");
  EXPECT_EQ(
      words(64, 129),
      "the layer \"batch_norm1d_3\" is trained with batches of at least 2 rows, of which it "
      "takes the variance, and here is one of 1: 129 rows of an epoch are cut into batches of "
      "64; choose another data.batch_size");
}

// Users and movies with ratings, and a column that nobody reads.
std::unique_ptr<SampleStore> Ratings() {
  const Columns columns = {{.name = "numbers", .row_shape = {3}},
                           {.name = "user", .kind = ColumnKind::kIds, .ids_end = 9},
                           {.name = "movie", .kind = ColumnKind::kKeys},
                           {.name = "rating"}};
  RowBudget budget;
  RowBuilder builder(columns, budget);
  return builder.Finish("").value();
}

Result<std::unique_ptr<NetworkModel>> RatingsModel(const std::string& model) {
  const Result<Job> job = ParseJob("job.toml", kHead + model, {});
  if (!job.ok()) return job.error();
  return MakeJobModel(job.value().options, *Ratings());
}

// Rows of sparse numbers of three classes, as libsvm has them.
Result<std::unique_ptr<NetworkModel>> SparseModel(const std::string& layers,
                                                  const std::string& more = "") {
  const Result<Job> job = ParseJob("job.toml", kHead + ("layers = [" + layers + "]\n") + more, {});
  if (!job.ok()) return job.error();
  RowBudget budget;
  RowBuilder builder({{.name = "input", .kind = ColumnKind::kSparse, .ids_end = 40},
                      {.name = "label", .kind = ColumnKind::kIds, .ids_end = 3}},
                     budget);
  return MakeJobModel(job.value().options, *builder.Finish("").value());
}

TEST(JobModelTest, GivesAnAffineOfSparseRowsATableOfRowsByKeyAndADenseBias) {
  const auto model = SparseModel("{ type = \"affine\", units = 3 }");
  ASSERT_TRUE(model.ok()) << model.error().message;
  const std::span<const ParameterSpec> tables = model.value()->Parameters();
  ASSERT_EQ(tables.size(), 2U);
  EXPECT_TRUE(tables[0].sparse());
  EXPECT_EQ(tables[0].dim, 3U);
  EXPECT_EQ(tables[0].input, 0U);
  EXPECT_EQ(tables[1].size, 3U);
  const auto dense = SparseModel("{ type = \"affine\", units = 3, rows = 40 }");
  ASSERT_TRUE(dense.ok()) << dense.error().message;
  EXPECT_EQ(dense.value()->Parameters()[0].size, 120U);
}

TEST(JobModelTest, RefusesWhatSparseRowsCannotBe) {
  const auto words = [](const std::string& layers, const std::string& more = "") {
    const auto model = SparseModel(layers, more);
    return model.ok() ? "" : model.error().message;
  };
  EXPECT_NE(words("{ type = \"flatten\" }, { type = \"affine\", units = 3 }")
                .find("its input is sparse rows, which \"affine\" and \"embedding_bag\" read"),
            std::string::npos);
  EXPECT_NE(words(R"({ name = "a", type = "affine", units = 3, inputs = ["input"] },
                     { name = "b", type = "embedding_bag", units = 3, rows = 40, inputs = ["input"] },
                     { type = "add", inputs = ["a", "b"] })")
                .find("\"a.weight\" reads \"input\" by key, and another layer reads it with"),
            std::string::npos);
  const std::string exchange = "[policy]\nexchange = \"parameters\"\n";
  EXPECT_NE(words("{ type = \"affine\", name = \"words\", units = 3 }", exchange)
                .find("\"words.weight\" is a sparse table, of which no worker has all rows"),
            std::string::npos);
  EXPECT_EQ(words("{ type = \"affine\", units = 3, rows = 40 }", exchange), "");
  EXPECT_NE(ModelOf(R"(layers = [{ type = "flatten" }, { type = "affine", units = 2, rows = 48 }])")
                .error()
                .message.find("its input is no sparse rows, of which alone it takes rows"),
            std::string::npos);
}

TEST(JobModelTest, ReadsTheColumnsThatLayersNameAndGivesTablesTheirOwnRules) {
  const auto model = RatingsModel(R"(loss = "l2"
metrics = ["rmse"]
layers = [
    { name = "movie_bias", type = "embedding_bag", units = 1, inputs = ["movie"], initial = "zero" },
    { type = "embedding_bag", units = 1, inputs = ["user"], rows = 9, optimizer = "ftrl", learning_rate = 0.5 },
    { type = "add", inputs = ["movie_bias", "embedding_bag_2"] },
])");
  ASSERT_TRUE(model.ok()) << model.error().message;
  const std::span<const ParameterSpec> tables = model.value()->Parameters();
  ASSERT_EQ(tables.size(), 2U);
  EXPECT_EQ(tables[0].dim, 1U);
  EXPECT_EQ(tables[0].input, 2U);
  EXPECT_EQ(tables[0].initial, Initial::Constant(0));
  EXPECT_FALSE(tables[0].update.has_value());
  EXPECT_EQ(tables[1].size, 9U);
  EXPECT_EQ(tables[1].update->rule, UpdateRule::kFtrl);
  EXPECT_DOUBLE_EQ(tables[1].update->rate.base, 0.05);
}

TEST(JobModelTest, SaysWhichInputsThereAre) {
  const auto unnamed = RatingsModel(R"(loss = "l2"
metrics = ["rmse"]
layers = [{ type = "affine", units = 1 }])");
  ASSERT_FALSE(unnamed.ok());
  EXPECT_EQ(
      unnamed.error().message,
      "the data have the inputs \"numbers\", \"user\", \"movie\": say with \"inputs\" which of "
      "them the first layer reads");
  const auto wrong = RatingsModel(R"(loss = "l2"
metrics = ["rmse"]
layers = [{ type = "affine", units = 1, inputs = ["number"] }])");
  ASSERT_FALSE(wrong.ok());
  EXPECT_TRUE(
      wrong.error().message.ends_with("the data have the inputs \"numbers\", \"user\", \"movie\""))
      << wrong.error().message;
  const auto target = RatingsModel(R"(loss = "l2"
metrics = ["rmse"]
target = "movie"
layers = [{ type = "affine", units = 1, inputs = ["numbers"] }])");
  ASSERT_FALSE(target.ok());
  EXPECT_TRUE(
      target.error().message.starts_with("\"model.target\" is \"movie\", which is no input"))
      << target.error().message;
}

TEST(JobModelTest, ComparesTheOutputWithAnInputWhereTheJobSaysSo) {
  const std::string layers = R"(loss = "l2"
metrics = ["rmse"]
target = "numbers"
layers = [{ type = "affine", inputs = ["numbers"], units = )";
  const auto three = RatingsModel(layers + "3 }]");
  ASSERT_TRUE(three.ok()) << three.error().message;
  EXPECT_EQ(three.value()->target_column(), 0U);
  EXPECT_FALSE(RatingsModel(layers + "2 }]").ok());
}

TEST(JobModelTest, LeavesToATypeWhatALayerDoesNotSay) {
  const nn::LayerSpec spec = LayerOf(R"({ type = "leaky_relu" })");
  EXPECT_FALSE(spec.slope || spec.rate || spec.epsilon || spec.padding);
  EXPECT_EQ(spec.stride, 0U);
  EXPECT_FALSE(spec.no_bias);
}

TEST(JobModelTest, TakesAZeroThatIsSaidAsAZero) {
  EXPECT_EQ(LayerOf(R"({ type = "batch_norm1d", momentum = 0.0 })").momentum, 0.0);
  const auto slope = ModelOf(R"(layers = [{ type = "leaky_relu", slope = 0 }])");
  ASSERT_FALSE(slope.ok());
  EXPECT_NE(slope.error().message.find("must be above 0"), std::string::npos);
  const auto epsilon = ModelOf(R"(layers = [{ type = "flatten" },
    { type = "layer_norm", epsilon = 0.0 }])");
  ASSERT_FALSE(epsilon.ok());
  EXPECT_NE(epsilon.error().message.find("must be above 0"), std::string::npos)
      << epsilon.error().message;
}

TEST(JobModelTest, AddsToTheLossWhatKeepsWeightsSmall) {
  const auto loss_and_bias = [](const std::string& keys) {
    const auto model = ModelOf(keys + R"(
      layers = [{ type = "flatten" }, { type = "affine", units = 2 }])")
                           .value();
    const auto data = Pictures();
    const BatchPlan plan{.seed = 1, .batch_rows = 4};
    Batches batches(*data, plan, {});
    const std::vector<float> weight(96, -2);
    const std::vector<float> bias{3, 3};
    std::vector<float> gradient(96);
    std::vector<float> of_bias(2);
    const std::vector<std::span<const float>> values{weight, bias};
    const std::vector<std::span<float>> gradients{gradient, of_bias};
    const auto loss = model->Train(batches.At(0, 0), values, gradients);
    EXPECT_TRUE(loss.ok()) << loss.error().message;
    return std::pair(loss.value(), gradient[0]);
  };
  const auto [plain, plain_gradient] = loss_and_bias("");
  const auto [l1, l1_gradient] = loss_and_bias("l1 = 0.25");
  EXPECT_NEAR(l1 - plain, 0.25 * 96 * 2, 1e-3);
  EXPECT_NEAR(l1_gradient - plain_gradient, -0.25, 1e-4);
  const auto [l2, l2_gradient] = loss_and_bias("l2 = 0.5");
  EXPECT_NEAR(l2 - plain, 0.5 / 2 * 96 * 4, 1e-3);
  EXPECT_NEAR(l2_gradient - plain_gradient, -1, 1e-4);
}

TEST(JobModelTest, RefusesALossThatCannotReadTheLabels) {
  const auto two = ModelOf(R"(loss = "l2"
metrics = ["rmse"]
layers = [{ type = "flatten" }, { type = "affine", units = 2 }])");
  ASSERT_FALSE(two.ok());
  EXPECT_TRUE(two.error().message.starts_with(
      "the loss \"l2\" compares one output with the label, but the last layer gives 2"))
      << two.error().message;
  EXPECT_TRUE(ModelOf(R"(loss = "log_loss"
layers = [{ type = "flatten" }, { type = "affine", units = 1 }])")
                  .ok());
}

}  // namespace
}  // namespace shardmill
