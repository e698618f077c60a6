// What a shard lets into its sparse tables.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/shard.h"

namespace shardmill {
namespace {

using Keys = std::vector<uint64_t>;

constexpr PeerId kCoordinator{1};
constexpr BootId kCoordinatorBoot{30};
constexpr BootId kShardBoot{10};
constexpr TableId kTable{1};
constexpr TableId kOtherTable{2};
constexpr uint32_t kDim = 3;
constexpr uint64_t kRowsMax = 4;

uint64_t RowBytes() {
  UpdateSettings update;
  update.rule = UpdateRule::kAdd;
  const auto add = std::move(MakeOptimizer(update).value());
  return SparseSlice(0, kBuckets, kDim, {}, *add).row_bytes();
}

// One shard with two workers, room for four rows, and two tables that are merged. A worker's peer,
// boot id and rank are one number plus 100.
class ShardRowsTest : public testing::Test {
 protected:
  ShardRowsTest() {
    ShardOptions options;
    options.boot = kShardBoot;
    options.coordinator = kCoordinator;
    options.rows_bytes_max = kRowsMax * RowBytes();
    options.answer_bytes_max = 2 * kDim * sizeof(float);
    Begin(options);
  }

  void Begin(const ShardOptions& options) {
    shard_ = std::move(Shard::Make(options, frames_)).value();
    Send(kCoordinator, kCoordinatorBoot, Welcome{});
    // No rate is read where values are merged, so nobody checks that this one can be.
    UpdateSettings add{.rule = UpdateRule::kAdd, .rate = {.shape = RateShape::kStep, .length = 0}};
    const TableSpec spec{"t", 0, {}, kDim, add};
    View view;
    view.number = ViewNumber{1};
    view.policy = {ApplyRule::kPerStep, true, 0};
    view.members = {{WorkerId{0}, Incarnation{1}, 0}, {WorkerId{1}, Incarnation{1}, 0}};
    view.shards = {{ShardId{0}, Term{1}, kShardBoot, ""}};
    view.tables = {{kTable, spec, {0, kBuckets}}, {kOtherTable, spec, {0, kBuckets}}};
    Send(kCoordinator, kCoordinatorBoot, Freeze{view.number});
    Send(kCoordinator, kCoordinatorBoot, Install{view, {}});
  }

  Outbox Send(PeerId peer, BootId boot, Message message) {
    Outbox outbox;
    const Stamp stamp{JobId{7}, {}, Term{1}, boot, kShardBoot};
    shard_->Handle({}, {peer, stamp, std::move(message)}, outbox);
    return outbox;
  }
  Outbox Say(uint32_t rank, Message message) {
    return Send(PeerId{100 + rank}, BootId{100 + rank}, std::move(message));
  }
  static Sender Who(uint32_t rank) { return {WorkerId{rank}, Incarnation{1}}; }

  // A push of one to every float of the rows.
  Outbox Push(uint32_t rank, Step step, uint32_t index, const Keys& keys, uint32_t attempt = 0,
              TableId table = kTable) {
    const Frame rows = Frame::CopyOf(std::vector<float>(keys.size() * kDim, 1));
    return Say(
        rank,
        Unit{Who(rank), step, attempt, index, table, 0, rows, {next_list_++, Frame::CopyOf(keys)}});
  }
  bool Takes(const Outbox& outbox) const {
    return outbox.size() == 1 && std::holds_alternative<Held>(outbox[0].message);
  }
  // The words of a push that is more than the shard holds.
  std::string TooLarge(const Outbox& outbox) const {
    const auto* refused = outbox.empty() ? nullptr : std::get_if<Refused>(&outbox[0].message);
    return refused == nullptr || refused->code != Refusal::kTooLarge ? "" : refused->words;
  }
  void Finish(uint32_t rank, Step step, uint32_t units, uint32_t attempt = 0) {
    Say(rank, End{Who(rank), step, attempt, units, 1});
  }
  size_t Rows() const { return shard_->Rows(kTable).size(); }

  FramePool frames_{FramePool::Memory::kPrivate};
  std::unique_ptr<Shard> shard_;
  uint64_t next_list_ = 1;
};

TEST_F(ShardRowsTest, RefusesAPushWhoseRowsAreMoreThanItsShareAndStaysAsItIs) {
  const std::string words = TooLarge(Push(0, 1, 0, {1, 2, 3, 4, 5}));
  EXPECT_NE(words.find("cluster.table_bytes"), std::string::npos) << words;
  EXPECT_EQ(shard_->Status().held_bytes, 0U);
  EXPECT_TRUE(Takes(Push(0, 1, 0, {1, 2, 3, 4})));
  Finish(0, 1, 1);
  Finish(1, 1, 0);
  EXPECT_EQ(Rows(), 4U);
}

TEST_F(ShardRowsTest, CountsTheRowsOfHeldUnitsOnceEach) {
  EXPECT_TRUE(Takes(Push(0, 1, 0, {1, 2, 3})));
  EXPECT_TRUE(Takes(Push(1, 1, 0, {3, 2, 1})));
  EXPECT_NE(TooLarge(Push(1, 1, 1, {4, 5})), "");
  EXPECT_TRUE(Takes(Push(1, 1, 1, {3, 4})));
  Finish(0, 1, 1);
  Finish(1, 1, 2);
  EXPECT_EQ(Rows(), 4U);
}

TEST_F(ShardRowsTest, PushesToTheRowsThatAreThereWhenThereIsNoRoomForMore) {
  Push(0, 1, 0, {1, 2, 3, 4});
  Finish(0, 1, 1);
  Finish(1, 1, 0);
  EXPECT_NE(TooLarge(Push(0, 2, 0, {4, 5})), "");
  EXPECT_TRUE(Takes(Push(0, 2, 0, {4, 3, 2, 1})));
  EXPECT_TRUE(Takes(Push(1, 2, 0, {1, 2, 3, 4})));
  Finish(0, 2, 1);
  Finish(1, 2, 1);
  EXPECT_EQ(shard_->Rows(kTable).at(4), std::vector<float>(kDim, 3));
}

TEST_F(ShardRowsTest, TakesAgainWhatItHolds) {
  EXPECT_TRUE(Takes(Push(0, 1, 0, {1, 2, 3, 4})));
  EXPECT_TRUE(Takes(Push(0, 1, 0, {1, 2, 3, 4})));
  EXPECT_NE(TooLarge(Push(1, 1, 0, {5})), "");
  EXPECT_TRUE(Takes(Push(0, 1, 0, {1, 2, 3, 4})));
}

TEST_F(ShardRowsTest, LeavesOutTheRowsOfAnAttemptThatWasGivenUp) {
  EXPECT_TRUE(Takes(Push(0, 1, 0, {1, 2, 3, 4})));
  EXPECT_TRUE(Takes(Push(0, 1, 0, {5, 6, 7, 8}, 1)));
  EXPECT_TRUE(Takes(Push(0, 1, 1, {1, 2, 3, 4})));  // Late, and of no interest.
  Finish(0, 1, 1, 1);
  Finish(1, 1, 0);
  EXPECT_EQ(Rows(), 4U);
  EXPECT_TRUE(shard_->Rows(kTable).contains(5));
}

TEST_F(ShardRowsTest, HasOneShareForAllTables) {
  EXPECT_TRUE(Takes(Push(0, 1, 0, {1, 2, 3})));
  EXPECT_NE(TooLarge(Push(0, 1, 1, {1, 2}, 0, kOtherTable)), "");
  EXPECT_TRUE(Takes(Push(0, 1, 1, {1}, 0, kOtherTable)));
}

TEST_F(ShardRowsTest, BoundsTheRowsOfOneTableByWhatItsIndexHolds) {
  ShardOptions options;
  options.boot = kShardBoot;
  options.coordinator = kCoordinator;
  options.table_rows_max = 2;
  Begin(options);
  const std::string words = TooLarge(Push(0, 1, 0, {1, 2, 3}));
  EXPECT_NE(words.find("use more shards"), std::string::npos) << words;
  EXPECT_TRUE(Takes(Push(0, 1, 0, {1, 2})));
  EXPECT_TRUE(Takes(Push(0, 1, 1, {1, 2}, 0, kOtherTable)));
}

TEST_F(ShardRowsTest, MakesNoRowForAPullAndAnswersNoneThatIsTooLarge) {
  const auto pull = [&](const Keys& keys) {
    return Say(
        0,
        Pull{
            Who(0), 1, next_list_, kTable, 0, keys.size(), 0, {next_list_++, Frame::CopyOf(keys)}});
  };
  const Outbox answer = pull({1, 2});
  ASSERT_EQ(answer.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Pulled>(answer[0].message));
  EXPECT_EQ(Rows(), 0U);
  const std::string words = TooLarge(pull({1, 2, 3}));
  EXPECT_NE(words.find("network.message_bytes"), std::string::npos) << words;
}

}  // namespace
}  // namespace shardmill
