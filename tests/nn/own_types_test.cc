#include "nn/own_types.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/nn/network_fixture.h"

namespace shardmill::nn {
namespace {

const OwnTypes* Example() {
  static const OwnTypes* const types = OpenOwnTypes("examples/own_layer/libown_layer.so").value();
  return types;
}

NetworkSpec Spec() {
  return {.input = {4},
          .layers = {{"affine", 5},
                     {.type = "my::Swish", .name = "swish", .slope = 1.5},
                     {"affine", 3}},
          .loss = "my::SmoothedCrossEntropy",
          .own = Example()};
}

std::string WordsOn(const NetworkSpec& spec) {
  CpuBackend backend;
  const Result<std::unique_ptr<Network>> network = Network::Make(spec, backend);
  return network.ok() ? "" : network.error().message;
}

TEST(OwnTypesTest, LayerAndLossOfALibraryHaveTheGradientsOfFiniteDifferences) {
  NetworkFixture f(Spec());
  f.MakeBatch(7);
  EXPECT_LT(f.GreatestError(7), 1e-4);
}

TEST(OwnTypesTest, ParametersOfAnOwnLayerAreNamedAndStartLikeOthers) {
  const NetworkFixture f(Spec());
  EXPECT_EQ(f.network().parameters()[2].name, "swish.beta");
  EXPECT_EQ(f.network().InitialOf(1, 2), Initial::Constant(1.5F));
}

TEST(OwnTypesTest, OwnLayersTakeTheKeysThatTheyName) {
  NetworkSpec spec = Spec();
  spec.layers[1].units = 3;
  EXPECT_EQ(WordsOn(spec), "layer 2 (\"my::Swish\", named \"swish\"): it takes no units");
}

TEST(OwnTypesTest, AnOwnLayerSaysWhatItReadsAndIsNamedWhereOtherRowsCome) {
  const std::array layers{LayerType{.name = "my::Mixer",
                                    .make = Example()->layers[0].make,
                                    .takes = {LayerKey::kSlope},
                                    .dims = 2}};
  const OwnTypes types{.layers = layers, .losses = Example()->losses};
  NetworkSpec spec = Spec();
  spec.own = &types;
  spec.layers[1].type = "my::Mixer";
  EXPECT_EQ(
      WordsOn(spec),
      "layer 2 (\"my::Mixer\", named \"swish\"): it reads sequences of vectors, but its input "
      "is 5: put a \"reshape\" layer before it");
  spec.layers.insert(spec.layers.begin() + 1, {.type = "reshape", .shape = "5x1"});
  spec.layers.insert(spec.layers.begin() + 3, {.type = "flatten"});
  EXPECT_EQ(WordsOn(spec), "");
}

TEST(OwnTypesTest, ATypeThatTheLibraryLacksIsRefusedWithThoseThatThereAre) {
  NetworkSpec spec = Spec();
  spec.layers[1].type = "my::Swoosh";
  EXPECT_NE(WordsOn(spec).find("there is no such type; there are \"my::Swish\", \"flatten\","),
            std::string::npos)
      << WordsOn(spec);
  spec = Spec();
  spec.loss = "my::Loss";
  EXPECT_NE(WordsOn(spec).find("there is no loss \"my::Loss\"; there are "
                               "\"my::SmoothedCrossEntropy\", \"softmax_cross_entropy\","),
            std::string::npos)
      << WordsOn(spec);
}

TEST(OwnTypesTest, ALibraryIsRefusedThatIsNotThereHasNoTypesOrWasBuiltApart) {
  const auto words = [](const std::string& path) { return OpenOwnTypes(path).error().message; };
  EXPECT_TRUE(words("no/such.so").starts_with("the library no/such.so cannot be used: "))
      << words("no/such.so");
  EXPECT_NE(words("no/such.so").find("No such file"), std::string::npos);
  EXPECT_EQ(words("tests/nn/plugin_for_test.so"),
            "the library tests/nn/plugin_for_test.so cannot be used: it has no "
            "shardmill_own_types");
  EXPECT_EQ(words("tests/nn/other_build_for_test.so"),
            "the library tests/nn/other_build_for_test.so cannot be used: it is of the build "
            "another-build, and this program of " +
                std::string(kBuildId) + "; build both from the same tree");
}

}  // namespace
}  // namespace shardmill::nn
