#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/nn/ops/twin.h"

namespace shardmill::nn {
namespace {

// By how much a sum of 512 or so products is off at the least, as a share of the greatest, in a
// product of matrices and in a convolution; and at the most.
struct Rounding {
  Products products;
  double of_product;
  double of_convolution;
  double at_most;
};

class RoundingTest : public testing::TestWithParam<const char*> {};

// Fractions of 23, 10 and 7 bits; convolutions have 10 where products have 7.
TEST_P(RoundingTest, OfWhatIsMultipliedIsAsAskedFor) {
  for (const auto& [products, of_product, of_convolution, at_most] :
       {Rounding{Products::kFloat, 0, 0, 5e-5},
        {Products::kTf32, 1e-5, 1e-5, 5e-3},
        {Products::kBf16, 8e-4, 1e-5, 3e-2}}) {
    Result<LoadedPlugin::BackendPointer> card =
        OpenDeviceNamed(GetParam(), 1, {.products = products});
    if (!card.ok()) GTEST_SKIP() << card.error().message;
    Twin twin(*card.value(), 3);
    const Pair in = twin.In({256, 512}), weight = twin.In({512, 256}), out = twin.Out({256, 256});
    const Pair picture = twin.In({8, 16, 16, 32}), kernel = twin.In({3, 3, 32, 64});
    const Pair made = twin.Out({8, 16, 16, 64});
    twin.Run([&](Backend& backend) {
      backend.Affine(in.in(backend), weight.in(backend), {}, {}, out.out(backend));
      backend.Convolve({.window = {3, 3, 1, 1}}, picture.in(backend), kernel.in(backend), {}, {},
                       made.out(backend));
    });
    EXPECT_GE(twin.Difference(out), of_product);
    EXPECT_GE(twin.Difference(made), of_convolution);
    for (const Pair& pair : {out, made}) EXPECT_LE(twin.Difference(pair), at_most);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, RoundingTest, testing::Values("soft", "card"),
                         [](const auto& device) { return std::string(device.param); });

}  // namespace
}  // namespace shardmill::nn
