#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/nn/network_fixture.h"

namespace shardmill::nn {
namespace {

NetworkSpec Spec(const Shape& input, std::vector<LayerSpec> layers) {
  return {.input = input, .layers = std::move(layers), .loss = "softmax_cross_entropy"};
}

std::string WordsOn(const NetworkSpec& spec) {
  CpuBackend backend;
  const Result<std::unique_ptr<Network>> network = Network::Make(spec, backend);
  return network.ok() ? "" : network.error().message;
}

// Brings parameters no earlier than they are awaited, to another place, and keeps gradients as they
// are when they leave; says in which order. Fails at one parameter, if it is told to.
class LateFlow final : public ParameterFlow {
 public:
  explicit LateFlow(NetworkFixture& fixture)
      : fixture_(fixture), brings_(fixture.parameters()), sent_(brings_.size()) {
    for (std::vector<float>& values : fixture.parameters()) {
      std::ranges::fill(values, std::numeric_limits<float>::quiet_NaN());
    }
  }

  Result<> Await(size_t parameter) override {
    awaited_.push_back(NameOf(parameter));
    if (awaited_.back() == fails_at) return Error{ErrorCode::kUnavailable, "nobody answers"};
    fixture_.lent_parameters()[parameter] = brings_[parameter];
    return {};
  }

  Result<> Send(size_t parameter) override {
    order_.push_back(NameOf(parameter));
    if (order_.back() == fails_at_sending) return Error{ErrorCode::kUnavailable, "nobody takes"};
    sent_[parameter] = fixture_.gradients()[parameter];
    return {};
  }

  const std::vector<std::string>& awaited() const { return awaited_; }
  const std::vector<std::string>& order() const { return order_; }
  const std::vector<std::vector<float>>& sent() const { return sent_; }

  std::string fails_at;
  std::string fails_at_sending;

 private:
  std::string NameOf(size_t parameter) const {
    return fixture_.network().parameters()[parameter].name;
  }

  NetworkFixture& fixture_;
  const std::vector<std::vector<float>> brings_;
  std::vector<std::string> awaited_, order_;
  std::vector<std::vector<float>> sent_;
};

NetworkSpec ThreeLayers() {
  return Spec({4}, {{"affine", 3}, {"relu"}, {"affine", 3}, {"affine", 2}});
}

TEST(GraphTest, HasTheGradientsOfFiniteDifferencesThroughEveryFamilyOfLayers) {
  NetworkFixture f(ManyLayersSpec());
  f.MakeBatch(6);
  // A loss of about 1 in float, through twenty layers.
  EXPECT_LT(f.GreatestError(6), 2e-4);
}

TEST(GraphTest, HasTheGradientsOfFiniteDifferencesWhereLayersDoTheActivationAndLieOverEachOther) {
  NetworkFixture f(Spec({5}, {{.type = "affine", .units = 6, .name = "a"},
                              {.type = "elu"},
                              {.type = "affine", .units = 6, .name = "b"},
                              {.type = "add", .name = "sum", .inputs = {"b", "a"}},
                              {.type = "tanh", .name = "t"},
                              {.type = "affine", .units = 6},
                              {.type = "add", .inputs = {"affine_6", "t", "t", "sum"}},
                              {.type = "flatten"},
                              {.type = "sigmoid"},
                              {.type = "affine", .units = 4}}));
  f.MakeBatch(7);
  EXPECT_LT(f.GreatestError(7), 1e-4);
}

TEST(GraphTest, AwaitsTheFirstLayersFirstAndSendsTheLastLayersFirst) {
  NetworkFixture f(ThreeLayers());
  f.MakeBatch(2);
  LateFlow flow(f);
  ASSERT_TRUE(f.Train(2, &flow).ok());
  EXPECT_EQ(flow.awaited(),
            (std::vector<std::string>{"affine_1.weight", "affine_1.bias", "affine_3.weight",
                                      "affine_3.bias", "affine_4.weight", "affine_4.bias"}));
  EXPECT_EQ(flow.order(),
            (std::vector<std::string>{"affine_4.weight", "affine_4.bias", "affine_3.weight",
                                      "affine_3.bias", "affine_1.weight", "affine_1.bias"}));
}

TEST(GraphTest, AwaitsAndSendsEachParameterOnceWhereABatchHasNoRows) {
  NetworkFixture f(ThreeLayers());
  f.MakeBatch(2);
  LateFlow flow(f);
  ASSERT_TRUE(f.Train(0, &flow).ok());
  EXPECT_EQ(flow.awaited().size(), 6U);
  EXPECT_EQ(flow.order().size(), 6U);
}

TEST(GraphTest, ReadsNoParameterBeforeItIsThereAndChangesNoGradientThatHasLeft) {
  NetworkFixture f(ManyLayersSpec());
  f.MakeBatch(6);
  const double loss = f.Train(6).value();
  const std::vector<std::vector<float>> want = f.gradients();
  LateFlow flow(f);
  EXPECT_EQ(f.Train(6, &flow).value(), loss);
  EXPECT_EQ(flow.sent(), want);
  EXPECT_EQ(f.gradients(), want);
}

TEST(GraphTest, EndsABatchWhereAParameterDoesNotComeOrAGradientCannotLeave) {
  NetworkFixture f(ThreeLayers());
  f.MakeBatch(2);
  LateFlow flow(f);
  flow.fails_at = "affine_3.weight";
  EXPECT_EQ(f.Train(2, &flow).error().message, "nobody answers");
  EXPECT_TRUE(flow.order().empty());
  NetworkFixture other(ThreeLayers());
  other.MakeBatch(2);
  LateFlow next(other);
  next.fails_at_sending = "affine_3.weight";
  EXPECT_EQ(other.Train(2, &next).error().message, "nobody takes");
  EXPECT_EQ(next.order().size(), 3U);
}

TEST(GraphTest, LeavesFrozenLayersWithoutAGradient) {
  NetworkFixture f(Spec({4}, {{.type = "affine", .units = 3, .frozen = true},
                              {"tanh"},
                              {.type = "affine", .units = 3, .frozen = true},
                              {"affine", 2}}));
  f.MakeBatch(2);
  ASSERT_TRUE(f.Train(2).ok());
  EXPECT_EQ(f.gradients()[0], std::vector<float>(12));
  EXPECT_EQ(f.gradients()[2], std::vector<float>(9));
  EXPECT_NE(f.gradients()[4], std::vector<float>(6));
  EXPECT_LT(f.GreatestError(2), 1e-4);
}

TEST(GraphTest, KeepsRunningStatisticsByPlainDescent) {
  NetworkFixture f(Spec({2}, {{.type = "batch_norm1d", .momentum = 0.75}, {"affine", 2}}));
  f.MakeBatch(64);
  const ParameterInfo& mean = f.network().parameters()[2];
  EXPECT_EQ(mean.name, "batch_norm1d_1.mean");
  EXPECT_EQ(mean.role, Role::kStatistic);
  EXPECT_FLOAT_EQ(mean.rate, 0.25F);
  for (int step = 0; step < 60; ++step) {
    ASSERT_TRUE(f.Train(64).ok());
    for (const size_t statistic : {2, 3}) {
      for (size_t i = 0; i < 2; ++i) {
        f.parameters()[statistic][i] -= mean.rate * f.gradients()[statistic][i];
      }
    }
  }
  // Once they are those of the batch, evaluation sees what training saw; but for the variance,
  // which is larger outside the batch by 64 / 63.
  const double loss = f.Train(64).value();
  EXPECT_NEAR(f.Evaluate(64).value().loss / 64, loss, 1e-2);
}

TEST(GraphTest, NormalizesByRunningStatisticsWhereItIsFrozen) {
  NetworkFixture f(
      Spec({3}, {{"affine", 4}, {.type = "batch_norm1d", .frozen = true}, {"affine", 2}}));
  f.MakeBatch(5);
  EXPECT_LT(f.GreatestError(5), 1e-4);
  for (const size_t index : {2, 3, 4, 5}) {
    EXPECT_EQ(f.gradients()[index], std::vector<float>(4)) << index;
  }
  EXPECT_NEAR(f.Evaluate(5).value().loss / 5, f.Train(5).value(), 1e-6);
}

TEST(GraphTest, KeepsWeightsSmallButNotBiases) {
  NetworkSpec spec = Spec({3}, {{"affine", 2}});
  NetworkFixture plain(spec);
  spec.l1 = 0.25;
  spec.l2 = 0.5;
  NetworkFixture f(spec);
  plain.MakeBatch(4);
  f.MakeBatch(4);
  const double loss = plain.Train(4).value();
  double penalty = 0;
  const double with_penalty = f.Train(4).value();
  for (size_t i = 0; i < 6; ++i) {
    const float weight = f.parameters()[0][i];
    penalty += 0.25 * static_cast<double>(std::abs(weight)) +
               0.25 * static_cast<double>(weight) * static_cast<double>(weight);
    const float want = plain.gradients()[0][i] + (weight > 0 ? 0.25F : -0.25F) + 0.5F * weight;
    EXPECT_NEAR(f.gradients()[0][i], want, 1e-6);
  }
  EXPECT_NEAR(with_penalty, loss + penalty, 1e-6);
  EXPECT_EQ(f.gradients()[1], plain.gradients()[1]);
}

TEST(GraphTest, DropsByTheStepsChanceAloneAndNotInEvaluation) {
  NetworkFixture f(Spec({50}, {{.type = "dropout", .rate = 0.5}, {"affine", 2}}));
  f.MakeBatch(8);
  const double first = f.Train(8).value();
  EXPECT_EQ(f.Train(8).value(), first);
  f.SetChance(2);
  EXPECT_NE(f.Train(8).value(), first);
  const double sum = f.Evaluate(8).value().loss;
  f.SetChance(3);
  EXPECT_EQ(f.Evaluate(8).value().loss, sum);
}

TEST(GraphTest, PredictsWhatItEvaluates) {
  NetworkFixture f(ManyLayersSpec());
  f.MakeBatch(4);
  const std::span<const float> all = f.Predict(4).value();
  const std::vector<float> outputs(all.begin(), all.end());
  EXPECT_EQ(outputs.size(), 12U);
  const std::span<const float> one = f.Predict(1).value();
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(one[i], outputs[i], 1e-5);
}

TEST(GraphTest, RefusesAnIdThatItsEmbeddingDoesNotHave) {
  NetworkSpec spec;
  spec.loss = "log_loss";
  spec.inputs = {{"words", {ValueKind::kIndices, {2}}}};
  spec.layers = {{.type = "embedding_bag", .units = 1, .rows = 4}};
  CpuBackend backend;
  const std::unique_ptr<Network> network = Network::Make(spec, backend).value();
  const std::vector<float> weight(4);
  const std::vector<std::span<const float>> parameters{weight};
  const std::vector<uint32_t> ids{0, 3, 4, 1}, labels{0, 1};
  const Input input{.floats = {}, .ids = ids};
  const Result<LossSums> sums = network->Evaluate(
      {.inputs = {&input, 1}, .targets = {.labels = labels, .values = {}}, .rows = 2}, parameters);
  ASSERT_FALSE(sums.ok());
  EXPECT_EQ(sums.error().code, ErrorCode::kBadInput);
  EXPECT_EQ(sums.error().message,
            "the input \"words\" holds the id 4, but the layer that reads it has 4 rows");
}

TEST(GraphTest, RefusesSparseRowsThatDoNotFitEachOther) {
  NetworkFixture f(ManyLayersSpec());
  f.MakeBatch(6);
  const Samples good = f.Batch(6);
  const std::vector<std::span<const float>> parameters(f.parameters().begin(),
                                                       f.parameters().end());
  const auto refuses = [&](const Input& sparse) {
    std::vector<Input> inputs(good.inputs.begin(), good.inputs.end());
    inputs[2] = sparse;
    Samples bad = good;
    bad.inputs = inputs;
    const auto answer = f.network().Predict(bad, parameters);
    return !answer.ok() && answer.error().code == ErrorCode::kBadInput &&
           answer.error().message.find("do not fit each other") != std::string::npos;
  };
  const Input& sparse = good.inputs[2];
  EXPECT_FALSE(refuses(sparse));
  EXPECT_TRUE(refuses({sparse.floats, sparse.ids, sparse.ends.first(5)}));
  EXPECT_TRUE(refuses({sparse.floats, sparse.ids.first(2), sparse.ends}));
  EXPECT_TRUE(refuses({sparse.floats.first(2), sparse.ids, sparse.ends}));
  std::vector<uint64_t> falls(sparse.ends.begin(), sparse.ends.end());
  falls[1] = 100;
  EXPECT_TRUE(refuses({sparse.floats, sparse.ids, falls}));
}

TEST(GraphTest, SaysWhatIsWrongWithNamesAndPlaces) {
  EXPECT_EQ(WordsOn(Spec({4}, {{.type = "affine", .units = 3, .inputs = {"hidden"}}})),
            "layer 1 (\"affine\"): it reads \"hidden\", but no input and no layer above it has "
            "that name");
  EXPECT_EQ(WordsOn(Spec({4}, {{.type = "affine", .units = 3, .name = "a"},
                               {.type = "affine", .units = 3, .name = "a"}})),
            "layer 2 (\"affine\", named \"a\"): there is another \"a\" above it");
  EXPECT_EQ(WordsOn(Spec({4}, {{.type = "affine", .units = 3, .name = "a"},
                               {.type = "affine", .units = 2, .inputs = {"input"}}})),
            "no layer reads \"a\", and only the last layer goes to the loss");
  EXPECT_EQ(WordsOn(Spec({4}, {{.type = "affine", .units = 3},
                               {.type = "add", .inputs = {"affine_1", "input"}}})),
            "layer 2 (\"add\"): its inputs do not fit together: one is 3, another 4");
  EXPECT_EQ(WordsOn(Spec({4}, {{"affine", 2}, {"add"}})),
            "layer 2 (\"add\"): it reads 2 inputs or more, not 1");
  EXPECT_EQ(WordsOn(Spec({2, 2}, {{.type = "conv2d", .units = 1, .kernel = 3}})),
            "layer 1 (\"conv2d\"): its kernel of 3 does not fit into its input of 2x2x1");
  EXPECT_EQ(WordsOn(Spec({2, 2}, {{.type = "conv2d", .units = 1}})),
            "layer 1 (\"conv2d\"): it needs kernel");
}

}  // namespace
}  // namespace shardmill::nn
