// What is made again on the way back instead of kept changes where things lie and nothing else.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "common/assert.h"
#include "tests/nn/network_fixture.h"
#include "tests/sanitized.h"

namespace shardmill::nn {
namespace {

struct Named {
  std::string name;
  NetworkSpec spec;
};

NetworkSpec Spec(const Shape& input, std::vector<LayerSpec> layers) {
  return {.input = input, .layers = std::move(layers), .loss = "softmax_cross_entropy"};
}

NetworkSpec FeedForward(size_t depth, uint64_t units) {
  NetworkSpec spec = Spec({4, 5}, {{"flatten"}});
  for (size_t i = 0; i < depth; ++i) {
    spec.layers.push_back({"affine", units});
    spec.layers.push_back({i % 2 == 0 ? "relu" : "silu"});
    if (i % 3 == 1) spec.layers.push_back({.type = "dropout", .rate = 0.25});
  }
  spec.layers.push_back({"affine", 3});
  return spec;
}

NetworkSpec Lenet() {
  return Spec({20, 20}, {{.type = "conv2d", .units = 4, .kernel = 5, .padding = 2},
                         {"relu"},
                         {.type = "max_pool", .kernel = 2},
                         {.type = "conv2d", .units = 6, .kernel = 3},
                         {"tanh"},
                         {.type = "max_pool", .kernel = 2},
                         {"flatten"},
                         {"affine", 20},
                         {"relu"},
                         {.type = "dropout", .rate = 0.5},
                         {"affine", 3}});
}

NetworkSpec Residual(size_t blocks) {
  const auto convolution = [](const std::string& input) {
    return LayerSpec{.type = "conv2d",
                     .units = 6,
                     .inputs = {input},
                     .kernel = 3,
                     .padding = 1,
                     .no_bias = true};
  };
  NetworkSpec spec = Spec({8, 8}, {convolution("input"), {.type = "batch_norm2d", .name = "b0"}});
  for (size_t i = 0; i < blocks; ++i) {
    const std::string from = "b" + std::to_string(i), to = "b" + std::to_string(i + 1);
    spec.layers.push_back(convolution(from));
    spec.layers.push_back({"batch_norm2d"});
    spec.layers.push_back({"relu"});
    spec.layers.push_back(convolution("relu_" + std::to_string(spec.layers.size())));
    spec.layers.push_back({.type = "batch_norm2d", .name = to + "_through"});
    spec.layers.push_back({.type = "add", .inputs = {to + "_through", from}});
    spec.layers.push_back({.type = "relu", .name = to});
  }
  spec.layers.push_back({"global_average_pool"});
  spec.layers.push_back({"affine", 3});
  return spec;
}

NetworkSpec Recurrent() {
  return Spec({6, 5}, {{.type = "lstm", .units = 7, .cell_output = "all"},
                       {.type = "dropout", .rate = 0.2},
                       {.type = "rnn", .units = 6, .cell_output = "all"},
                       {"layer_norm"},
                       {"lstm", 5},
                       {"affine", 3}});
}

std::vector<Named> Nets() {
  NetworkSpec frozen = Residual(2);
  for (size_t i = 0; i < 6; ++i) {
    if (frozen.layers[i].type != "relu" && frozen.layers[i].type != "add") {
      frozen.layers[i].frozen = true;
    }
  }
  NetworkSpec many = ManyLayersSpec();
  many.l1 = 0.001;
  return {{"feed_forward", FeedForward(9, 16)},
          {"lenet", Lenet()},
          {"residual", Residual(4)},
          {"frozen", frozen},
          {"recurrent", Recurrent()},
          {"many", many}};
}

// A network that trains itself by plain descent, and statistics as servers keep them.
class Learner final {
 public:
  Learner(NetworkSpec spec, Recompute recompute, uint64_t memory_max, bool on_host)
      : fixture_(WithMemory(std::move(spec), recompute, memory_max), on_host) {
    fixture_.MakeBatch(kRows);
  }

  // The losses of some steps; the largest batch is none of the first.
  std::vector<double> Learn() {
    std::vector<double> losses;
    for (const uint64_t rows : {kRows - 4, kRows, kRows - 7, kRows, kRows - 1}) {
      fixture_.SetChance(100 + losses.size());
      losses.push_back(fixture_.Train(rows).value());
      for (size_t i = 0; i < fixture_.parameters().size(); ++i) {
        const ParameterInfo& info = fixture_.network().parameters()[i];
        const float rate = info.role == Role::kStatistic ? info.rate : 0.02F;
        std::vector<float>& values = fixture_.parameters()[i];
        for (size_t at = 0; at < values.size(); ++at) {
          values[at] -= rate * fixture_.gradients()[i][at];
        }
      }
    }
    return losses;
  }

  NetworkFixture& fixture() { return fixture_; }
  const StepMemory& memory() const { return fixture_.network().memory(); }

  static constexpr uint64_t kRows = 11;

 private:
  static NetworkSpec WithMemory(NetworkSpec spec, Recompute recompute, uint64_t memory_max) {
    spec.recompute = recompute;
    spec.memory_max = memory_max;
    return spec;
  }

  NetworkFixture fixture_;
};

class RecomputeTest : public testing::TestWithParam<bool> {};

TEST_P(RecomputeTest, LearnsTheSameBitsInLessMemory) {
  for (const Named& net : Nets()) {
    SCOPED_TRACE(net.name);
    Learner kept(net.spec, Recompute::kNever, UINT64_MAX, GetParam());
    const std::vector<double> losses = kept.Learn();
    EXPECT_TRUE(kept.memory().again.empty());
    EXPECT_EQ(kept.memory().bytes, kept.memory().bytes_if_kept);
    Learner least(net.spec, Recompute::kAlways, UINT64_MAX, GetParam());
    EXPECT_EQ(least.Learn(), losses);
    EXPECT_EQ(least.fixture().parameters(), kept.fixture().parameters());
    EXPECT_LT(least.memory().bytes, kept.memory().bytes);
    EXPECT_FALSE(least.memory().again.empty());
    EXPECT_GT(least.memory().share_again, 0);
    EXPECT_LE(least.memory().share_again, 1);
    // Between the two, each bound is held.
    for (uint64_t part = 0; part < 8; ++part) {
      const uint64_t room =
          least.memory().bytes + (kept.memory().bytes - least.memory().bytes) * part / 8;
      Learner between(net.spec, Recompute::kAuto, room, GetParam());
      EXPECT_EQ(between.Learn(), losses) << room;
      EXPECT_EQ(between.fixture().parameters(), kept.fixture().parameters()) << room;
      EXPECT_LE(between.memory().bytes, room);
      EXPECT_LE(between.memory().share_again, least.memory().share_again);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OnTheHostAndNot, RecomputeTest, testing::Bool());

TEST(StepMemoryTest, KeepsAllWhereThereIsRoom) {
  Learner learner(Residual(4), Recompute::kAuto, UINT64_MAX, true);
  learner.Learn();
  EXPECT_TRUE(learner.memory().again.empty());
  EXPECT_EQ(learner.memory().rows, Learner::kRows);
}

TEST(StepMemoryTest, OfAChainKeepsAboutTheRootOfItsLength) {
  constexpr size_t kDepth = 64;
  NetworkSpec spec = Spec({16}, {});
  for (size_t i = 0; i < kDepth; ++i) {
    spec.layers.push_back({"affine", 16});
    spec.layers.push_back({"relu"});
  }
  spec.layers.push_back({"affine", 3});
  Learner least(spec, Recompute::kAlways, UINT64_MAX, true);
  least.Learn();
  // Eight that are kept, eight that are made again, and gradients.
  EXPECT_LT(least.memory().bytes * 3, least.memory().bytes_if_kept);
  EXPECT_EQ(std::ranges::count(least.memory().again, "affine_1"), 1);
}

TEST(StepMemoryTest, WhereOneLayerMoreFitsNothingElseIsMadeAgain) {
  Learner kept(FeedForward(9, 16), Recompute::kNever, UINT64_MAX, true);
  kept.Learn();
  Learner most(FeedForward(9, 16), Recompute::kAuto, kept.memory().bytes - 1, true);
  most.Learn();
  EXPECT_EQ(most.memory().again.size(), 1U);
}

TEST(StepMemoryTest, BoundsWhatIsMeasuredAtOnceAndTrainsOn) {
  NetworkSpec spec = Lenet();
  spec.memory_max = uint64_t{256} << 10;
  NetworkFixture f(spec);
  f.MakeBatch(200);
  const double loss = f.Train(10).value();
  const Result<LossSums> many = f.Evaluate(200);
  ASSERT_FALSE(many.ok());
  EXPECT_EQ(many.error().code, ErrorCode::kFailed);
  EXPECT_TRUE(f.Evaluate(10).ok());
  EXPECT_EQ(f.Train(10).value(), loss);
}

// As the allocator counts.
TEST(StepMemoryTest, TakesTheMemoryThatItSays) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer counts otherwise";
  const auto taken = [](Recompute recompute) {
    const auto in_use = [] {
      const struct mallinfo2 info = mallinfo2();
      return info.uordblks + info.hblkhd;
    };
    Learner learner(Residual(12), recompute, UINT64_MAX, true);
    const uint64_t before = in_use();
    EXPECT_TRUE(learner.fixture().network().MakeRoom(4096).ok());
    const uint64_t bytes = in_use() - before;
    EXPECT_NEAR(static_cast<double>(bytes), static_cast<double>(learner.memory().bytes), 1 << 18);
    return bytes;
  };
  EXPECT_LT(taken(Recompute::kAlways) * 3, taken(Recompute::kNever));
}

// Leaves this process some bytes more than it has.
void BoundMemory(uint64_t more) {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t bound = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) + more;
  const rlimit limit{bound, bound};
  SM_ASSERT(setrlimit(RLIMIT_AS, &limit) == 0);
}

// Whether a step finds room in six tenths of what it takes where all is kept, and gives up some.
bool FindsRoomInSixTenths(Recompute recompute) {
  constexpr uint64_t kMany = 8192;
  NetworkSpec spec = Residual(12);
  spec.recompute = Recompute::kNever;
  uint64_t kept = 0;
  {
    NetworkFixture all(spec);
    if (!all.network().MakeRoom(kMany).ok()) return false;
    kept = all.network().memory().bytes;
  }
  spec.recompute = recompute;
  NetworkFixture f(spec);
  BoundMemory(kept / 10 * 6);
  return f.network().MakeRoom(kMany).ok() && !f.network().memory().again.empty();
}

TEST(StepMemoryDeathTest, ComputesAgainWhereTheSystemHasNoMore) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes all addresses";
  EXPECT_EXIT(std::exit(FindsRoomInSixTenths(Recompute::kAuto) ? 0 : 1), testing::ExitedWithCode(0),
              "");
  EXPECT_EXIT(std::exit(FindsRoomInSixTenths(Recompute::kNever) ? 0 : 1),
              testing::ExitedWithCode(1), "");
}

// Whether it is known before the first step that its block leaves some for what has to be brought.
bool MakesRoomForABatch() {
  constexpr uint64_t kMany = 8192;
  NetworkFixture here(FeedForward(9, 64));
  NetworkFixture there(FeedForward(9, 64), false);
  for (NetworkFixture* const f : {&here, &there}) {
    f->MakeBatch(kMany);
    if (!f->Train(1).ok()) return false;
  }
  const double loss = here.Train(kMany).value();
  BoundMemory(here.network().memory().bytes + (uint64_t{512} << 10));
  if (!there.network().MakeRoom(kMany).ok()) return false;
  const std::vector<std::string> said = there.network().memory().again;
  const Result<double> trained = there.Train(kMany);
  return trained.ok() && trained.value() == loss && there.gradients() == here.gradients() &&
         !said.empty() && there.network().memory().again == said;
}

TEST(StepMemoryDeathTest, LeavesRoomForWhatHasToBeBrought) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes all addresses";
  EXPECT_EXIT(std::exit(MakesRoomForABatch() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST(StepMemoryTest, SaysHowMuchIsMissing) {
  const auto words = [](Recompute recompute, uint64_t memory_max) {
    NetworkSpec spec = Residual(4);
    spec.recompute = recompute;
    spec.memory_max = memory_max;
    NetworkFixture f(spec);
    f.MakeBatch(1024);
    const Result<double> trained = f.Train(1024);
    EXPECT_FALSE(trained.ok());
    EXPECT_EQ(trained.error().code, ErrorCode::kBadUsage);
    EXPECT_EQ(f.network().MakeRoom(1024).error().message, trained.error().message);
    EXPECT_TRUE(f.Train(1).ok());
    return trained.error().message;
  };
  constexpr uint64_t kMib = uint64_t{1} << 20;
  EXPECT_EQ(words(Recompute::kNever, 4 * kMib),
            "there is no room for a batch of 1024 rows: it takes a block of 29 MiB, and "
            "compute.memory lacks 25 MiB of that: lower data.batch_size or raise compute.memory, "
            "or have layers computed again with compute.recompute = \"auto\"");
  EXPECT_EQ(
      words(Recompute::kAuto, 4 * kMib),
      "there is no room for a batch of 1024 rows: it takes at the least, with layers computed "
      "again on the way back, a block of 14 MiB, and compute.memory lacks 10 MiB of that: "
      "lower data.batch_size or raise compute.memory");
}

}  // namespace
}  // namespace shardmill::nn
