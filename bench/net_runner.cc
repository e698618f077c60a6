#include "bench/net_runner.h"

#include <ctime>
#include <utility>

#include "common/rng.h"

namespace shardmill::bench {
namespace {

using nn::LayerSpec;

constexpr uint64_t kPixels = 28 * 28;

double Now(NetRunner::Time time) {
  timespec now{};
  clock_gettime(time == NetRunner::Time::kThread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

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

std::vector<LayerSpec> LayersOf(const std::string& net) {
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

}  // namespace

Result<std::unique_ptr<NetRunner>> NetRunner::Make(const std::string& net, uint64_t rows) {
  std::unique_ptr<Optimizer> optimizer = SM_TRY(MakeOptimizer({}));
  std::unique_ptr<NetRunner> runner(new NetRunner(rows, std::move(optimizer)));
  const nn::NetworkSpec spec{
      .input = {28, 28}, .layers = LayersOf(net), .loss = "softmax_cross_entropy"};
  runner->network_ = SM_TRY(nn::Network::Make(spec, runner->backend_));
  for (size_t i = 0; i < runner->network_->parameters().size(); ++i) {
    const uint64_t size = runner->network_->parameters()[i].shape.size();
    FillInitial(runner->network_->InitialOf(7, i), 0, runner->parameters_.emplace_back(size));
    runner->gradients_.emplace_back(size);
  }
  for (size_t i = 0; i < runner->parameters_.size(); ++i) {
    runner->lent_parameters_.emplace_back(runner->parameters_[i]);
    runner->lent_gradients_.emplace_back(runner->gradients_[i]);
  }
  for (int warm = 0; warm < 5; ++warm) SM_TRY(runner->Step());
  return runner;
}

NetRunner::NetRunner(uint64_t rows, std::unique_ptr<Optimizer> optimizer)
    : optimizer_(std::move(optimizer)), rows_(rows) {
  Rng rng(1);
  pictures_.resize(rows * kPixels);
  for (float& pixel : pictures_) pixel = static_cast<float>(rng.Uniform());
  for (uint64_t row = 0; row < rows; ++row) labels_.push_back(static_cast<uint32_t>(row % 10));
}

Result<double> NetRunner::Run(double seconds, Time time) {
  const double begin = Now(time);
  double passed = 0;
  uint64_t samples = 0;
  while (passed < seconds) {
    SM_TRY(Step());
    samples += rows_;
    passed = Now(time) - begin;
  }
  return static_cast<double>(samples) / passed;
}

Result<> NetRunner::Step() {
  constexpr float kRate = 0.01F;
  const nn::Input input{.floats = pictures_, .ids = {}};
  const nn::Samples samples{
      .inputs = {&input, 1}, .targets = {.labels = labels_, .values = {}}, .rows = rows_};
  SM_TRY(network_->Train(samples, lent_parameters_, lent_gradients_));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    optimizer_->Step({.rate = kRate}, gradients_[i], parameters_[i], {});
  }
  return {};
}

}  // namespace shardmill::bench
