// What may fail on a card fails on one of software, call by call: a step says so in words, or it
// came to the right end all the same, and what was taken is given back.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/nn/network_fixture.h"
#include "tests/nn/soft_card/open.h"
#include "tests/sanitized.h"

namespace shardmill::nn {
namespace {

NetworkSpec Pictures() {
  return {
      .input = {6, 6},
      .layers = {{.type = "conv2d", .units = 2, .kernel = 3}, {"relu"}, {"flatten"}, {"affine", 3}},
      .loss = "softmax_cross_entropy"};
}

// Of a smaller batch the numbers lie where ids were.
NetworkSpec IdsAndNumbers() {
  return {.input = {},
          .layers = {{.type = "embedding", .units = 2, .inputs = {"ids"}, .rows = 7},
                     {.type = "flatten", .name = "flat"},
                     {.type = "concat", .inputs = {"flat", "numbers"}},
                     {"layer_norm"},
                     {"affine", 3}},
          .loss = "softmax_cross_entropy",
          .inputs = {{"ids", {ValueKind::kIndices, {3}}}, {"numbers", {ValueKind::kFloats, {4}}}}};
}

// Whose first weights are many enough to make a piece of their own.
NetworkSpec ManyIdsAndNumbers() {
  NetworkSpec spec = IdsAndNumbers();
  spec.layers.front().rows = 1 << 17;
  return spec;
}

// Each call, or one of so many where all is slow.
constexpr uint64_t kEach = kSanitized ? 5 : 1;

class FailuresTest : public testing::TestWithParam<NetworkSpec (*)()> {
 protected:
  // Two steps, of which the second has more rows; words where one failed.
  std::optional<std::string> Train(const soft::Settings& settings,
                                   const std::vector<uint64_t>& steps = {2, 9}) {
    Result<LoadedPlugin::BackendPointer> card = OpenSoftCard(settings);
    if (!card.ok()) return card.error().message;
    NetworkFixture there(GetParam()(), *card.value());
    there.MakeBatch(9);
    for (const uint64_t rows : steps) {
      const Result<double> loss = there.Train(rows);
      if (!loss.ok()) return loss.error().message;
      ExpectAlike(there, rows);
    }
    return std::nullopt;
  }

  void ExpectAlike(const NetworkFixture& there, uint64_t rows) {
    NetworkFixture here(GetParam()());
    here.MakeBatch(9);
    ASSERT_TRUE(here.Train(rows).ok());
    for (size_t i = 0; i < here.gradients().size(); ++i) {
      for (size_t at = 0; at < here.gradients()[i].size(); ++at) {
        const float want = here.gradients()[i][at], got = there.gradients()[i][at];
        const bool alike = std::abs(got - want) <= 1e-3F * (1.0F + std::abs(want));
        ASSERT_TRUE(alike) << got << " and not " << want << " at " << at << " of " << i;
      }
    }
  }
};

TEST_P(FailuresTest, OfEveryCallAreTold) {
  uint64_t told = 0, call = 0;
  do {
    const std::optional<std::string> words = Train({.failing_call = call += kEach});
    if (words) {
      EXPECT_TRUE(words->starts_with("the card cannot be used: ") ||
                  words->starts_with("there is no card to compute on: ") ||
                  words->find("CUDA: ") != std::string::npos ||
                  words->find("cuBLAS: ") != std::string::npos ||
                  words->starts_with("there is no room for "))
          << *words;
      ++told;
    }
    ASSERT_EQ(SoftCard().held(), 0U) << call;
  } while (SoftCard().failed() && !HasFailure());
  EXPECT_GT(told, 40U / kEach);
  EXPECT_GT(call, told);
}

// Of two steps that are recorded and replayed after one that is not.
TEST_P(FailuresTest, OfWhatIsRecordedLeadToAnotherWay) {
  ASSERT_EQ(Train({}, {2}), std::nullopt);
  uint64_t call = SoftCard().calls(), told = 0, calls = 0;
  do {
    const std::optional<std::string> words = Train({.failing_call = call += kEach}, {2, 2, 2});
    if (words) ++told;
    ++calls;
    ASSERT_EQ(SoftCard().held(), 0U) << call;
  } while (SoftCard().failed() && !HasFailure());
  // What fails while it is recorded is done all the same.
  EXPECT_GT(told, 10U / kEach);
  EXPECT_GT(calls, told + 10 / kEach);
}

TEST_P(FailuresTest, OfACardThatIsLostAreTold) {
  for (uint64_t work = 1;; work += kEach) {
    const std::optional<std::string> words = Train({.failing_work = work});
    ASSERT_EQ(words.has_value(), SoftCard().failed()) << work;
    ASSERT_EQ(SoftCard().held(), 0U) << work;
    if (!words) break;
    EXPECT_NE(words->find("CUDA: an illegal memory access was encountered"), std::string::npos)
        << *words;
  }
}

// Whoever trains may end in the middle of a step, and its network then, too.
class Broken final : public ParameterFlow {
 public:
  explicit Broken(uint64_t calls) : calls_(calls) {}

  Result<> Await(size_t) override { return Go(); }
  Result<> Send(size_t) override { return Go(); }

 private:
  Result<> Go() {
    if (calls_-- > 0) return {};
    return Error{ErrorCode::kUnavailable, "the server is gone"};
  }

  uint64_t calls_;
};

constexpr uint64_t kRows = 512;

NetworkSpec Deep() {
  NetworkSpec spec{.input = {6, 6}, .layers = {}, .loss = "softmax_cross_entropy"};
  for (int i = 0; i < 4; ++i) {
    spec.layers.push_back({.type = "conv2d", .units = 4, .kernel = 3, .padding = 1});
    spec.layers.push_back({"gelu"});
  }
  spec.layers.push_back({"flatten"});
  spec.layers.push_back({"affine", 3});
  return spec;
}

// On cards on which all of a step just fits, or a little less, and operations need some, too.
TEST(FullCardTest, LeavesRoomForWhatOperationsNeed) {
  const NetworkSpec spec = Deep();
  NetworkFixture here(spec);
  here.MakeBatch(kRows);
  const double loss = here.Train(kRows).value();
  const uint64_t kept = here.network().memory().bytes;
  uint64_t all = 0, again = 0;
  for (uint64_t bytes = kept; bytes < kept / 2 * 3; bytes += kept / 100) {
    const LoadedPlugin::BackendPointer card =
        std::move(OpenSoftCard({.memory_bytes = bytes})).value();
    NetworkFixture there(spec, *card);
    there.MakeBatch(kRows);
    ASSERT_TRUE(there.network().MakeRoom(kRows).ok());
    const std::vector<std::string> said = there.network().memory().again;
    const Result<double> got = there.Train(kRows);
    EXPECT_EQ(there.network().memory().again, said) << bytes;
    ASSERT_TRUE(got.ok()) << bytes << " of " << kept << ": " << got.error().message;
    EXPECT_NEAR(got.value(), loss, 1e-3 * loss);
    ++(there.network().memory().again.empty() ? all : again);
  }
  EXPECT_GT(all, 0U);
  EXPECT_GT(again, 0U);
}

// What does not leave that room is refused in words before the first step.
TEST(FullCardTest, KeepsAllOrSaysWhatIsMissing) {
  NetworkSpec spec = Deep();
  spec.recompute = Recompute::kNever;
  NetworkFixture here(spec);
  here.MakeBatch(kRows);
  const double loss = here.Train(kRows).value();
  const uint64_t kept = here.network().memory().bytes;
  uint64_t trained = 0, told = 0;
  for (uint64_t bytes = kept; bytes < kept / 2 * 3; bytes += kept / 100) {
    const LoadedPlugin::BackendPointer card =
        std::move(OpenSoftCard({.memory_bytes = bytes})).value();
    NetworkFixture there(spec, *card);
    there.MakeBatch(kRows);
    const Result<> room = there.network().MakeRoom(kRows);
    ++(room.ok() ? trained : told);
    if (room.ok()) {
      const Result<double> got = there.Train(kRows);
      ASSERT_TRUE(got.ok()) << bytes << " of " << kept << ": " << got.error().message;
      EXPECT_NEAR(got.value(), loss, 1e-3 * loss);
    } else {
      EXPECT_NE(room.error().message.find(" of that are missing"), std::string::npos)
          << bytes << " of " << kept << ": " << room.error().message;
    }
  }
  EXPECT_GT(trained, 0U);
  EXPECT_GT(told, 0U);
}

// What lies on the card for good is named, with what of it is missing.
TEST(FullCardTest, SaysWhichWeightsHaveNoRoom) {
  const NetworkSpec spec{
      .input = {1000}, .layers = {{"affine", 1000}}, .loss = "softmax_cross_entropy"};
  const auto said = [&spec](uint64_t bytes) {
    const LoadedPlugin::BackendPointer card =
        std::move(OpenSoftCard({.memory_bytes = bytes})).value();
    NetworkFixture there(spec, *card);
    there.MakeBatch(4);
    const Result<> room = there.network().MakeRoom(4);
    return room.ok() ? "" : room.error().message;
  };
  EXPECT_TRUE(
      said(1 << 20).starts_with("there is no room for the weights: 3911 KiB of the device's "
                                "memory, of which 2"))
      << said(1 << 20);
  EXPECT_TRUE(
      said(6 << 20).starts_with("there is no room for the gradients of the weights: 3911 "
                                "KiB of the device's memory, of which 1"))
      << said(6 << 20);
  EXPECT_EQ(said(16 << 20), "");
}

// Where the quickest way of a convolution has no memory to work in, another does it.
TEST(FullCardTest, ConvolvesInTheMemoryThereIs) {
  NetworkFixture here(Pictures());
  here.MakeBatch(9);
  const double loss = here.Train(9).value();
  uint64_t otherwise = 0;
  for (uint64_t bytes = 4'000; bytes < 40'000; bytes += 100) {
    const LoadedPlugin::BackendPointer card =
        std::move(OpenSoftCard({.memory_bytes = bytes})).value();
    NetworkFixture there(Pictures(), *card);
    there.MakeBatch(9);
    const Result<double> got = there.Train(9);
    if (!got.ok()) continue;
    EXPECT_NEAR(got.value(), loss, 1e-3 * loss);
    if (card->convolutions().by_kernels > 0) ++otherwise;
  }
  EXPECT_GT(otherwise, 0U);
}

// No card is lost to what is only measured.
TEST(FullCardTest, MeasuresOrSaysWhatIsMissing) {
  NetworkFixture here(Deep());
  here.MakeBatch(kRows);
  const double loss = here.Evaluate(kRows).value().loss;
  ASSERT_TRUE(here.Train(kRows).ok());
  const uint64_t kept = here.network().memory().bytes;
  uint64_t measured = 0, told = 0;
  for (uint64_t bytes = kept / 10; bytes < kept / 2; bytes += kept / 100) {
    const LoadedPlugin::BackendPointer card =
        std::move(OpenSoftCard({.memory_bytes = bytes})).value();
    NetworkFixture there(Deep(), *card);
    there.MakeBatch(kRows);
    const Result<LossSums> got = there.Evaluate(kRows);
    ++(got.ok() ? measured : told);
    if (got.ok()) {
      EXPECT_NEAR(got.value().loss, loss, 1e-3 * loss);
    } else {
      EXPECT_TRUE(got.error().message.starts_with("there is no room for a batch"))
          << bytes << " of " << kept << ": " << got.error().message;
    }
  }
  EXPECT_GT(measured, 0U);
  EXPECT_GT(told, 0U);
}

INSTANTIATE_TEST_SUITE_P(Networks, FailuresTest, testing::Values(&Pictures, &IdsAndNumbers));

// Ends after so many calls; then the network makes another step, or none.
class BrokenStepTest : public FailuresTest {};

TEST_P(BrokenStepTest, LeavesNothingBehind) {
  bool over = false;
  for (uint64_t calls = 0; !over; ++calls) {
    for (uint64_t seed = 1; seed <= 16; seed += kEach) {
      const LoadedPlugin::BackendPointer card = std::move(OpenSoftCard({.seed = seed})).value();
      NetworkFixture there(GetParam()(), *card);
      there.MakeBatch(9);
      Broken broken(calls);
      over = there.Train(9, &broken).ok();
      if (seed % 4 == 0) continue;
      ASSERT_TRUE(there.Train(2).ok());
      ExpectAlike(there, 2);
    }
    EXPECT_EQ(SoftCard().held(), 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, BrokenStepTest,
                         testing::Values(&Pictures, &IdsAndNumbers, &ManyIdsAndNumbers));

}  // namespace
}  // namespace shardmill::nn
