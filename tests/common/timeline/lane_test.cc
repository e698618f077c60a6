#include "common/timeline/lane.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/timeline/requests.h"

namespace shardmill {
namespace {

// Moves on by a microsecond whenever it is read.
class TickingClock final : public Clock {
 public:
  TimePoint Now() const override { return now_ += std::chrono::microseconds(1); }

 private:
  mutable TimePoint now_;
};

std::vector<uint64_t> IdsOf(const TimelineLane& lane) {
  std::vector<uint64_t> ids;
  lane.ForEach([&ids](const TimelineEvent& event) { ids.push_back(event.id); });
  return ids;
}

TEST(TimelineLaneTest, KeepsTheLatestAndCountsWhatItLetsGo) {
  const TickingClock clock;
  TimelineLane lane(1, "lane", clock, 3);
  for (uint64_t id = 1; id <= 3; ++id) lane.Mark(TimelineKind::kAsks, "push", id);
  EXPECT_EQ(IdsOf(lane), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(lane.lost(), 0U);
  for (uint64_t id = 4; id <= 8; ++id) lane.Mark(TimelineKind::kAsks, "push", id);
  EXPECT_EQ(IdsOf(lane), (std::vector<uint64_t>{6, 7, 8}));
  EXPECT_EQ(lane.lost(), 5U);
}

TEST(TimelineLaneTest, SpanLastsAsLongAsItsScopeAndSaysItsFacts) {
  const TickingClock clock;
  TimelineLane lane(1, "lane", clock);
  {
    TimelineSpan span(&lane, "outer");
    span.Say("step", 7);
    span.Say("table", std::string("layer ") + "1");
    const TimelineSpan inner(&lane, "inner");
  }
  std::vector<TimelineEvent> events;
  lane.ForEach([&events](const TimelineEvent& event) { events.push_back(event); });
  ASSERT_EQ(events.size(), 2U);
  const TimelineEvent& inner = events[0];
  const TimelineEvent& outer = events[1];
  EXPECT_STREQ(inner.name, "inner");
  EXPECT_STREQ(outer.name, "outer");
  EXPECT_LT(outer.begin, inner.begin);
  EXPECT_LT(inner.begin, inner.end);
  EXPECT_LT(inner.end, outer.end);
  EXPECT_STREQ(outer.facts[0].key, "step");
  EXPECT_EQ(outer.facts[0].number, 7U);
  EXPECT_STREQ(outer.facts[1].text, "layer 1");
  EXPECT_EQ(outer.facts[2].key, nullptr);
}

TEST(TimelineLaneTest, KeepsEqualTextsOnce) {
  const TickingClock clock;
  TimelineLane lane(1, "lane", clock);
  std::string text = "weights";
  const char* kept = lane.Keep(text);
  text = "gone";
  EXPECT_STREQ(kept, "weights");
  EXPECT_EQ(lane.Keep("weights"), kept);
}

TEST(TimelineRequestsTest, AnswerHasTheIdOfItsRequestAlone) {
  const BootId worker{11};
  const ShardId shard{2};
  Unit unit;
  unit.step = 5;
  unit.index = 1;
  const Held held{{}, 5, 0, 1, false};
  const TimelineRequest push = RequestOf(unit, worker, shard);
  EXPECT_STREQ(push.name, "push");
  EXPECT_EQ(AnswerOf(held, worker, shard).id, push.id);
  EXPECT_NE(AnswerOf(held, worker, ShardId{3}).id, push.id);
  EXPECT_NE(AnswerOf(held, BootId{12}, shard).id, push.id);
  unit.index = 2;
  EXPECT_NE(RequestOf(unit, worker, shard).id, push.id);

  Pull pull;
  pull.pull = 5;
  Pulled pulled;
  pulled.pull = 5;
  EXPECT_EQ(AnswerOf(pulled, worker, shard).id, RequestOf(pull, worker, shard).id);
  End end;
  end.step = 5;
  const Ended ended{{}, 5, false, 6, {}};
  EXPECT_EQ(AnswerOf(ended, worker, shard).id, RequestOf(end, worker, shard).id);
  EXPECT_NE(RequestOf(end, worker, shard).id, RequestOf(pull, worker, shard).id);
  EXPECT_EQ(RequestOf(Hello{}, worker, shard).name, nullptr);
  EXPECT_EQ(AnswerOf(unit, worker, shard).name, nullptr);
}

}  // namespace
}  // namespace shardmill
