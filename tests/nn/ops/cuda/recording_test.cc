// Steps that a device has recorded beside the same ones that it is asked for: a network that is
// kept, and one that is new in each step and so has nothing recorded.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/nn/network_fixture.h"
#include "tests/nn/ops/twin.h"
#include "tests/nn/soft_card/open.h"

namespace shardmill::nn {
namespace {

// With chance in the middle, and values that two layers read.
NetworkSpec Everything(uint64_t units = 20) {
  NetworkSpec spec;
  spec.loss = "softmax_cross_entropy";
  spec.l2 = 0.01;
  spec.inputs = {{"picture", {ValueKind::kFloats, {8, 8}}}, {"ids", {ValueKind::kIndices, {3}}}};
  spec.layers = {
      {.type = "conv2d",
       .units = 4,
       .name = "first",
       .inputs = {"picture"},
       .kernel = 3,
       .padding = 1},
      {.type = "tanh", .name = "root"},
      {.type = "conv2d", .units = 4, .kernel = 3, .padding = 1},
      {.type = "batch_norm2d", .name = "norm"},
      {.type = "silu", .name = "branch"},
      {.type = "add", .name = "joined", .inputs = {"branch", "root"}},
      {.type = "average_pool", .kernel = 2},
      {.type = "dropout", .rate = 0.3},
      {.type = "reshape", .name = "sequence", .shape = "4x16"},
      {.type = "lstm", .units = 5, .name = "recurrent"},
      {.type = "embedding", .units = 2, .name = "vectors", .inputs = {"ids"}, .rows = 7},
      {.type = "flatten", .name = "flat"},
      {.type = "concat", .inputs = {"recurrent", "flat"}},
      {.type = "affine", .units = units},
      {.type = "gelu"},
      {.type = "affine", .units = units},
      {.type = "elu"},
      {.type = "affine", .units = 20},
      {.type = "dropout", .rate = 0.2},
      {.type = "layer_norm"},
      {.type = "affine", .units = 3},
  };
  return spec;
}

void Lend(const std::vector<std::vector<float>>& from, NetworkFixture& to) {
  for (size_t i = 0; i < from.size(); ++i) std::ranges::copy(from[i], to.parameters()[i].begin());
}

// One that goes on from step to step, and is compared in each.
class Kept final {
 public:
  Kept(const NetworkSpec& spec, Backend& card) : spec_(spec), card_(card), kept_(spec, card) {}

  void ExpectStep(uint64_t rows) {
    SCOPED_TRACE("step " + std::to_string(++step_) + " of " + std::to_string(rows) + " rows");
    NetworkFixture asked(spec_, card_);
    GoOn(asked);
    EXPECT_EQ(kept_.Train(rows).value(), asked.Train(rows).value());
    EXPECT_EQ(kept_.gradients(), asked.gradients());
    EXPECT_EQ(asked.network().pieces().replayed, 0U);
  }

  void ExpectEvaluation(uint64_t rows) {
    SCOPED_TRACE("pass " + std::to_string(++step_) + " over " + std::to_string(rows) + " rows");
    NetworkFixture asked(spec_, card_);
    GoOn(asked);
    const LossSums found = kept_.Evaluate(rows).value(), want = asked.Evaluate(rows).value();
    EXPECT_EQ(found.loss, want.loss);
    EXPECT_TRUE(std::ranges::equal(found.outputs, want.outputs));
    EXPECT_EQ(asked.network().pieces().replayed, 0U);
  }

  void ExpectSteps(const std::vector<uint64_t>& rows) {
    for (const uint64_t each : rows) ExpectStep(each);
  }

  // How many pieces of that step were replayed.
  uint64_t Replays(uint64_t rows) {
    const uint64_t before = network().pieces().replayed;
    ExpectStep(rows);
    return network().pieces().replayed - before;
  }

  NetworkFixture& fixture() { return kept_; }
  const Network& network() { return kept_.network(); }

 private:
  static constexpr uint64_t kRowsMax = 12;

  // Another batch, and other parameters than before, for both.
  void GoOn(NetworkFixture& asked) {
    for (NetworkFixture* const fixture : {&kept_, &asked}) {
      fixture->MakeBatch(kRowsMax, step_);
      fixture->SetChance(step_);
    }
    for (std::vector<float>& parameter : kept_.parameters()) {
      for (float& number : parameter) number *= 0.97F;
    }
    Lend(kept_.parameters(), asked);
  }

  const NetworkSpec spec_;
  Backend& card_;
  NetworkFixture kept_;
  uint64_t step_ = 0;
};

struct Device {
  const char* name;
  uint64_t seed;
};

class RecordingTest : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    Result<LoadedPlugin::BackendPointer> card = OpenDeviceNamed(GetParam().name, GetParam().seed);
    if (!card.ok()) GTEST_SKIP() << card.error().message;
    card_ = std::move(card).value();
  }

  LoadedPlugin::BackendPointer card_;
};

// Chance stands between three pieces each way.
TEST_P(RecordingTest, GivesTheBitsOfWhatIsAskedFor) {
  Kept kept(Everything(), *card_);
  kept.ExpectSteps({6, 6, 6, 4, 6, 4});
  EXPECT_EQ(kept.Replays(6), 6U);
  EXPECT_EQ(kept.Replays(4), 6U);
  EXPECT_EQ(kept.network().NotRecordedWords(), "");
  EXPECT_EQ(kept.network().pieces().recorded, 12U);
}

TEST_P(RecordingTest, GivesThemWhereNothingIsTrained) {
  Kept kept(Everything(), *card_);
  for (const uint64_t rows : {6, 6, 4, 4}) kept.ExpectEvaluation(rows);
  const auto expect_replays = [&](uint64_t rows, uint64_t want) {
    const uint64_t before = kept.network().pieces().replayed;
    kept.ExpectEvaluation(rows);
    EXPECT_EQ(kept.network().pieces().replayed - before, want);
  };
  expect_replays(6, 3);
  expect_replays(4, 3);
  // The memory of a training step is another.
  kept.ExpectStep(6);
  expect_replays(6, 0);
  expect_replays(6, 0);
  expect_replays(6, 3);
  // What a larger batch makes lies in other places.
  expect_replays(12, 0);
  expect_replays(6, 0);
  expect_replays(6, 0);
  expect_replays(6, 3);
}

TEST_P(RecordingTest, CutsAStepWhereMuchComesOrGoes) {
  Kept kept(Everything(520), *card_);
  kept.ExpectSteps({2, 2});
  EXPECT_EQ(kept.Replays(2), 8U);
}

TEST_P(RecordingTest, GivesThemWhereLayersAreComputedAgain) {
  NetworkSpec spec = Everything();
  spec.recompute = Recompute::kAlways;
  Kept kept(spec, *card_);
  kept.ExpectSteps({6, 6, 6, 4, 4});
  ASSERT_FALSE(kept.network().memory().again.empty());
  EXPECT_GE(kept.Replays(6), 4U);
  EXPECT_GE(kept.Replays(4), 4U);
}

TEST_P(RecordingTest, GivesThemWhereGradientsLeaveWithFewerBits) {
  NetworkSpec spec = Everything();
  spec.half_gradients = true;
  Kept kept(spec, *card_);
  kept.ExpectSteps({5, 5, 5});
  EXPECT_EQ(kept.Replays(5), 6U);
}

TEST_P(RecordingTest, RecordsAnewWhereMemoryHasMoved) {
  Kept kept(Everything(), *card_);
  kept.ExpectSteps({3, 3});
  const uint64_t all = kept.Replays(3);
  EXPECT_GT(all, 0U);
  // A larger batch moves all of it.
  kept.ExpectSteps({9, 9});
  EXPECT_EQ(kept.Replays(9), all);
  kept.ExpectSteps({3, 3});
  EXPECT_EQ(kept.Replays(3), all);
  // And another network what operations work in.
  NetworkFixture other(Everything(), *card_);
  other.MakeBatch(20);
  ASSERT_TRUE(other.Train(20).ok());
  EXPECT_EQ(kept.Replays(3), 0U);
  EXPECT_EQ(kept.Replays(3), all);
  ASSERT_TRUE(kept.fixture().Evaluate(12).ok());
  kept.ExpectSteps({3, 3, 3});
}

TEST_P(RecordingTest, KeepsAFewSizesOfBatches) {
  Kept kept(Everything(), *card_);
  for (int round = 0; round < 3; ++round) kept.ExpectSteps({12, 2, 3, 4, 5});
  EXPECT_GT(kept.Replays(4), 0U);
  EXPECT_EQ(kept.Replays(5), 0U);
}

TEST_P(RecordingTest, SaysWhatIsAnotherInEachStep) {
  Kept kept(ManyLayersSpec(), *card_);
  kept.ExpectSteps({6, 6, 6});
  EXPECT_EQ(kept.network().pieces().replayed, 0U);
  EXPECT_EQ(kept.network().NotRecordedWords(),
            "the input \"words\" has any number of ids in a batch");
}

INSTANTIATE_TEST_SUITE_P(Devices, RecordingTest,
                         testing::Values(Device{"soft", 1}, Device{"direct", 2}, Device{"card", 0}),
                         [](const auto& device) {
                           return device.param.name + std::to_string(device.param.seed);
                         });

TEST(RefusedRecordingTest, AsksForWhatALibraryDoesNotLetBeRecorded) {
  const LoadedPlugin::BackendPointer card =
      std::move(OpenSoftCard({.records_convolutions = false})).value();
  Kept kept(Everything(), *card);
  kept.ExpectSteps({6, 6, 6, 4, 4, 4});
  EXPECT_EQ(kept.network().NotRecordedWords(), "cuDNN: CUDNN_STATUS_NOT_SUPPORTED");
  EXPECT_EQ(kept.network().pieces().recorded, 0U);
}

}  // namespace
}  // namespace shardmill::nn
