#include "bench/nets.h"

#include <array>
#include <utility>

namespace shardmill::bench {
namespace {

using nn::LayerSpec;

// Two convolutions, and around them nothing, or where the picture gets smaller a third. Reads the
// last layer and ends in one called `name`.
void AddBlock(const std::string& name, uint64_t channels, uint64_t stride,
              std::vector<LayerSpec>& layers) {
  const std::string input = layers.back().name;
  const auto convolution = [channels](uint64_t kernel, uint64_t step) {
    return LayerSpec{.type = "conv2d",
                     .units = channels,
                     .kernel = kernel,
                     .stride = step,
                     .padding = kernel / 2,
                     .no_bias = true};
  };
  layers.push_back(convolution(3, stride));
  layers.push_back({"batch_norm2d"});
  layers.push_back({"relu"});
  layers.push_back(convolution(3, 1));
  layers.push_back({.type = "batch_norm2d", .name = name + "_through"});
  std::string around = input;
  if (stride > 1) {
    around = name + "_around";
    layers.push_back(convolution(1, stride));
    layers.back().inputs = {input};
    layers.push_back({.type = "batch_norm2d", .name = around});
  }
  layers.push_back({.type = "add", .inputs = {name + "_through", around}});
  layers.push_back({.type = "relu", .name = name});
}

std::vector<LayerSpec> Residual() {
  std::vector<LayerSpec> layers = {
      {.type = "conv2d", .units = 16, .kernel = 3, .padding = 1, .no_bias = true},
      {"batch_norm2d"},
      {.type = "relu", .name = "first"}};
  AddBlock("a", 16, 1, layers);
  AddBlock("b", 16, 1, layers);
  AddBlock("c", 32, 2, layers);
  AddBlock("d", 32, 1, layers);
  AddBlock("e", 64, 2, layers);
  AddBlock("f", 64, 1, layers);
  layers.push_back({"global_average_pool"});
  layers.push_back({"affine", 10});
  return layers;
}

std::vector<LayerSpec> SmallLayersOf(const std::string& net) {
  if (net == "ff") {
    return {{"flatten"}, {"affine", 512}, {"relu"}, {"affine", 512}, {"relu"}, {"affine", 10}};
  }
  if (net == "lenet") {
    return {{.type = "conv2d", .units = 6, .kernel = 5, .padding = 2},
            {"relu"},
            {.type = "max_pool", .kernel = 2},
            {.type = "conv2d", .units = 16, .kernel = 5},
            {"relu"},
            {.type = "max_pool", .kernel = 2},
            {"flatten"},
            {"affine", 120},
            {"relu"},
            {"affine", 84},
            {"relu"},
            {"affine", 10}};
  }
  if (net == "lstm") return {{"lstm", 128}, {"affine", 10}};
  return net == "residual" ? Residual() : std::vector<LayerSpec>();
}

// Three convolutions, of which the first and the last change the channels alone, and around them
// nothing or a fourth. Reads the last layer and ends in one called `name`.
void AddBottleneck(const std::string& name, uint64_t channels, uint64_t stride, bool around,
                   std::vector<LayerSpec>& layers) {
  const std::string input = layers.back().name;
  const auto convolve = [&layers](uint64_t units, uint64_t kernel, uint64_t step) {
    layers.push_back({.type = "conv2d",
                      .units = units,
                      .kernel = kernel,
                      .stride = step,
                      .padding = kernel / 2,
                      .no_bias = true});
  };
  convolve(channels, 1, 1);
  layers.push_back({"batch_norm2d"});
  layers.push_back({"relu"});
  convolve(channels, 3, stride);
  layers.push_back({"batch_norm2d"});
  layers.push_back({"relu"});
  convolve(4 * channels, 1, 1);
  layers.push_back({.type = "batch_norm2d", .name = name + "_through"});
  std::string beside = input;
  if (around) {
    beside = name + "_around";
    convolve(4 * channels, 1, stride);
    layers.back().inputs = {input};
    layers.push_back({.type = "batch_norm2d", .name = beside});
  }
  layers.push_back({.type = "add", .inputs = {name + "_through", beside}});
  layers.push_back({.type = "relu", .name = name});
}

std::vector<LayerSpec> Resnet50() {
  std::vector<LayerSpec> layers = {
      {.type = "conv2d", .units = 64, .kernel = 7, .stride = 2, .padding = 3, .no_bias = true},
      {"batch_norm2d"},
      {"relu"},
      {.type = "max_pool", .name = "first", .kernel = 3, .stride = 2, .padding = 1}};
  constexpr std::array<uint64_t, 4> kBlocks = {3, 4, 6, 3};
  for (uint64_t stage = 0; stage < kBlocks.size(); ++stage) {
    for (uint64_t block = 0; block < kBlocks[stage]; ++block) {
      const std::string name = "stage_" + std::to_string(stage) + "_" + std::to_string(block);
      const uint64_t stride = stage > 0 && block == 0 ? 2 : 1;
      AddBottleneck(name, uint64_t{64} << stage, stride, block == 0, layers);
    }
  }
  layers.push_back({"global_average_pool"});
  layers.push_back({"affine", 1000});
  return layers;
}

}  // namespace

Net NetNamed(const std::string& name) {
  if (name == "resnet50") return {{224, 224, 3}, Resnet50(), 1000};
  return {{28, 28}, SmallLayersOf(name), 10};
}

}  // namespace shardmill::bench
