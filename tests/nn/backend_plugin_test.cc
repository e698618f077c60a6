#include "nn/backend_plugin.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "nn/network.h"

namespace shardmill::nn {
namespace {

std::string PluginPath() {
  return std::filesystem::absolute("tests/nn/plugin_for_test.so").string();
}

TEST(BackendPluginTest, TrainsANetworkOnABackendThatWasOpened) {
  const std::unique_ptr<LoadedPlugin> plugin =
      std::move(LoadedPlugin::Open(PluginPath(), "test-build")).value();
  const LoadedPlugin::BackendPointer backend = std::move(plugin->Make({})).value();
  const NetworkSpec spec{.input = {2}, .layers = {{"affine", 2}}, .loss = "softmax_cross_entropy"};
  const std::unique_ptr<Network> network = Network::Make(spec, *backend).value();
  const std::vector<float> weight{1, 0, 0, 1}, bias(2), inputs{1, 0};
  std::vector<float> weight_gradient(4), bias_gradient(2);
  const std::vector<std::span<const float>> parameters{weight, bias};
  const std::vector<std::span<float>> gradients{weight_gradient, bias_gradient};
  const std::vector<uint32_t> labels{0};
  const Input input{.floats = inputs, .ids = {}};
  const Result<double> loss = network->Train(
      {.inputs = {&input, 1}, .targets = {.labels = labels, .values = {}}, .rows = 1}, parameters,
      gradients);
  EXPECT_NEAR(loss.value(), 0.313262, 1e-5);
  EXPECT_NEAR(bias_gradient[1], 0.268941, 1e-5);
}

TEST(BackendPluginTest, RefusesWhatWasBuiltApart) {
  const auto plugin = LoadedPlugin::Open(PluginPath(), "our-build");
  ASSERT_FALSE(plugin.ok());
  EXPECT_EQ(plugin.error().code, ErrorCode::kBadUsage);
  EXPECT_TRUE(plugin.error().message.ends_with(
      "it is of the build test-build, and this program of our-build; build both from the same "
      "tree"))
      << plugin.error().message;
}

TEST(BackendPluginTest, SaysWhatIsNotThere) {
  EXPECT_FALSE(LoadedPlugin::Open("no/such.so", "test-build").ok());
  const auto plugin = LoadedPlugin::Open(PluginPath(), "test-build");
  ASSERT_TRUE(plugin.ok());
  const auto backend = plugin.value()->Make({.device = 7});
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.error().code, ErrorCode::kBadUsage);
  EXPECT_EQ(backend.error().message, "there is no device 7");
}

}  // namespace
}  // namespace shardmill::nn
