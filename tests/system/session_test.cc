// The client API against real processes: what it answers to a caller who is wrong.
#include "client/session.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "tests/sanitized.h"
#include "tests/system/servers.h"

namespace shardmill {
namespace {

constexpr std::chrono::seconds kPatience{60};

class SessionTest : public testing::Test {
 protected:
  SessionTest() : servers_({"policy.mode=async"}, 1) {
    auto opened = Session::Open(servers_.OptionsOf(0));
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    session_ = std::move(opened).value();
    table_ = session_->Dense("t", kFloats).value();
  }

  template <class Value>
  static testing::AssertionResult Refused(const Result<Value>& result, const char* words) {
    if (result.ok()) return testing::AssertionFailure() << "it was taken";
    if (result.error().message.find(words) != std::string::npos) {
      return testing::AssertionSuccess();
    }
    return testing::AssertionFailure() << result.error().message;
  }

  std::vector<float> Values() {
    std::vector<float> values(kFloats);
    auto step = session_->Begin(kPatience);
    const auto pull = step.value().Pull(table_, 0, values);
    EXPECT_TRUE(pull.ok() && step.value().Wait(pull.value()).ok());
    return values;
  }

  static constexpr uint64_t kFloats = 8;
  const std::vector<float> kOnes = std::vector<float>(kFloats, -1);
  Servers servers_;
  std::unique_ptr<Session> session_;
  DenseTable table_;
};

TEST_F(SessionTest, RefusesWhatIsNotInATableAndLeavesItAsItIs) {
  auto step = session_->Begin(kPatience);
  ASSERT_TRUE(step.ok());
  std::vector<float> more(kFloats + 1);
  EXPECT_TRUE(Refused(step.value().Pull(table_, 0, more), "are not in table \"t\""));
  EXPECT_TRUE(Refused(step.value().Push(table_, 4, kOnes), "are not in table \"t\""));
  EXPECT_TRUE(Refused(step.value().Push(DenseTable{99, 8}, 0, kOnes), "did not give"));
  EXPECT_TRUE(Refused(step.value().Push(KeySet{99, 1, 1}, kOnes), "not bound"));
  EXPECT_TRUE(
      Refused(session_->Bind(SparseTable{table_.id, 1}, std::vector<uint64_t>{1}), "did not give"));
  ASSERT_TRUE(step.value().Finish(1).ok());
  EXPECT_EQ(Values(), std::vector<float>(kFloats));
}

TEST_F(SessionTest, RefusesATableThatIsThereWithAnotherShape) {
  EXPECT_TRUE(Refused(session_->Dense("t", kFloats + 1), "not what this worker wants"));
  EXPECT_TRUE(
      Refused(session_->Dense("t", kFloats, {.initial = Initial::Constant(1), .update = {}}),
              "not what this worker wants"));
  EXPECT_TRUE(Refused(session_->Sparse("t", 2), "not what this worker wants"));
  EXPECT_TRUE(session_->Dense("t", kFloats).ok());
}

TEST_F(SessionTest, MakesManyTablesInAboutTheTimeOfOne) {
  std::vector<TableWish> wishes;
  for (int i = 0; i < 1000; ++i) wishes.push_back({.name = "t" + std::to_string(i), .size = 3});
  wishes.push_back({.name = "rows", .dim = 4});
  const auto made = session_->Make(wishes);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_TRUE(session_->Dense("t999", 3).ok());
  EXPECT_TRUE(session_->Sparse("rows", 4).ok());
  // Each cut of the job is a view of its own.
  EXPECT_LT(servers_.Status().view, 10U);
  EXPECT_TRUE(session_->Make({{wishes.front()}}).ok());
  wishes.front().size = 0;
  wishes.front().name = "none";
  EXPECT_TRUE(Refused(session_->Make(wishes), "a table has 1 to 2^46 floats"));
}

TEST_F(SessionTest, TakesNothingMoreForAStepThatIsOver) {
  auto step = session_->Begin(kPatience);
  ASSERT_TRUE(step.value().Push(table_, 0, kOnes).ok());
  EXPECT_TRUE(Refused(session_->Begin(kPatience), "a step is under way"));
  ASSERT_TRUE(step.value().Finish(1).ok());
  EXPECT_TRUE(Refused(step.value().Push(table_, 0, kOnes), "this step is over"));
  EXPECT_TRUE(Refused(step.value().Finish(1), "this step is over"));
  auto next = session_->Begin(kPatience);
  ASSERT_TRUE(next.ok());
  // The old one goes when the next is under way, which must not notice.
  { const TrainingStep gone = std::move(step).value(); }
  ASSERT_TRUE(next.value().Push(table_, 0, kOnes).ok());
  ASSERT_TRUE(next.value().Finish(1).ok());
  EXPECT_EQ(Values(), std::vector<float>(kFloats, 2));
}

TEST_F(SessionTest, RefusesToFinishWithAWeightThatIsNoAmountAndKeepsTheStepOpen) {
  auto step = session_->Begin(kPatience);
  ASSERT_TRUE(step.value().Push(table_, 0, kOnes).ok());
  for (const double samples : {-1.0, double{NAN}, double{INFINITY}, -double{INFINITY}}) {
    const auto finished = step.value().Finish(samples);
    ASSERT_TRUE(Refused(finished, "Finish takes a number that is not negative")) << samples;
    EXPECT_EQ(finished.error().code, ErrorCode::kBadUsage);
  }
  ASSERT_TRUE(step.value().Finish(1).ok());
  EXPECT_EQ(Values(), std::vector<float>(kFloats, 1));
}

TEST_F(SessionTest, BeginsNothingWithoutADeadlineOrOnceItIsClosed) {
  using std::chrono::milliseconds;
  EXPECT_TRUE(Refused(session_->Begin(milliseconds(0)), "the deadline of a step"));
  EXPECT_TRUE(Refused(session_->Begin(milliseconds::max()), "the deadline of a step"));
  ASSERT_TRUE(session_->Close(true).ok());
  EXPECT_TRUE(Refused(session_->Begin(kPatience), "this session is closed"));
  EXPECT_TRUE(Refused(session_->Dense("more", 3), "this session is closed"));
}

// It has not waited for anybody yet.
TEST_F(SessionTest, BlamesNobodyForTheTimeInWhichItComputed) {
  auto step = session_->Begin(std::chrono::milliseconds(500));
  ASSERT_TRUE(step.ok());
  poll(nullptr, 0, 700);
  std::vector<float> values(kFloats);
  const auto pull = step.value().Pull(table_, 0, values);
  ASSERT_TRUE(pull.ok());
  const auto waited = step.value().Wait(pull.value());
  EXPECT_TRUE(waited.ok()) << waited.error().message;
}

TEST_F(SessionTest, AppliesNothingOfAStepThatWasLeftUnfinished) {
  {
    auto step = session_->Begin(kPatience);
    const auto push = step.value().Push(table_, 0, kOnes);
    ASSERT_TRUE(push.ok() && step.value().Wait(push.value()).ok());
  }
  auto again = session_->Begin(kPatience);
  EXPECT_EQ(again.value().number(), 1U);
  ASSERT_TRUE(again.value().Finish(1).ok());
  EXPECT_EQ(Values(), std::vector<float>(kFloats));
}

// Memory that was lent to a pull is the caller's again when the step is gone, answered or not.
TEST_F(SessionTest, WritesNowhereAfterAStepIsGone) {
  for (int i = 0; i < 50; ++i) {
    auto step = session_->Begin(kPatience);
    auto values = std::make_unique<std::vector<float>>(kFloats);
    ASSERT_TRUE(step.value().Pull(table_, 0, *values).ok());
  }
  EXPECT_TRUE(session_->Dense("another", 3).ok());  // Moves the IO.
  EXPECT_EQ(Values(), std::vector<float>(kFloats));
}

TEST_F(SessionTest, EndsWithTheTableAndTheStepOfWhatIsNoNumber) {
  auto step = session_->Begin(kPatience);
  std::vector<float> gradient = kOnes;
  gradient[3] = NAN;
  ASSERT_TRUE(step.value().Push(table_, 0, gradient).ok());
  EXPECT_TRUE(Refused(step.value().Finish(1), "\" in step 1 has a NaN or an infinity in it"));
}

TEST_F(SessionTest, SumsRowsOfEqualKeysAndMakesRowsOnlyByPushes) {
  const auto rows =
      session_->Sparse("rows", 2, {.initial = Initial::Constant(5), .update = {}}).value();
  const std::vector<uint64_t> names{7, 9, 7};
  const KeySet keys = session_->Bind(rows, names).value();
  std::vector<float> values(6);
  {
    auto step = session_->Begin(kPatience);
    const auto pull = step.value().Pull(keys, values);
    ASSERT_TRUE(pull.ok() && step.value().Wait(pull.value()).ok());
    EXPECT_EQ(values, std::vector<float>(6, 5));
    ASSERT_TRUE(step.value().Push(keys, std::vector<float>{-1, -2, -3, -4, -5, -6}).ok());
    ASSERT_TRUE(step.value().Finish(1).ok());
  }
  auto step = session_->Begin(kPatience);
  const auto pull = step.value().Pull(keys, values);
  ASSERT_TRUE(pull.ok() && step.value().Wait(pull.value()).ok());
  EXPECT_EQ(values, (std::vector<float>{11, 13, 8, 9, 11, 13}));
  session_->Unbind(keys);
  EXPECT_TRUE(Refused(step.value().Pull(keys, values), "not bound"));
}

// All copies work on it at once, and say nothing meanwhile.
TEST(LargeTableTest, CostsNoServerItsShardsThoughItTakesLongerThanALease) {
  const std::string lease = kSanitized ? "cluster.lease=2s" : "cluster.lease=300ms";
  const Servers servers({"replication.replicas=1", lease}, 1, 2);
  auto opened = Session::Open(servers.OptionsOf(0));
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const std::unique_ptr<Session> session = std::move(opened).value();
  constexpr uint64_t kMany = uint64_t{1} << 26;
  const auto begin = std::chrono::steady_clock::now();
  const auto table = session->Dense("large", kMany, {Initial::Normal(1, 1), {}});
  ASSERT_TRUE(table.ok()) << table.error().message;
  float last = 0;
  auto step = session->Begin(kPatience);
  ASSERT_TRUE(step.ok()) << step.error().message;
  const auto pull = step.value().Pull(table.value(), kMany - 1, {&last, 1});
  ASSERT_TRUE(pull.ok() && step.value().Wait(pull.value()).ok());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_GT(took.count(), 0.6) << "a machine for which the table is too small";
  EXPECT_EQ(servers.Status().promotions, 0U);
}

}  // namespace
}  // namespace shardmill
