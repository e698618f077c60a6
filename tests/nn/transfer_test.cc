#include "nn/transfer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "nn/ops/bf16.h"
#include "tests/nn/network_fixture.h"

namespace shardmill::nn {
namespace {

// A network of a backend that is lent copies alone must do all that one on the host does.
class TransferTest : public testing::Test {
 protected:
  static NetworkSpec Spec() {
    NetworkSpec spec = ManyLayersSpec();
    spec.l1 = 0.001;
    return spec;
  }

  NetworkFixture here_{Spec()};
  NetworkFixture there_{Spec(), false};
};

class Order final : public ParameterFlow {
 public:
  Result<> Await(size_t parameter) override {
    awaited_.push_back(parameter);
    return {};
  }
  Result<> Send(size_t parameter) override {
    sent_.push_back(parameter);
    return {};
  }

  const std::vector<size_t>& awaited() const { return awaited_; }
  const std::vector<size_t>& sent() const { return sent_; }

 private:
  std::vector<size_t> awaited_, sent_;
};

TEST_F(TransferTest, TrainsToTheBitsOfOneThatCopiesNothing) {
  here_.MakeBatch(9);
  there_.MakeBatch(9);
  for (const uint64_t rows : {4, 9, 1, 0}) {
    EXPECT_EQ(there_.Train(rows).value(), here_.Train(rows).value()) << rows;
    EXPECT_EQ(there_.gradients(), here_.gradients()) << rows;
  }
}

TEST_F(TransferTest, MeasuresTheSame) {
  here_.MakeBatch(5);
  there_.MakeBatch(5);
  const LossSums want = here_.Evaluate(5).value();
  const LossSums got = there_.Evaluate(5).value();
  EXPECT_EQ(got.loss, want.loss);
  EXPECT_EQ(got.correct, want.correct);
  EXPECT_EQ(std::vector<float>(got.outputs.begin(), got.outputs.end()),
            std::vector<float>(want.outputs.begin(), want.outputs.end()));
}

// What the batch before was to come to may be gone by then.
TEST_F(TransferTest, PredictsTheSameWithoutTargets) {
  here_.MakeBatch(8);
  there_.MakeBatch(8);
  ASSERT_TRUE(there_.Train(8).ok());
  Samples samples = there_.Batch(5);
  samples.targets = {};
  const std::span<const float> want = here_.Predict(5).value();
  const std::span<const float> got =
      there_.network().Predict(samples, there_.lent_parameters()).value();
  EXPECT_EQ(std::vector<float>(got.begin(), got.end()),
            std::vector<float>(want.begin(), want.end()));
}

TEST_F(TransferTest, AwaitsAndSendsInTheSameOrder) {
  here_.MakeBatch(3);
  there_.MakeBatch(3);
  Order here, there;
  ASSERT_TRUE(here_.Train(3, &here).ok());
  ASSERT_TRUE(there_.Train(3, &there).ok());
  EXPECT_EQ(there.awaited(), here.awaited());
  EXPECT_EQ(there.sent(), here.sent());
}

TEST_F(TransferTest, HalvesGradientsOnTheirWayAlone) {
  NetworkSpec spec = Spec();
  spec.half_gradients = true;
  NetworkFixture halves(spec, false);
  here_.MakeBatch(6);
  halves.MakeBatch(6);
  EXPECT_EQ(halves.Train(6).value(), here_.Train(6).value());
  std::vector<std::vector<float>> want = here_.gradients();
  for (std::vector<float>& gradient : want) {
    for (float& number : gradient) number = FromBf16(ToBf16(number));
  }
  EXPECT_EQ(halves.gradients(), want);
  EXPECT_NE(halves.gradients(), here_.gradients());
}

TEST(Bf16Test, RoundsToTheNearestAndOfTwoToTheEvenOne) {
  EXPECT_EQ(FromBf16(ToBf16(1.0F)), 1.0F);
  EXPECT_EQ(FromBf16(ToBf16(1.0F + 1.0F / 256)), 1.0F);
  EXPECT_EQ(FromBf16(ToBf16(1.0F + 3.0F / 256)), 1.0F + 4.0F / 256);
  EXPECT_EQ(FromBf16(ToBf16(-1.0F - 1.1F / 256)), -1.0F - 2.0F / 256);
  EXPECT_EQ(FromBf16(ToBf16(std::numeric_limits<float>::max())),
            std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(FromBf16(ToBf16(std::bit_cast<float>(0x7f800001U)))));
}

// What lies at the place of a batch before it must not be what the network reads.
TEST_F(TransferTest, TakesWhatIsLentAnewForEachCall) {
  there_.MakeBatch(2);
  const double before = there_.Train(2).value();
  for (std::vector<float>& parameter : there_.parameters()) {
    for (float& number : parameter) number *= 0.5F;
  }
  EXPECT_NE(there_.Train(2).value(), before);
}

}  // namespace
}  // namespace shardmill::nn
