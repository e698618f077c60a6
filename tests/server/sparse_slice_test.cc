#include "server/sparse_slice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "common/frame.h"
#include "common/frame_pool.h"
#include "common/initial.h"
#include "common/rng.h"
#include "common/update.h"
#include "common/view.h"
#include "optim/optimizer.h"

namespace shardmill {
namespace {

using Keys = std::vector<uint64_t>;
using Floats = std::vector<float>;

std::unique_ptr<Optimizer> Made(UpdateRule rule) {
  UpdateSettings settings;
  settings.rule = rule;
  settings.momentum = 0.5;
  return std::move(MakeOptimizer(settings).value());
}

SparseSlice Slice(uint32_t dim, const Optimizer& optimizer, const Initial& initial = {}) {
  return {0, kBuckets, dim, initial, optimizer};
}

std::shared_ptr<KeyRows> List(const Keys& keys) {
  return std::make_shared<KeyRows>(KeyRows{TableId{1}, Frame::CopyOf(keys),
                                           std::vector<uint32_t>(keys.size(), RowIndex::kNone)});
}

ChangePart Part(const std::shared_ptr<KeyRows>& keys, const Floats& rows, float weight = 1) {
  return {0, weight, Frame::CopyOf(rows), keys};
}

Floats Read(const SparseSlice& slice, const std::shared_ptr<KeyRows>& keys) {
  static FramePool frames(FramePool::Memory::kPrivate);
  const Frame frame = slice.Read(*keys, frames);
  return {frame.floats().begin(), frame.floats().end()};
}

Floats Read(const SparseSlice& slice, const Keys& keys) { return Read(slice, List(keys)); }

Floats InitialRow(const Initial& initial, uint64_t key, uint32_t dim) {
  Floats row(dim);
  FillInitialRow(initial, key, row);
  return row;
}

void Push(SparseSlice& slice, const Keys& keys, const Floats& rows, const Optimizer& optimizer) {
  const std::vector<ChangePart> parts = {Part(List(keys), rows)};
  slice.Apply(parts, 1, optimizer);
}

TEST(SparseSliceTest, ShowsTheFirstValuesOfARowThatIsNotThereAndMakesNone) {
  const auto sgd = Made(UpdateRule::kSgd);
  const Initial initial = Initial::Normal(1, 8);
  const SparseSlice slice = Slice(3, *sgd, initial);
  EXPECT_EQ(Read(slice, {5}), InitialRow(initial, 5, 3));
  EXPECT_EQ(Read(slice, {6}), InitialRow(initial, 6, 3));
  EXPECT_TRUE(Read(slice, Keys{}).empty());
  EXPECT_EQ(slice.rows(), 0U);
}

TEST(SparseSliceTest, MakesARowWhenAPushTouchesItFirst) {
  const auto sgd = Made(UpdateRule::kSgd);
  const Initial initial = Initial::Normal(1, 8);
  SparseSlice slice = Slice(2, *sgd, initial);
  Push(slice, {5}, {10, -20}, *sgd);
  EXPECT_EQ(slice.rows(), 1U);
  const Floats first = InitialRow(initial, 5, 2);
  EXPECT_EQ(Read(slice, {5}), (Floats{first[0] - 10, first[1] + 20}));
  EXPECT_EQ(Read(slice, {6}), InitialRow(initial, 6, 2));
  Push(slice, {5, 6}, {0, 0, 0, 0}, *sgd);
  EXPECT_EQ(slice.rows(), 2U);
}

// A list that has looked for a row in vain looks again.
TEST(SparseSliceTest, ShowsARowThatAnotherListHasMade) {
  const auto add = Made(UpdateRule::kAdd);
  SparseSlice slice = Slice(1, *add);
  const auto keys = List({5, 6});
  EXPECT_EQ(Read(slice, keys), (Floats{0, 0}));
  Push(slice, {6}, {7}, *add);
  EXPECT_EQ(Read(slice, keys), (Floats{0, 7}));
  const std::vector<ChangePart> parts = {Part(keys, {1, 2})};
  slice.Apply(parts, 1, *add);
  EXPECT_EQ(Read(slice, {5, 6}), (Floats{1, 9}));
  EXPECT_EQ(slice.rows(), 2U);
}

TEST(SparseSliceTest, OwnsEachKeyInOneRangeOfBuckets) {
  const auto sgd = Made(UpdateRule::kSgd);
  const std::vector<uint64_t> cuts = {0, 1, 1500, 1500, kBuckets};
  std::vector<SparseSlice> slices;
  for (size_t i = 0; i + 1 < cuts.size(); ++i)
    slices.emplace_back(cuts[i], cuts[i + 1], 1, Initial{}, *sgd);
  Rng rng(6);
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t key = i < 5000 ? static_cast<uint64_t>(i) : rng.Next();
    EXPECT_EQ(std::ranges::count_if(slices,
                                    [&](const auto& slice) {
                                      return slice.Owns({&key, 1});
                                    }),
              1);
    EXPECT_FALSE(slices[2].Owns({&key, 1}));
  }
}

// The same pushes in the same order to each row, of rows that were made in other orders and live in
// other slices.
TEST(SparseSliceTest, HasTheSameRowsWhicheverOrderTheyWereMadeInAndWhoeverOwnsThem) {
  const auto adam = Made(UpdateRule::kAdam);
  const Initial initial = Initial::Uniform(1, 12);
  SparseSlice forth = Slice(4, *adam, initial);
  SparseSlice back = Slice(4, *adam, initial);
  SparseSlice low{0, 1000, 4, initial, *adam};
  SparseSlice high{1000, kBuckets, 4, initial, *adam};
  Rng rng(7);
  Keys keys(3000);
  for (uint64_t& key : keys) key = rng.Next();
  const auto push = [&](SparseSlice& slice, uint64_t key, int round) {
    const auto bare = static_cast<float>(key % 17) - 8;
    Push(slice, {key}, {bare, bare + 1, static_cast<float>(round), -bare}, *adam);
  };
  for (int round = 1; round <= 3; ++round) {
    for (const uint64_t key : keys) {
      push(forth, key, round);
      push(low.Owns({&key, 1}) ? low : high, key, round);
    }
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) push(back, *key, round);
  }
  EXPECT_EQ(Read(forth, keys), Read(back, keys));
  for (const uint64_t key : keys) {
    ASSERT_EQ(Read(low.Owns({&key, 1}) ? low : high, {key}), Read(forth, {key}));
  }
  EXPECT_EQ(low.rows() + high.rows(), keys.size());
  EXPECT_GT(low.rows(), 0U);
}

TEST(SparseSliceTest, SumsTheRowsOfEqualKeysByTheWeightsOfTheirParts) {
  const auto sgd = Made(UpdateRule::kSgd);
  SparseSlice slice = Slice(2, *sgd);
  const std::vector<ChangePart> parts = {Part(List({1, 2}), {1, 10, 2, 20}, 0.5F),
                                         Part(List({3}), {4, 40}),
                                         Part(List({2, 1}), {6, 60, 8, 80}, 0.25F)};
  slice.Apply(parts, 1, *sgd);
  EXPECT_EQ(Read(slice, {1, 2, 3}), (Floats{-2.5F, -25, -2.5F, -25, -4, -40}));
}

// A first step of Adagrad is as long as the rate; 3 and then 4 on their own would make 1.8 of it.
TEST(SparseSliceTest, MakesOneStepOfEqualKeysInSeveralParts) {
  const auto adagrad = Made(UpdateRule::kAdagrad);
  SparseSlice slice = Slice(1, *adagrad);
  const std::vector<ChangePart> parts = {Part(List({9, 5}), {3, 1}), Part(List({9}), {4})};
  slice.Apply(parts, 1, *adagrad);
  const Floats together = Read(slice, {9, 5});
  EXPECT_NEAR(together[0], -1, 1e-6);
  EXPECT_NEAR(together[1], -1, 1e-6);
  SparseSlice apart = Slice(1, *adagrad);
  Push(apart, {9}, {3}, *adagrad);
  Push(apart, {9}, {4}, *adagrad);
  EXPECT_NEAR(Read(apart, {9})[0], -1.8, 1e-6);
}

TEST(SparseSliceTest, CombinesInTheOrderOfParts) {
  const auto assign = Made(UpdateRule::kAssign);
  SparseSlice slice = Slice(1, *assign);
  const std::vector<ChangePart> parts = {Part(List({1, 2}), {5, 6}), Part(List({2}), {7})};
  slice.Apply(parts, 1, *assign);
  EXPECT_EQ(Read(slice, {1, 2}), (Floats{5, 7}));
}

// With a momentum of a half and gradients of one, the velocities are 1, 1.5 and 1.75.
TEST(SparseSliceTest, KeepsItsStateWithEachRow) {
  const auto momentum = Made(UpdateRule::kMomentum);
  SparseSlice slice = Slice(2, *momentum);
  Push(slice, {1}, {1, 2}, *momentum);
  Push(slice, {2, 1}, {10, 10, 1, 2}, *momentum);
  Push(slice, {3}, {5, 5}, *momentum);
  Push(slice, {1}, {1, 2}, *momentum);
  EXPECT_EQ(Read(slice, {1, 2, 3}), (Floats{-4.25F, -8.5F, -10, -10, -5, -5}));
}

// A first step of Adam is as long as the rate only where it is counted as the first.
TEST(SparseSliceTest, CountsTheStepsOfEachRowByItself) {
  const auto adam = Made(UpdateRule::kAdam);
  SparseSlice slice = Slice(1, *adam);
  for (int i = 0; i < 50; ++i) Push(slice, {1}, {1}, *adam);
  Push(slice, {2}, {0.001F}, *adam);
  EXPECT_NEAR(Read(slice, {2})[0], -1, 1e-4);
  EXPECT_NEAR(Read(slice, {1})[0], -50, 1e-2);
}

TEST(SparseSliceTest, LeavesToAReaderWhatItHasRead) {
  const auto add = Made(UpdateRule::kAdd);
  SparseSlice slice = Slice(1, *add);
  Push(slice, {1}, {1}, *add);
  const auto keys = List({1});
  FramePool frames(FramePool::Memory::kPrivate);
  const Frame held = slice.Read(*keys, frames);
  Push(slice, {1}, {1}, *add);
  EXPECT_EQ(held.floats()[0], 1);
}

// Rows are looked up by lists older than most rows and by new ones; the table is grown many times.
TEST(SparseSliceTest, FindsAHundredThousandRandomKeysAgain) {
  constexpr size_t kKeys = 100'000;
  constexpr size_t kList = 1000;
  const auto add = Made(UpdateRule::kAdd);
  SparseSlice slice = Slice(2, *add);
  Rng rng(8);
  Keys keys(kKeys);
  for (uint64_t& key : keys) key = rng.Next();
  keys[0] = 0;
  keys[1] = ~uint64_t{0};
  const auto value = [](uint64_t key) { return static_cast<float>(key % 10'007); };
  std::vector<std::shared_ptr<KeyRows>> lists;
  for (size_t at = 0; at < kKeys; at += kList) {
    const Keys part(keys.begin() + static_cast<ptrdiff_t>(at),
                    keys.begin() + static_cast<ptrdiff_t>(at + kList));
    Floats rows;
    for (const uint64_t key : part) rows.insert(rows.end(), {value(key), -value(key)});
    lists.push_back(List(part));
    const std::vector<ChangePart> parts = {Part(lists.back(), rows)};
    slice.Apply(parts, 1, *add);
  }
  EXPECT_EQ(slice.rows(), kKeys);
  Floats expected;
  for (const uint64_t key : keys) expected.insert(expected.end(), {value(key), -value(key)});
  EXPECT_EQ(Read(slice, keys), expected);
  Floats by_lists;
  for (const auto& list : lists) {
    const Floats rows = Read(slice, list);
    by_lists.insert(by_lists.end(), rows.begin(), rows.end());
  }
  EXPECT_EQ(by_lists, expected);
}

TEST(SparseSliceTest, ReservesSlabsByBytesHoweverWideItsRowsAre) {
  constexpr uint64_t kSlab = uint64_t{1} << 20;
  const auto add = Made(UpdateRule::kAdd);
  for (const uint32_t dim : {1U, 3U, 100U, 1U << 10, 1U << 16}) {
    SparseSlice slice = Slice(dim, *add);
    EXPECT_EQ(slice.slab_bytes(), 0U);
    Push(slice, {1, 2}, Floats(2 * dim, 1), *add);
    EXPECT_LE(slice.slab_bytes(), kSlab) << dim;
    EXPECT_GT(slice.slab_bytes(), kSlab / 2 - dim * sizeof(float)) << dim;
  }
}

TEST(SparseSliceTest, PutsOneRowInASlabWhereARowIsLargerThanASlab) {
  constexpr uint32_t kDim = 1 << 19;
  const auto add = Made(UpdateRule::kAdd);
  SparseSlice slice = Slice(kDim, *add);
  Push(slice, {1, 2, 3}, Floats(3 * kDim, 1), *add);
  Push(slice, {2}, Floats(kDim, 1), *add);
  EXPECT_EQ(slice.slab_bytes(), 3 * kDim * sizeof(float));
  EXPECT_EQ(Read(slice, {2}), Floats(kDim, 2));
  EXPECT_EQ(Read(slice, {3}), Floats(kDim, 1));
}

// Members weigh a quarter, a quarter and a half; row 1 has all of them, row 2 two, row 3 one.
TEST(SparseSliceTest, AveragesARowOverThoseWhoPushedIt) {
  const auto average = Made(UpdateRule::kAverage);
  SparseSlice slice = Slice(1, *average, Initial::Constant(9));
  const std::vector<ChangePart> parts = {Part(List({1, 2}), {4, 4}, 0.25F),
                                         Part(List({2, 1}), {8, 8}, 0.25F),
                                         Part(List({3, 1}), {6, 2}, 0.5F)};
  slice.Apply(parts, 1, *average);
  EXPECT_EQ(Read(slice, {1, 2, 3, 4}), (Floats{4, 6, 6, 9}));
}

TEST(SparseSliceTest, NamesTheKeysThatHaveNoRow) {
  const auto add = Made(UpdateRule::kAdd);
  SparseSlice slice = Slice(1, *add);
  Push(slice, {5}, {1}, *add);
  const auto keys = List({4, 5, 6});
  Keys missing;
  slice.ForEachMissing(*keys, [&](uint64_t key) { missing.push_back(key); });
  EXPECT_EQ(missing, (Keys{4, 6}));
  EXPECT_EQ(slice.rows(), 1U);
}

// The rows that one part has alone go another way than those that several have; and those of some
// sizes than the others.
TEST(SparseSliceTest, StepsEachRowAlikeWhoeverElseIsPushedAndHoweverWideItIs) {
  Rng rng(9);
  const auto any = [&rng] { return static_cast<float>(2 * rng.Uniform() - 1); };
  for (const UpdateRule rule : {UpdateRule::kAdagrad, UpdateRule::kAdam, UpdateRule::kMax}) {
    const auto optimizer = Made(rule);
    for (const uint32_t dim : {1U, 2U, 8U, 16U, 32U, 50U}) {
      const Initial initial = Initial::Uniform(1, 13);
      SparseSlice together = Slice(dim, *optimizer, initial);
      SparseSlice apart = Slice(dim, *optimizer, initial);
      for (int step = 0; step < 3; ++step) {
        std::vector<ChangePart> parts;
        for (uint64_t part = 0; part < 3; ++part) {
          Keys keys(200);
          for (size_t i = 0; i < keys.size(); ++i) keys[i] = (part + 1) * i;
          Floats rows(keys.size() * dim);
          std::ranges::generate(rows, any);
          parts.push_back(Part(List(keys), rows, 0.5F));
        }
        together.Apply(parts, 0.1F, *optimizer);
        for (uint64_t key = 0; key < 600; ++key) {
          std::vector<ChangePart> of_key;
          for (const ChangePart& part : parts) {
            const auto keys = part.keys->keys.keys();
            const auto at = static_cast<size_t>(std::ranges::find(keys, key) - keys.begin());
            if (at == keys.size()) continue;
            const auto values = part.gradient.floats().subspan(at * dim, dim);
            of_key.push_back(Part(List({key}), {values.begin(), values.end()}, 0.5F));
          }
          if (!of_key.empty()) apart.Apply(of_key, 0.1F, *optimizer);
        }
      }
      Keys all(600);
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(Read(together, all), Read(apart, all)) << "dim " << dim;
      EXPECT_EQ(together.rows(), apart.rows());
    }
  }
}

// Nothing that an entry has marked is left for the next.
TEST(SparseSliceTest, StepsARowOnceInAnEntryAfterSeveralPushesInTheOneBefore) {
  const auto momentum = Made(UpdateRule::kMomentum);
  SparseSlice slice = Slice(1, *momentum);
  const std::vector<ChangePart> twice = {Part(List({1, 2, 1}), {1, 1, 1}), Part(List({1}), {1})};
  slice.Apply(twice, 1, *momentum);
  EXPECT_EQ(Read(slice, {1, 2}), (Floats{-3, -1}));
  Push(slice, {1, 2}, {1, 1}, *momentum);
  EXPECT_EQ(Read(slice, {1, 2}), (Floats{-5.5F, -2.5F}));
  slice.Apply(twice, 1, *momentum);
  EXPECT_EQ(Read(slice, {1, 2}), (Floats{-9.75F, -4.25F}));
}

TEST(SparseSliceTest, VisitsEachRowThatWasMadeOnce) {
  const auto add = Made(UpdateRule::kAdd);
  SparseSlice slice = Slice(2, *add);
  std::map<uint64_t, Floats> expected;
  for (uint64_t key = 0; key < 3000; ++key) {
    expected[key * key] = {static_cast<float>(key), 1};
    Push(slice, {key * key}, expected[key * key], *add);
  }
  Read(slice, {2, 3, 5});
  std::map<uint64_t, Floats> visited;
  slice.ForEach([&](uint64_t key, std::span<const float> row) {
    EXPECT_TRUE(visited.try_emplace(key, row.begin(), row.end()).second) << key;
  });
  EXPECT_EQ(visited, expected);
}

TEST(SparseSliceTest, GoesOnFromAnImageBitForBit) {
  const auto adam = Made(UpdateRule::kAdam);
  FramePool frames(FramePool::Memory::kPrivate);
  SparseSlice first = Slice(2, *adam, Initial::Normal(1, 5));
  const Keys keys = {9, 4, 7};
  const std::vector<ChangePart> push = {Part(List({9, 4}), {1, 2, 3, 4})};
  first.Apply(push, 1, *adam);
  const std::vector<ChangePart> ones = {Part(List(keys), {1, 1, 1, 1, 1, 1})};
  first.Apply(ones, 1, *adam);
  EXPECT_EQ(first.Head(), (SparseHead{0, kBuckets, 2, 5, 3}));
  SparseSlice second = Slice(2, *adam);
  first.BeginImage();
  const std::optional<RowBatch> rows = first.NextRows(kBatchRows, frames);
  ASSERT_TRUE(rows && first.ImageDone());
  ASSERT_TRUE(second.Restore(*rows).ok());
  EXPECT_FALSE(second.Restore(*rows).ok());
  EXPECT_EQ(Read(second, keys), Read(first, keys));
  for (SparseSlice* slice : {&first, &second}) {
    const std::vector<ChangePart> more = {Part(List(keys), {1, 2, 3, 4, 5, 6})};
    slice->Apply(more, 1, *adam);
  }
  EXPECT_EQ(Read(second, keys), Read(first, keys));
}

TEST(SparseSliceTest, HandsOutRowsAsTheyWereWhileStepsGoOn) {
  const auto add = Made(UpdateRule::kAdd);
  FramePool frames(FramePool::Memory::kPrivate);
  SparseSlice slice = Slice(1, *add);
  constexpr uint64_t kKeys = kBatchRows + 1000;
  Keys keys(kKeys);
  for (uint64_t i = 0; i < kKeys; ++i) keys[i] = i;
  Push(slice, keys, Floats(kKeys, 1), *add);
  slice.BeginImage();
  EXPECT_EQ(slice.Head().rows, kKeys);
  uint64_t rows = 0;
  for (uint64_t turn = 0; !slice.ImageDone(); ++turn) {
    // Rows that were handed out, that were not, that are next, and one that is new.
    Push(slice, {turn * 7 % kKeys, kKeys - 1, turn * 5000, kKeys + turn}, Floats(4, 1), *add);
    const std::optional<RowBatch> batch = slice.NextRows(5000, frames);
    if (!batch) continue;
    for (const uint64_t key : batch->keys.keys()) EXPECT_EQ(key, rows++);
    for (const float value : batch->values.floats()) ASSERT_EQ(value, 1);
  }
  EXPECT_EQ(rows, kKeys);
}

TEST(SparseSliceTest, RefusesRowsOfAnotherShardOrSize) {
  const auto sgd = Made(UpdateRule::kSgd);
  SparseSlice none(0, 0, 2, Initial{}, *sgd);
  SparseSlice all = Slice(2, *sgd);
  const RowBatch row{Frame::CopyOf(Keys{3}), Frame::CopyOf(Floats{1, 2}), {}};
  const RowBatch narrow{Frame::CopyOf(Keys{3}), Frame::CopyOf(Floats{1}), {}};
  EXPECT_FALSE(none.Restore(row).ok());
  EXPECT_FALSE(all.Restore(narrow).ok());
  EXPECT_TRUE(all.Restore(row).ok());
  EXPECT_EQ(Read(all, Keys{3}), (Floats{1, 2}));
}

}  // namespace
}  // namespace shardmill
