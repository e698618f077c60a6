#include "common/mailbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace shardmill {
namespace {

TEST(MailboxTest, GivesInOrderAndHasSoMuchRoomAndNoMore) {
  Mailbox<int> box(2);
  EXPECT_EQ(box.TryTake(), std::nullopt);
  EXPECT_TRUE(box.Put(1));
  EXPECT_TRUE(box.Put(2));
  int third = 3;
  EXPECT_FALSE(box.TryPut(third));
  EXPECT_EQ(box.Take(), 1);
  EXPECT_EQ(box.TryTake(), 2);
}

TEST(MailboxTest, LeavesAValueThatHasNoRoomWhereItIs) {
  Mailbox<std::unique_ptr<int>> box(1);
  auto first = std::make_unique<int>(1);
  auto second = std::make_unique<int>(2);
  EXPECT_TRUE(box.TryPut(first));
  EXPECT_FALSE(box.TryPut(second));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(**box.TakeWithin(std::chrono::minutes(1)), 1);
  EXPECT_EQ(box.TakeWithin(std::chrono::milliseconds(1)), std::nullopt);
  EXPECT_TRUE(box.TryPut(second));
  box.Close();
  EXPECT_FALSE(box.TryPut(second));
}

TEST(MailboxTest, WaitsForRoomAndForValues) {
  constexpr int kValues = 10'000;
  Mailbox<std::unique_ptr<int>> box(3);
  std::thread writer([&] {
    for (int i = 0; i < kValues; ++i) EXPECT_TRUE(box.Put(std::make_unique<int>(i)));
  });
  for (int i = 0; i < kValues; ++i) {
    const auto value = box.Take();
    ASSERT_TRUE(value);
    ASSERT_EQ(**value, i);
  }
  writer.join();
}

TEST(MailboxTest, LetsEverybodyGoWhoWaitsWhenItIsClosed) {
  Mailbox<int> empty(1);
  Mailbox<int> full(1);
  EXPECT_TRUE(full.Put(1));
  std::thread reader([&] { EXPECT_EQ(empty.Take(), std::nullopt); });
  std::thread writer([&] { EXPECT_FALSE(full.Put(2)); });
  empty.Close();
  full.Close();
  reader.join();
  writer.join();
  EXPECT_EQ(full.TryTake(), std::nullopt);
  EXPECT_FALSE(full.Put(3));
  EXPECT_FALSE(full.Put(1));
}

}  // namespace
}  // namespace shardmill
