#include "nn/transfer.h"

#include <gtest/gtest.h>

#include <vector>

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

TEST_F(TransferTest, AwaitsAndSendsInTheSameOrder) {
  here_.MakeBatch(3);
  there_.MakeBatch(3);
  Order here, there;
  ASSERT_TRUE(here_.Train(3, &here).ok());
  ASSERT_TRUE(there_.Train(3, &there).ok());
  EXPECT_EQ(there.awaited(), here.awaited());
  EXPECT_EQ(there.sent(), here.sent());
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
