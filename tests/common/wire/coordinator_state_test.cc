#include "common/wire/coordinator_state.h"

#include <gtest/gtest.h>

#include <string>

#include "common/rng.h"

namespace shardmill {
namespace {

CoordinatorState Full() {
  CoordinatorState state;
  state.job = JobId{11};
  state.boot = BootId{12};
  state.epoch = Term{13};
  View& view = state.decided.view;
  view.generation = Generation{1};
  view.number = ViewNumber{7};
  view.members = {{WorkerId{0}, Incarnation{3}, -2}};
  view.shards = {{ShardId{0}, Term{1}, BootId{77}, "tcp://a:1"}};
  view.tables = {{TableId{1}, {.name = "w", .size = 10, .initial = {}}, {0, 10}}};
  state.decided.cut = {{WorkerId{0}, 5, 2.5, 4, 5, 1, 2}};
  state.decided.cut[0].whole = 4;
  state.copies = {{Term{2}, 1, BootId{78}, "tcp://b:1", 6, {}, Term{1}}};
  state.copies[0].replicas = {{0, BootId{77}, "tcp://a:1", 9, true}, {2, {}, "", 8, false}};
  state.streams = 9;
  state.going_back = "shard 0 was lost";
  state.ranks.resize(2);
  state.ranks[0] = {BootId{21}, Incarnation{3}, true, {BootId{19}, BootId{20}}, true, 5, {}};
  state.ranks[0].report.step = 5;
  state.ranks[0].report.metrics = {{"accuracy", 0.5}};
  state.final_cut = true;
  state.done = true;
  state.failed = true;
  state.words = "why";
  state.timed_out = true;
  state.audit = {1, 2, 3, 4};
  state.data = {
      50, 8, 1, 24, {{0, 3, 5}}, 60, {{WorkerId{0}, 9, {{8, {1, 8, 16}}, {9, {1, 16, 24}}}}}};
  return state;
}

TEST(CoordinatorStateTest, ComesBackAsItWas) {
  const CoordinatorState state = Full();
  const auto read = DecodeState(EncodeState(state));
  ASSERT_TRUE(read.ok()) << read.error().message;
  const CoordinatorState& back = read.value();
  EXPECT_EQ(back.job, state.job);
  EXPECT_EQ(back.boot, state.boot);
  EXPECT_EQ(back.epoch, state.epoch);
  EXPECT_EQ(back.decided.view, state.decided.view);
  ASSERT_EQ(back.decided.cut.size(), 1U);
  EXPECT_EQ(back.decided.cut[0].ended, 5U);
  EXPECT_EQ(back.decided.cut[0].attempt, 2U);
  EXPECT_EQ(back.decided.cut[0].whole, 4U);
  ASSERT_EQ(back.copies.size(), 1U);
  EXPECT_EQ(back.copies[0].term, Term{2});
  EXPECT_EQ(back.copies[0].copy, 1U);
  EXPECT_EQ(back.copies[0].boot, BootId{78});
  EXPECT_EQ(back.copies[0].endpoint, "tcp://b:1");
  EXPECT_EQ(back.copies[0].number, 6U);
  EXPECT_EQ(back.copies[0].log, Term{1});
  EXPECT_EQ(back.copies[0].replicas, state.copies[0].replicas);
  EXPECT_EQ(back.streams, 9U);
  EXPECT_EQ(back.going_back, state.going_back);
  ASSERT_EQ(back.ranks.size(), 2U);
  EXPECT_EQ(back.ranks[0].boot, BootId{21});
  EXPECT_EQ(back.ranks[0].incarnation, Incarnation{3});
  EXPECT_TRUE(back.ranks[0].granted && back.ranks[0].done);
  EXPECT_EQ(back.ranks[0].fenced, state.ranks[0].fenced);
  EXPECT_EQ(back.ranks[0].acked, 5U);
  ASSERT_EQ(back.ranks[0].report.metrics.size(), 1U);
  EXPECT_EQ(back.ranks[0].report.metrics[0].value, 0.5);
  EXPECT_FALSE(back.ranks[1].granted || back.ranks[1].done);
  EXPECT_TRUE(back.final_cut && back.done && back.failed && back.timed_out);
  EXPECT_EQ(back.words, "why");
  EXPECT_EQ(back.audit, state.audit);
  EXPECT_EQ(back.data, state.data);
}

TEST(CoordinatorStateTest, OfAJobThatHasNotBegunHasNoView) {
  CoordinatorState state;
  state.job = JobId{1};
  state.boot = BootId{2};
  state.ranks.resize(3);
  const auto read = DecodeState(EncodeState(state));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value().decided.view.number, ViewNumber{});
  EXPECT_EQ(read.value().ranks.size(), 3U);
}

// Words name files, and names of files are any bytes.
TEST(CoordinatorStateTest, WordsThatAreNoUtf8ComeBack) {
  CoordinatorState state = Full();
  state.words = "/data/\xff\xfe: there is no room";
  state.keys = {{"job.name", "\xff"}};
  const auto read = DecodeState(EncodeState(state));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value().words, state.words);
  EXPECT_EQ(read.value().keys, state.keys);
}

TEST(CoordinatorStateTest, RefusesAMemberWithoutARank) {
  CoordinatorState state = Full();
  state.ranks.clear();
  EXPECT_FALSE(DecodeState(EncodeState(state)).ok());
}

// What is read is a state or an error, whatever the bytes are.
TEST(CoordinatorStateTest, ReadsAnyBytesWithoutHarm) {
  const std::string whole = EncodeState(Full());
  Rng rng(5);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = whole.substr(0, rng.Below(whole.size() + 1));
    for (uint64_t flips = rng.Below(4); flips > 0 && !bytes.empty(); --flips) {
      bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Next());
    }
    refused += DecodeState(bytes).ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 1000);
  EXPECT_FALSE(DecodeState("").ok());
}

}  // namespace
}  // namespace shardmill
