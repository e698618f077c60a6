#include "server/dense_slice.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/frame.h"
#include "common/initial.h"
#include "common/update.h"
#include "optim/optimizer.h"

namespace shardmill {
namespace {

// Floats of a chunk where there are several, which more than four of them have; a border of chunks
// is where the slice begins plus a multiple of this.
constexpr uint64_t kChunk = 256 * 1024;

std::unique_ptr<Optimizer> Made(UpdateRule rule) {
  UpdateSettings settings;
  settings.rule = rule;
  settings.momentum = 0.5;
  return std::move(MakeOptimizer(settings).value());
}

DenseSlice Slice(uint64_t begin, uint64_t end, const Optimizer& optimizer,
                 const Initial& initial = {}, DenseSlice::Begins how = DenseSlice::Begins::kMade) {
  static FramePool frames(FramePool::Memory::kPrivate);
  return {frames, begin, end, initial, optimizer.slots(), how};
}

ChangePart Part(uint64_t begin, const std::vector<float>& gradient, float weight = 1) {
  return {begin, weight, Frame::CopyOf(gradient), nullptr};
}

std::vector<float> FloatsOf(const FrameList& frames) {
  std::vector<float> floats;
  for (const Frame& frame : frames) {
    floats.insert(floats.end(), frame.floats().begin(), frame.floats().end());
  }
  return floats;
}

std::vector<float> Values(const DenseSlice& slice, uint64_t begin, uint64_t count) {
  return FloatsOf(slice.Read(begin, count));
}

void Apply(DenseSlice& slice, const std::vector<ChangePart>& parts, const Optimizer& optimizer,
           float rate = 1) {
  slice.Apply(parts, rate, optimizer);
}

TEST(DenseSliceTest, ContainsItsRangeAndNothingBeyond) {
  const DenseSlice slice = Slice(10, 20, *Made(UpdateRule::kSgd));
  EXPECT_EQ(slice.begin(), 10U);
  EXPECT_EQ(slice.end(), 20U);
  EXPECT_TRUE(slice.Contains(10, 10));
  EXPECT_TRUE(slice.Contains(20, 0));
  EXPECT_FALSE(slice.Contains(9, 1));
  EXPECT_FALSE(slice.Contains(10, 11));
  EXPECT_FALSE(slice.Contains(21, 0));
  EXPECT_FALSE(slice.Contains(15, ~uint64_t{0} - 3));
}

TEST(DenseSliceTest, BeginsWithTheValuesOfItsPlaceInTheTable) {
  const auto sgd = Made(UpdateRule::kSgd);
  const Initial initial = Initial::Normal(1, 3);
  const DenseSlice whole = Slice(0, kChunk + 100, *sgd, initial);
  const DenseSlice part = Slice(77, kChunk + 90, *sgd, initial);
  EXPECT_EQ(Values(part, 77, kChunk + 13), Values(whole, 77, kChunk + 13));
}

TEST(DenseSliceTest, LeavesToAReaderWhatItHasRead) {
  const auto add = Made(UpdateRule::kAdd);
  DenseSlice slice = Slice(0, 4, *add, Initial::Constant(1));
  const FrameList first = slice.Read(0, 4);
  Apply(slice, {Part(1, {1, 1})}, *add);
  const FrameList second = slice.Read(1, 2);
  Apply(slice, {Part(0, {2, 2, 2, 2})}, *add);
  EXPECT_EQ(FloatsOf(first), (std::vector<float>{1, 1, 1, 1}));
  EXPECT_EQ(FloatsOf(second), (std::vector<float>{2, 2}));
  EXPECT_EQ(Values(slice, 0, 4), (std::vector<float>{3, 4, 4, 3}));
}

TEST(DenseSliceTest, WritesInPlaceOnceTheReadersHaveLetGo) {
  const auto add = Made(UpdateRule::kAdd);
  DenseSlice slice = Slice(0, 4, *add);
  FrameList held = slice.Read(0, 4);
  const float* const before = held[0].floats().data();
  Apply(slice, {Part(0, {1})}, *add);
  const float* const after = slice.Read(0, 4)[0].floats().data();
  EXPECT_NE(after, before);
  held.clear();
  Apply(slice, {Part(0, {1})}, *add);
  EXPECT_EQ(slice.Read(0, 4)[0].floats().data(), after);
  EXPECT_EQ(Values(slice, 0, 1), (std::vector<float>{2}));
}

TEST(DenseSliceTest, ReplacesNoChunkButTheOnesItWrites) {
  const auto add = Made(UpdateRule::kAdd);
  DenseSlice slice = Slice(0, 5 * kChunk, *add);
  const FrameList held = slice.Read(0, 5 * kChunk);
  ASSERT_EQ(held.size(), 5U);
  Apply(slice, {Part(kChunk, {1})}, *add);
  const FrameList now = slice.Read(0, 5 * kChunk);
  EXPECT_EQ(now[0].floats().data(), held[0].floats().data());
  EXPECT_NE(now[1].floats().data(), held[1].floats().data());
  EXPECT_EQ(held[1].floats()[0], 0);
  EXPECT_EQ(now[1].floats()[0], 1);
}

TEST(DenseSliceTest, SumsOverlappingPartsByTheirWeights) {
  const auto sgd = Made(UpdateRule::kSgd);
  DenseSlice slice = Slice(100, 110, *sgd);
  Apply(slice,
        {Part(101, {1, 1, 1, 1}), Part(103, {2, 2, 2, 2}, 0.5F), Part(104, {4}, 2), Part(109, {1})},
        *sgd, 0.5F);
  EXPECT_EQ(Values(slice, 100, 10),
            (std::vector<float>{0, -0.5F, -0.5F, -1, -5, -0.5F, -0.5F, 0, 0, -0.5F}));
}

TEST(DenseSliceTest, MakesOneStepOfOverlappingParts) {
  const auto adagrad = Made(UpdateRule::kAdagrad);
  DenseSlice slice = Slice(0, 3, *adagrad);
  Apply(slice, {Part(0, {3, 3}), Part(1, {4, 4})}, *adagrad);
  // A first step of Adagrad is as long as the rate; 3 and then 4 would make 1.8 of it.
  for (const float value : Values(slice, 0, 3)) EXPECT_NEAR(value, -1, 1e-6);
}

TEST(DenseSliceTest, CombinesPartsInTheirOrder) {
  const auto assign = Made(UpdateRule::kAssign);
  DenseSlice slice = Slice(0, 4, *assign);
  Apply(slice, {Part(1, {5, 5, 5}), Part(0, {6, 6})}, *assign);
  EXPECT_EQ(Values(slice, 0, 4), (std::vector<float>{6, 6, 5, 5}));
}

TEST(DenseSliceTest, TakesPartsThatAreEmptyAndChangesThatHaveNone) {
  const auto add = Made(UpdateRule::kAdd);
  DenseSlice slice = Slice(0, 2, *add);
  Apply(slice, {}, *add);
  Apply(slice, {Part(2, {}), Part(0, {}), Part(0, {1, 2}), Part(1, {})}, *add);
  EXPECT_EQ(Values(slice, 0, 2), (std::vector<float>{1, 2}));
  EXPECT_TRUE(slice.Read(1, 0).empty());
}

// More parts than a sort leaves in their order by chance.
TEST(DenseSliceTest, TakesManyEmptyPartsAmongOthers) {
  const auto add = Made(UpdateRule::kAdd);
  DenseSlice slice = Slice(0, 100, *add);
  std::vector<ChangePart> parts;
  for (uint64_t at = 0; at < 100; ++at) {
    parts.push_back(Part(at, {}));
    if (at % 2 == 0) parts.push_back(Part(at, {1}));
    parts.push_back(Part(100 - at, {}));
  }
  Apply(slice, parts, *add);
  for (uint64_t at = 0; at < 100; ++at) EXPECT_EQ(Values(slice, at, 1)[0], at % 2 == 0 ? 1 : 0);
}

// Members weigh a quarter, a quarter and a half.
TEST(DenseSliceTest, AveragesAnElementOverThoseWhoPushedIt) {
  const auto average = Made(UpdateRule::kAverage);
  DenseSlice slice = Slice(0, 5, *average, Initial::Constant(9));
  Apply(slice, {Part(0, {4, 4}, 0.25F), Part(0, {8, 8, 8}, 0.25F), Part(1, {2, 2, 2}, 0.5F)},
        *average);
  EXPECT_EQ(Values(slice, 0, 5), (std::vector<float>{6, 4, 4, 2, 9}));
}

// Adam goes by the entries that changed any of the slice: an element that is pushed first in the
// second of them is not taken to be at its first step. See decision 5.
TEST(DenseSliceTest, CountsTheEntriesThatChangeAnyOfItForAllOfIt) {
  const auto adam = Made(UpdateRule::kAdam);
  DenseSlice slice = Slice(0, 2, *adam);
  Apply(slice, {Part(0, {1})}, *adam, 0.1F);
  Apply(slice, {}, *adam, 0.1F);
  Apply(slice, {Part(1, {1})}, *adam, 0.1F);
  std::vector<float> second(1), state(2), gradient = {1};
  adam->Step({0.1F, 2}, gradient, second, {state.data(), 1});
  EXPECT_NEAR(Values(slice, 0, 1)[0], -0.1, 1e-6);
  EXPECT_EQ(Values(slice, 1, 1), second);
}

// With a momentum of a half and gradients of one, the velocities are 1, 1.5 and 1.75.
TEST(DenseSliceTest, KeepsAVelocityForEachElementThatOnlyItsOwnPushesMove) {
  const auto momentum = Made(UpdateRule::kMomentum);
  DenseSlice slice = Slice(50, 54, *momentum);
  Apply(slice, {Part(50, {1, 1, 1})}, *momentum);
  Apply(slice, {Part(51, {1, 1})}, *momentum);
  Apply(slice, {Part(52, {1, 1})}, *momentum);
  EXPECT_EQ(Values(slice, 50, 4), (std::vector<float>{-1, -2.5F, -4.25F, -1}));
}

TEST(DenseSliceTest, KeepsItsStateWhenAReadChunkIsReplaced) {
  const auto momentum = Made(UpdateRule::kMomentum);
  DenseSlice slice = Slice(0, 1, *momentum);
  for (int i = 0; i < 3; ++i) {
    const FrameList held = slice.Read(0, 1);
    Apply(slice, {Part(0, {1})}, *momentum);
  }
  EXPECT_EQ(Values(slice, 0, 1), (std::vector<float>{-4.25F}));
}

TEST(DenseSliceTest, LiesInOnePieceUpToFourChunks) {
  const auto sgd = Made(UpdateRule::kSgd);
  EXPECT_EQ(Slice(3, 3 + 4 * kChunk, *sgd).Read(3, 4 * kChunk).size(), 1U);
  EXPECT_EQ(Slice(3, 4 + 4 * kChunk, *sgd).Read(3, 4 * kChunk).size(), 4U);
}

TEST(DenseSliceTest, ReadsAcrossTheBorderOfChunksInPieces) {
  const auto sgd = Made(UpdateRule::kSgd);
  const DenseSlice slice = Slice(10, 10 + 5 * kChunk + 5, *sgd, Initial::Uniform(1, 1));
  const uint64_t border = 10 + kChunk;
  const FrameList frames = slice.Read(border - 2, kChunk + 5);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0].floats().size(), 2U);
  EXPECT_EQ(frames[1].floats().size(), kChunk);
  EXPECT_EQ(frames[2].floats().size(), 3U);
  std::vector<float> expected(kChunk + 5);
  FillInitial(Initial::Uniform(1, 1), border - 2, expected);
  EXPECT_EQ(FloatsOf(frames), expected);
  EXPECT_EQ(slice.Read(border, kChunk).size(), 1U);
}

// Pushes over the borders of three chunks, with two floats of state, against a scalar Adam.
TEST(DenseSliceTest, StepsAcrossTheBordersOfChunksAsElsewhere) {
  const auto adam = Made(UpdateRule::kAdam);
  const uint64_t begin = 7;
  const uint64_t size = 4 * kChunk + 1000;
  DenseSlice slice = Slice(begin, begin + size, *adam);
  std::vector<float> expected(size), state(2 * size);
  for (uint64_t count = 1; count <= 3; ++count) {
    std::vector<float> gradient(size);
    for (uint64_t i = 0; i < size; ++i) {
      gradient[i] = static_cast<float>((i * 37 + count * 11) % 101) - 50;
    }
    const uint64_t cut = kChunk - 300 * count;
    Apply(slice,
          {Part(begin, {gradient.begin(), gradient.begin() + static_cast<ptrdiff_t>(cut)}),
           Part(begin + cut, {gradient.begin() + static_cast<ptrdiff_t>(cut), gradient.end()})},
          *adam, 0.1F);
    adam->Step({0.1F, count}, gradient, expected, {state.data(), size});
  }
  EXPECT_EQ(Values(slice, begin, size), expected);
}

TEST(DenseSliceTest, ChangesEachElementOnceAtTheBorderOfChunks) {
  const auto add = Made(UpdateRule::kAdd);
  DenseSlice slice = Slice(0, 5 * kChunk, *add);
  Apply(slice, {Part(kChunk - 3, {1, 2, 3, 4, 5, 6}), Part(kChunk - 1, {10, 20})}, *add);
  EXPECT_EQ(Values(slice, kChunk - 4, 8), (std::vector<float>{0, 1, 2, 13, 24, 5, 6, 0}));
}

// Steps of slices that were restored from an image of others are those of the others, bit for bit.
TEST(DenseSliceTest, GoesOnFromImagesOfOtherSlicesBitForBit) {
  const auto adam = Made(UpdateRule::kAdam);
  constexpr uint64_t kSize = 4 * kChunk + 50;
  const uint64_t middle = kChunk - 30;
  DenseSlice left = Slice(0, middle, *adam, Initial::Normal(1, 3));
  DenseSlice right = Slice(middle, kSize, *adam, Initial::Normal(1, 3));
  for (int i = 0; i < 3; ++i) Apply(left, {Part(10, {1, 2, 3})}, *adam);
  Apply(right, {Part(middle, std::vector<float>(60, 2))}, *adam);

  DenseSlice whole = Slice(0, kSize, *adam);
  UpdateRuns runs;
  for (const DenseSlice* one : {&left, &right}) {
    const DenseImage image = one->Image(*adam);
    uint64_t at = one->begin();
    for (size_t i = 0; i < image.values.size(); ++i) {
      ASSERT_TRUE(whole.Restore(DensePiece{0, at, image.values[i]}).ok());
      const size_t bytes = image.values[i].size();
      for (uint32_t slot = 1; slot <= image.head.slots; ++slot) {
        const Frame state = image.states[i].Slice((slot - 1) * bytes, bytes);
        ASSERT_TRUE(whole.Restore(DensePiece{slot, at, state}).ok());
      }
      at += bytes / sizeof(float);
    }
    runs.insert(runs.end(), image.head.updates.begin(), image.head.updates.end());
  }
  ASSERT_TRUE(whole.Restore(runs).ok());
  EXPECT_EQ(whole.Image(*adam).head.updates, (UpdateRuns{{0, middle, 3}, {middle, kSize, 1}}));

  Apply(left, {Part(0, std::vector<float>(middle, 0.5F))}, *adam);
  Apply(right, {Part(middle, std::vector<float>(kSize - middle, 0.5F))}, *adam);
  Apply(whole, {Part(0, std::vector<float>(kSize, 0.5F))}, *adam);
  std::vector<float> expected = Values(left, 0, middle);
  const std::vector<float> rest = Values(right, middle, kSize - middle);
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_EQ(Values(whole, 0, kSize), expected);
}

TEST(DenseSliceTest, LeavesAnImageAsItWas) {
  const auto momentum = Made(UpdateRule::kMomentum);
  DenseSlice slice = Slice(0, 4, *momentum);
  const DenseImage image = slice.Image(*momentum);
  Apply(slice, {Part(0, {1, 1, 1, 1})}, *momentum);
  EXPECT_EQ(image.values[0].floats()[0], 0);
  EXPECT_EQ(image.states[0].floats()[0], 0);
  EXPECT_TRUE(image.head.updates.empty());
}

TEST(DenseSliceTest, RefusesPiecesThatDoNotFit) {
  const auto momentum = Made(UpdateRule::kMomentum);
  DenseSlice slice = Slice(10, 20, *momentum);
  const Frame floats = Frame::CopyOf(std::vector<float>{1, 2});
  EXPECT_FALSE(slice.Restore(DensePiece{0, 9, floats}).ok());
  EXPECT_FALSE(slice.Restore(DensePiece{0, 19, floats}).ok());
  EXPECT_FALSE(slice.Restore(DensePiece{2, 10, floats}).ok());
  EXPECT_TRUE(slice.Restore(DensePiece{1, 18, floats}).ok());
  EXPECT_FALSE(slice.Restore(UpdateRuns{{10, 19, 1}}).ok());
  EXPECT_FALSE(slice.Restore(UpdateRuns{}).ok());
  EXPECT_TRUE(slice.Restore(UpdateRuns{{10, 20, 1}}).ok());
}

TEST(DenseSliceTest, MakesWhatNoPieceRestores) {
  const auto momentum = Made(UpdateRule::kMomentum);
  const Initial initial = Initial::Uniform(1, 5);
  const uint64_t end = 5 * kChunk + 3;
  const DenseSlice made = Slice(0, end, *momentum, initial);
  DenseSlice restored = Slice(0, end, *momentum, initial, DenseSlice::Begins::kRestored);
  const std::vector<float> chunk(kChunk, 7.0F);
  const std::vector<float> few(10, 8.0F);
  ASSERT_TRUE(restored.Restore(DensePiece{0, kChunk, Frame::CopyOf(chunk)}).ok());
  ASSERT_TRUE(restored.Restore(DensePiece{0, 3 * kChunk + 5, Frame::CopyOf(few)}).ok());
  ASSERT_TRUE(restored.Restore(DensePiece{1, 2 * kChunk, Frame::CopyOf(few)}).ok());
  restored.MakeRest();
  std::vector<float> wanted = Values(made, 0, end);
  std::ranges::copy(chunk, wanted.begin() + kChunk);
  std::ranges::copy(few, wanted.begin() + 3 * kChunk + 5);
  EXPECT_EQ(Values(restored, 0, end), wanted);
  EXPECT_EQ(restored.Checksum(4 * kChunk, kChunk + 3), made.Checksum(4 * kChunk, kChunk + 3));
  EXPECT_NE(restored.Checksum(2 * kChunk, kChunk), made.Checksum(2 * kChunk, kChunk));
}

}  // namespace
}  // namespace shardmill
