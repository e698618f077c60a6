#include "nn/network.h"

#include <gtest/gtest.h>

#include <vector>

#include "nn/ops/cpu/backend.h"
#include "tests/nn/gradient_check.h"

namespace shardmill::nn {
namespace {

using Floats = std::vector<std::vector<float>>;

NetworkSpec Spec(const Shape& input, std::vector<LayerSpec> layers) {
  return {.input = input, .layers = std::move(layers), .loss = "softmax_cross_entropy"};
}

// Three layers of weights, so that gradients pass through two.
NetworkSpec DeepSpec() {
  return Spec({2, 3}, {{"flatten"}, {"affine", 7}, {"affine", 5}, {"flatten"}, {"affine", 4}});
}

// The function that DeepSpec describes, in double: the mean loss.
double DeepReference(const std::vector<double>& inputs, const std::vector<uint32_t>& labels,
                     const std::vector<std::vector<double>>& parameters) {
  std::vector<double> values = inputs;
  for (size_t layer = 0; layer < 3; ++layer) {
    values = AffineReference(values, parameters[2 * layer], parameters[2 * layer + 1]);
  }
  return CrossEntropyReference(values, labels) / static_cast<double>(labels.size());
}

// A network together with weights and gradients to lend it.
struct Fixture {
  explicit Fixture(const NetworkSpec& spec) : network(Network::Make(spec, backend).value()) {
    for (size_t index = 0; index < network->parameters().size(); ++index) {
      const uint64_t size = network->parameters()[index].shape.size();
      parameters.push_back(RandomFloats(100 + index, size));
      gradients.emplace_back(size, 99.0F);
    }
    for (size_t index = 0; index < parameters.size(); ++index) {
      lent_parameters.emplace_back(parameters[index]);
      lent_gradients.emplace_back(gradients[index]);
    }
  }

  Result<double> Train(const std::vector<float>& inputs, const std::vector<uint32_t>& labels) {
    const Input input{.floats = inputs, .ids = {}};
    return network->Train(Of(input, labels), lent_parameters, lent_gradients);
  }
  Result<LossSums> Evaluate(const std::vector<float>& inputs, const std::vector<uint32_t>& labels) {
    const Input input{.floats = inputs, .ids = {}};
    return network->Evaluate(Of(input, labels), lent_parameters);
  }
  static Samples Of(const Input& input, const std::vector<uint32_t>& labels) {
    return {
        .inputs = {&input, 1}, .targets = {.labels = labels, .values = {}}, .rows = labels.size()};
  }

  CpuBackend backend;
  std::unique_ptr<Network> network;
  Floats parameters, gradients;
  std::vector<std::span<const float>> lent_parameters;
  std::vector<std::span<float>> lent_gradients;
};

TEST(NetworkTest, NamesItsParametersAfterTheirLayers) {
  const Fixture f(DeepSpec());
  const std::vector<std::string> want{"affine_2.weight", "affine_2.bias",   "affine_3.weight",
                                      "affine_3.bias",   "affine_5.weight", "affine_5.bias"};
  std::vector<std::string> names;
  for (const ParameterInfo& parameter : f.network->parameters()) names.push_back(parameter.name);
  EXPECT_EQ(names, want);
  EXPECT_EQ(f.network->parameters()[2].shape, Shape({7, 5}));
  EXPECT_EQ(f.network->output(), Shape({4}));
}

TEST(NetworkTest, HasTheGradientsOfFiniteDifferencesEndToEnd) {
  Fixture f(DeepSpec());
  const std::vector<float> inputs = RandomFloats(1, 5 * 6);
  const std::vector<uint32_t> labels{3, 0, 2, 1, 3};
  const Result<double> loss = f.Train(inputs, labels);
  ASSERT_TRUE(loss.ok());
  std::vector<std::vector<double>> parameters;
  for (const std::vector<float>& values : f.parameters) parameters.push_back(Doubles(values));
  EXPECT_NEAR(loss.value(), DeepReference(Doubles(inputs), labels, parameters), 1e-5);
  for (size_t index = 0; index < parameters.size(); ++index) {
    const auto by_one = [&](const std::vector<double>& values) {
      std::vector<std::vector<double>> moved = parameters;
      moved[index] = values;
      return DeepReference(Doubles(inputs), labels, moved);
    };
    // Values of about 1 through three products of a few terms each, in float.
    EXPECT_LT(MaxDifference(f.gradients[index], NumericGradient(by_one, parameters[index])), 2e-5)
        << f.network->parameters()[index].name;
  }
}

TEST(NetworkTest, SumsLossAndHitsOverPartsOfASetAsOverTheWhole) {
  Fixture f(DeepSpec());
  const std::vector<float> inputs = RandomFloats(1, 4 * 6);
  const std::vector<uint32_t> labels{3, 0, 2, 1};
  const LossSums whole = f.Evaluate(inputs, labels).value();
  LossSums parts;
  for (size_t row = 0; row < labels.size(); ++row) {
    const auto begin = inputs.begin() + static_cast<ptrdiff_t>(row * 6);
    const LossSums part = f.Evaluate({begin, begin + 6}, {labels[row]}).value();
    parts.loss += part.loss;
    parts.correct += part.correct;
  }
  EXPECT_NEAR(parts.loss, whole.loss, 1e-5);
  EXPECT_EQ(parts.correct, whole.correct);
  EXPECT_NEAR(whole.loss / 4, f.Train(inputs, labels).value(), 1e-6);
}

TEST(NetworkTest, GivesTheSameBitsWhateverItSawBefore) {
  Fixture f(DeepSpec());
  const std::vector<float> inputs = RandomFloats(1, 3 * 6);
  const std::vector<uint32_t> labels{1, 2, 3};
  const double loss = f.Train(inputs, labels).value();
  const Floats gradients = f.gradients;
  ASSERT_TRUE(f.Train(RandomFloats(2, 40 * 6), std::vector<uint32_t>(40, 1)).ok());
  EXPECT_NE(f.gradients, gradients);
  EXPECT_EQ(f.Train(inputs, labels).value(), loss);
  EXPECT_EQ(f.gradients, gradients);
}

TEST(NetworkTest, HasZeroLossAndGradientsForABatchWithoutRows) {
  Fixture f(DeepSpec());
  EXPECT_EQ(f.Train({}, {}).value(), 0.0);
  for (const std::vector<float>& gradient : f.gradients) {
    EXPECT_EQ(gradient, std::vector<float>(gradient.size(), 0.0F));
  }
  EXPECT_EQ(f.Evaluate({}, {}).value().correct, 0U);
}

TEST(NetworkTest, StartsFromTheSeedAndTheParameterAlone) {
  const Fixture one(DeepSpec());
  const Fixture two(DeepSpec());
  const Initial first = one.network->InitialOf(7, 4);
  EXPECT_GT(first.scale, 0.0F);
  EXPECT_EQ(first, two.network->InitialOf(7, 4));
  EXPECT_NE(first.seed, two.network->InitialOf(8, 4).seed);
  EXPECT_NE(first.seed, two.network->InitialOf(7, 0).seed);
}

TEST(NetworkTest, SaysWhatIsWrongWithABatch) {
  Fixture f(DeepSpec());
  const Result<double> size = f.Train(std::vector<float>(11), {0, 1});
  ASSERT_FALSE(size.ok());
  EXPECT_EQ(size.error().code, ErrorCode::kBadInput);
  EXPECT_EQ(size.error().message,
            "a batch of 2 labels comes with 11 numbers, but the network reads 6 numbers a row "
            "(2x3)");
  const Result<LossSums> label = f.Evaluate(std::vector<float>(12), {0, 4});
  ASSERT_FALSE(label.ok());
  EXPECT_EQ(label.error().message,
            "row 1 of the batch has the label 4, but the network tells 4 classes apart, counted "
            "from 0");
}

TEST(NetworkTest, ABatchThatHasNoVarianceIsRefusedUnlessTheNormIsFrozen) {
  NetworkSpec spec = Spec({2}, {{"affine", 3}, {.type = "batch_norm1d", .name = "norm"}});
  spec.layers.push_back({"affine", 2});
  Fixture f(spec);
  EXPECT_TRUE(f.Train({1, 2, 3, 4}, {0, 1}).ok());
  const Result<double> one = f.Train({1, 2}, {0});
  ASSERT_FALSE(one.ok());
  EXPECT_EQ(one.error().message,
            "the layer \"norm\" is trained with batches of at least 2 rows, of which it takes the "
            "variance, and here is one of 1");
  EXPECT_TRUE(f.Evaluate({1, 2}, {0}).ok());
  EXPECT_TRUE(f.Train({}, {}).ok());
  spec.layers[1].frozen = true;
  EXPECT_TRUE(Fixture(spec).Train({1, 2}, {0}).ok());
}

struct WrongSpec {
  NetworkSpec spec;
  std::string message;
};

TEST(NetworkTest, SaysWhichLayerDoesNotFit) {
  NetworkSpec loss = DeepSpec();
  loss.loss = "hinge";
  const std::vector<WrongSpec> wrong{
      {Spec({6}, {{"affine", 3}, {"afine", 2}}),
       "layer 2 (\"afine\"): there is no such type; there are \"flatten\", \"reshape\", "
       "\"affine\", "
       "\"relu\", \"leaky_relu\", \"elu\", \"selu\", \"gelu\", \"silu\", \"sigmoid\", \"tanh\", "
       "\"softmax\", \"dropout\", \"conv2d\", \"max_pool\", \"average_pool\", "
       "\"global_max_pool\", \"global_average_pool\", \"batch_norm1d\", \"batch_norm2d\", "
       "\"layer_norm\", \"rnn\", \"lstm\", \"add\", \"multiply\", \"concat\", "
       "\"embedding\", \"embedding_bag\", \"fm\""},
      {Spec({2, 3}, {{"affine", 3}}),
       "layer 1 (\"affine\"): it reads vectors, but its input is 2x3: put a \"flatten\" layer "
       "before it"},
      {Spec({6}, {{"affine"}}),
       "layer 1 (\"affine\"): it needs units, a whole number of at least 1"},
      {Spec({6}, {{"flatten", 4}}), "layer 1 (\"flatten\"): it takes no units"},
      {Spec({6}, {{"affine", UINT64_MAX}}),
       "layer 1 (\"affine\"): a shape holds more than 1099511627776 numbers"},
      {Spec({6}, {{"flatten"}}),
       "the network has nothing to train: give it a layer with weights, such as \"affine\""},
      {Spec({6}, {{"affine", 1}}),
       "the loss \"softmax_cross_entropy\" reads one number a class, for two classes or more, but "
       "the last layer gives 1"},
      {Spec({}, {{"affine", 2}}), "a network cannot read rows of the shape 0"},
      {loss,
       "there is no loss \"hinge\"; there are \"softmax_cross_entropy\", \"log_loss\", \"l1\", "
       "\"l2\""},
  };
  CpuBackend backend;
  for (const WrongSpec& test : wrong) {
    const Result<std::unique_ptr<Network>> network = Network::Make(test.spec, backend);
    ASSERT_FALSE(network.ok()) << test.message;
    EXPECT_EQ(network.error().code, ErrorCode::kBadUsage);
    EXPECT_EQ(network.error().message, test.message);
  }
}

}  // namespace
}  // namespace shardmill::nn
