#include "common/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace shardmill {
namespace {

Result<int> Halve(int number) {
  if (number % 2 != 0) return Error{ErrorCode::kBadUsage, std::to_string(number) + " is odd"};
  return number / 2;
}

Result<> CheckEven(int number) {
  SM_TRY(Halve(number));
  return {};
}

Result<int> Quarter(int number) {
  const int half = SM_TRY(Halve(number));
  return SM_TRY(Halve(half));
}

TEST(ResultTest, HoldsAValue) {
  Result<std::string> result = std::string("shard");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.value(), "shard");
  EXPECT_EQ(result->size(), 5U);
  *result += "mill";
  EXPECT_EQ(std::move(result).value(), "shardmill");
}

TEST(ResultTest, HoldsAnErrorWithItsKindAndWords) {
  const Result<int> result = Halve(3);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kBadUsage);
  EXPECT_EQ(result.error().message, "3 is odd");
}

TEST(ResultTest, GivesUpAValueThatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> owned = std::move(result).value();
  EXPECT_EQ(*owned, 7);
}

TEST(ResultTest, WithoutValueIsOkUntilGivenAnError) {
  EXPECT_TRUE(Result<>().ok());
  const Result<> failed = Error{ErrorCode::kFenced, "another process holds rank 1"};
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kFenced);
}

TEST(ResultTest, TryGoesOnWithTheValue) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_TRUE(CheckEven(4).ok());
}

TEST(ResultTest, TryReturnsTheFirstErrorUnchanged) {
  EXPECT_EQ(Quarter(6).error().message, "3 is odd");
  EXPECT_EQ(Quarter(7).error().message, "7 is odd");
  EXPECT_EQ(CheckEven(5).error().code, ErrorCode::kBadUsage);
}

TEST(ResultDeathTest, AbortsWhenAValueIsTakenFromAnError) {
  EXPECT_DEATH((void)Halve(1).value(), "ok");
  EXPECT_DEATH(CheckEven(1).value(), "ok");
}

}  // namespace
}  // namespace shardmill
