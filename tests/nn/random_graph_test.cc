// Graphs by chance: who lies over whom, who does whose activation and which gradients are added is
// decided anew in each, and must change nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "common/rng.h"
#include "nn/layer_types.h"
#include "tests/nn/gradient_check.h"
#include "tests/nn/network_fixture.h"

namespace shardmill::nn {
namespace {

constexpr uint64_t kWidth = 4;

// Layers of one width that read one or two values above, mostly of late; the last brings together
// all that nobody has read.
NetworkSpec RandomSpec(uint64_t seed) {
  constexpr std::array kTypes{"affine",     "tanh",         "sigmoid", "silu",    "softmax",
                              "layer_norm", "batch_norm1d", "dropout", "flatten", "add",
                              "add",        "multiply",     "tanh",    "affine",  "elu"};
  Rng rng(seed);
  NetworkSpec spec{.input = {kWidth}, .layers = {}, .loss = "softmax_cross_entropy"};
  spec.layers.push_back({.type = "affine", .units = kWidth, .name = "v0"});
  std::vector<bool> read{false};
  const uint64_t count = 4 + rng.Below(10);
  for (uint64_t i = 1; i <= count; ++i) {
    LayerSpec layer{.type = kTypes[rng.Below(kTypes.size())], .name = "v" + std::to_string(i)};
    const bool merges = layer.type == "add" || layer.type == "multiply";
    if (layer.type == "affine") layer.units = kWidth;
    if (layer.type == "dropout") layer.rate = 0.25;
    for (int slot = 0; slot < (merges ? 2 : 1); ++slot) {
      const uint64_t above = rng.Chance(0.6) ? i - 1 : rng.Below(i);
      layer.inputs.push_back("v" + std::to_string(above));
      read[above] = true;
    }
    spec.layers.push_back(layer);
    read.push_back(false);
  }
  LayerSpec last{.type = "add", .name = "all", .inputs = {"v0"}};
  for (uint64_t i = 1; i <= count; ++i) {
    if (!read[i]) last.inputs.push_back("v" + std::to_string(i));
  }
  spec.layers.push_back(last);
  spec.layers.push_back({.type = "affine", .units = 3});
  return spec;
}

// The same network with memory of its own for every tensor, and nothing done by another layer.
class PlainNetwork final {
 public:
  explicit PlainNetwork(const NetworkSpec& spec) : spec_(spec) {
    for (const LayerSpec& layer : spec.layers) {
      std::vector<uint64_t> inputs;
      for (const std::string& name : layer.inputs)
        inputs.push_back(1 + std::stoull(name.substr(1)));
      if (inputs.empty()) inputs.push_back(inputs_.size());
      const std::vector<ValueType> types(inputs.size(), {ValueKind::kFloats, {kWidth}});
      layers_.push_back(MakeLayer(layer, types).value());
      inputs_.push_back(inputs);
    }
  }

  // The gradients by all parameters, in the order of a Network.
  std::vector<std::vector<float>> Gradients(const std::vector<float>& input,
                                            std::span<const uint32_t> labels, uint64_t chance,
                                            const std::vector<std::vector<float>>& parameters) {
    Forward(input, labels.size(), chance, parameters);
    std::vector<std::vector<float>> back(values_.size());
    for (size_t i = 0; i < values_.size(); ++i) back[i].resize(values_[i].size());
    std::vector<float> losses(labels.size());
    backend_.SoftmaxCrossEntropy(Of(values_.back()), labels,
                                 1.0F / static_cast<float>(labels.size()),
                                 {losses, {losses.size()}}, Of(back.back()));
    std::vector<std::vector<float>> gradients(parameters.size());
    for (size_t i = layers_.size(); i-- > 0;) Backward(i, chance, parameters, back, gradients);
    return gradients;
  }

 private:
  Tensor Of(std::vector<float>& numbers) const {
    return {numbers, {rows_, numbers.size() / rows_}};
  }

  std::vector<ConstTensor> Lent(size_t index, const std::vector<std::vector<float>>& parameters) {
    std::vector<ConstTensor> lent;
    for (const ParameterInfo& info : layers_[index]->parameters()) {
      lent.emplace_back(std::span<const float>(parameters[begins_[index] + lent.size()]),
                        info.shape);
    }
    return lent;
  }
  std::vector<Value> Read(size_t index) {
    std::vector<Value> read;
    for (const uint64_t input : inputs_[index]) read.push_back({.floats = Of(values_[input])});
    return read;
  }

  void Forward(const std::vector<float>& input, uint64_t rows, uint64_t chance,
               const std::vector<std::vector<float>>& parameters) {
    rows_ = rows;
    values_ = {input};
    saved_.clear();
    begins_ = {0};
    for (size_t i = 0; i < layers_.size(); ++i) {
      const SavedSize size = layers_[i]->Saved(backend_);
      saved_.emplace_back(size.of_batch + rows * size.of_row);
      begins_.push_back(begins_[i] + layers_[i]->parameters().size());
      const std::vector<Value> read = Read(i);
      std::vector<float> output(rows * layers_[i]->output().size());
      if (layers_[i]->traits().view) {
        output = values_[inputs_[i][0]];
      } else {
        layers_[i]->Forward(backend_, {.inputs = read,
                                       .parameters = Lent(i, parameters),
                                       .output = Of(output),
                                       .saved = saved_[i],
                                       .training = true,
                                       .chance = Mix(chance ^ Mix(i))});
      }
      values_.push_back(output);
    }
  }

  void Backward(size_t index, uint64_t chance, const std::vector<std::vector<float>>& parameters,
                std::vector<std::vector<float>>& back, std::vector<std::vector<float>>& gradients) {
    const Layer& layer = *layers_[index];
    std::vector<std::vector<float>> asides;
    std::vector<Tensor> input_gradients, parameter_gradients;
    for (const uint64_t input : inputs_[index]) asides.emplace_back(back[input].size());
    for (std::vector<float>& aside : asides) input_gradients.push_back(Of(aside));
    for (const ParameterInfo& info : layer.parameters()) {
      std::vector<float>& gradient = gradients[begins_[index] + parameter_gradients.size()];
      gradient.resize(info.shape.size());
      parameter_gradients.emplace_back(gradient, info.shape);
    }
    if (layer.traits().view) {
      asides[0] = back[index + 1];
    } else {
      layer.Backward(backend_, {.inputs = Read(index),
                                .output = Of(values_[index + 1]),
                                .output_gradient = Of(back[index + 1]),
                                .parameters = Lent(index, parameters),
                                .parameter_gradients = parameter_gradients,
                                .input_gradients = input_gradients,
                                .saved = saved_[index],
                                .chance = Mix(chance ^ Mix(index))});
    }
    for (size_t slot = 0; slot < asides.size(); ++slot) {
      backend_.Add(Of(asides[slot]), Of(back[inputs_[index][slot]]));
    }
  }

  const NetworkSpec spec_;
  CpuBackend backend_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<std::vector<uint64_t>> inputs_;  // Of each layer: values, of which 0 is the input.
  std::vector<size_t> begins_;                 // Of each layer's parameters.
  std::vector<std::vector<float>> values_, saved_;
  uint64_t rows_ = 0;
};

class RandomGraphTest : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomGraphTest, HasTheGradientsOfTheSameLayersWithoutSharedMemory) {
  const NetworkSpec spec = RandomSpec(GetParam());
  NetworkFixture f(spec);
  PlainNetwork plain(spec);
  f.MakeBatch(8);
  for (const uint64_t rows : {8, 5}) {
    ASSERT_TRUE(f.Train(rows).ok());
    const Samples batch = f.Batch(rows);
    const std::span<const float> input = batch.inputs[0].floats;
    const auto want = plain.Gradients({input.begin(), input.end()}, batch.targets.labels,
                                      batch.chance, f.parameters());
    for (size_t i = 0; i < want.size(); ++i) {
      double greatest = 1;
      for (const float number : want[i]) {
        greatest = std::max(greatest, std::abs(static_cast<double>(number)));
      }
      EXPECT_LT(MaxDifference(f.gradients()[i], Doubles(want[i])), 1e-5 * greatest)
          << f.network().parameters()[i].name;
    }
  }
}

TEST_P(RandomGraphTest, HasTheSameBitsWhateverIsMadeAgain) {
  NetworkSpec spec = RandomSpec(GetParam());
  spec.recompute = Recompute::kNever;
  NetworkFixture kept(spec);
  kept.MakeBatch(8);
  const double loss = kept.Train(8).value();
  const uint64_t bytes = kept.network().memory().bytes;
  spec.recompute = Recompute::kAlways;
  NetworkFixture least(spec);
  least.MakeBatch(8);
  EXPECT_EQ(least.Train(8).value(), loss);
  EXPECT_EQ(least.gradients(), kept.gradients());
  const uint64_t fewest = least.network().memory().bytes;
  EXPECT_LE(fewest, bytes);
  spec.recompute = Recompute::kAuto;
  for (uint64_t part = 1; part < 4; ++part) {
    spec.memory_max = fewest + (bytes - fewest) * part / 4;
    NetworkFixture between(spec);
    between.MakeBatch(8);
    EXPECT_EQ(between.Train(8).value(), loss);
    EXPECT_EQ(between.gradients(), kept.gradients());
    EXPECT_LE(between.network().memory().bytes, spec.memory_max);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraphTest, testing::Range(uint64_t{0}, uint64_t{300}));

}  // namespace
}  // namespace shardmill::nn
