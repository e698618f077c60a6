#include "server/shard.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/identity.h"
#include "tests/sanitized.h"

namespace shardmill {
namespace {

constexpr PeerId kCoordinator{1};
constexpr BootId kCoordinatorBoot{30};
constexpr BootId kShardBoot{10};
constexpr TableId kTable{1};
constexpr uint64_t kFloats = 8;

// One shard of two with two workers; a worker's peer, boot id and rank are one number plus 100.
class ShardTest : public testing::Test {
 protected:
  explicit ShardTest(Policy policy = {ApplyRule::kOnArrival, true, 1}, uint32_t shard = 0,
                     uint32_t workers = 2)
      : begin_(shard * kFloats) {
    ShardOptions options;
    options.id = ShardId{shard};
    options.boot = kShardBoot;
    options.coordinator = kCoordinator;
    options.update.rate.base = 1;
    options.held_bytes_max = workers * kFloats * sizeof(float);
    shard_ = std::move(Shard::Make(options, frames_)).value();
    Send(kCoordinator, kCoordinatorBoot, Welcome{});
    view_.number = ViewNumber{1};
    view_.policy = policy;
    view_.members = {{WorkerId{0}, Incarnation{1}, 0}, {WorkerId{1}, Incarnation{1}, 0}};
    view_.shards = {{ShardId{0}, Term{1}, BootId{11}, ""}, {ShardId{1}, Term{1}, BootId{12}, ""}};
    view_.shards[shard].boot = kShardBoot;
    view_.tables = {{kTable, {"t", 2 * kFloats, {}}, {0, kFloats, 2 * kFloats}}};
    Take(view_, {});
  }

  static Stamp StampOf(uint64_t job, uint64_t term, uint64_t to) {
    return {JobId{job}, {}, Term{term}, {}, BootId{to}};
  }
  Outbox Send(PeerId peer, BootId boot, Message message, Stamp stamp = StampOf(7, 1, 0)) {
    Outbox outbox;
    stamp.from = boot;
    if (stamp.to.value == 0) stamp.to = kShardBoot;
    shard_->Handle({}, {peer, stamp, std::move(message)}, outbox);
    return outbox;
  }
  Outbox Say(uint32_t rank, Message message) {
    return Send(PeerId{100 + rank}, BootId{100 + rank}, std::move(message));
  }
  void Take(const View& view, std::vector<RankState> cut) {
    Send(kCoordinator, kCoordinatorBoot, Freeze{view.number});
    Send(kCoordinator, kCoordinatorBoot, Install{view, std::move(cut)});
  }

  static Sender Who(uint32_t rank, uint64_t incarnation = 1) {
    return {WorkerId{rank}, Incarnation{incarnation}};
  }
  // A push of -1 to every float, which adds one to it.
  Outbox Push(uint32_t rank, Step step) {
    const Frame gradient = Frame::CopyOf(std::vector<float>(kFloats, -1));
    return Say(rank, Unit{Who(rank), step, 0, 0, kTable, begin_, gradient});
  }
  Outbox Finish(uint32_t rank, Step step) {
    Push(rank, step);
    return Say(rank, End{Who(rank), step, 0, 1, 1});
  }
  Outbox Read(uint32_t rank, Step step, uint64_t pull = 1) {
    return Say(rank, Pull{Who(rank), step, pull, kTable, begin_, kFloats, 0});
  }
  float Value() const { return shard_->Snapshot(kTable).at(0); }

  template <class Kind>
  static const Kind* Only(const Outbox& outbox) {
    return outbox.size() == 1 ? std::get_if<Kind>(&outbox[0].message) : nullptr;
  }
  static Refusal CodeOf(const Outbox& outbox) {
    const auto* refused = Only<Refused>(outbox);
    return refused == nullptr ? Refusal::kFailed : refused->code;
  }

  uint64_t begin_;  // Of this shard's slice.
  FramePool frames_{FramePool::Memory::kPrivate};
  std::unique_ptr<Shard> shard_;
  View view_;
};

TEST_F(ShardTest, HoldsAUnitAndAppliesItAtItsEndOnce) {
  EXPECT_NE(Only<Held>(Push(0, 1)), nullptr);
  EXPECT_EQ(Value(), 0);
  EXPECT_NE(Only<Ended>(Finish(0, 1)), nullptr);
  EXPECT_EQ(Value(), 1);
  EXPECT_NE(Only<Ended>(Finish(0, 1)), nullptr);
  EXPECT_EQ(Value(), 1);
}

TEST_F(ShardTest, SaysThatAStepIsOverOnlyWhenItsSumsAreDone) {
  Push(0, 1);
  Outbox outbox;
  const Stamp stamp{JobId{7}, {}, Term{1}, BootId{100}, kShardBoot};
  shard_->Take({}, {PeerId{100}, stamp, End{Who(0), 1, 0, 1, 1}}, outbox);
  EXPECT_TRUE(outbox.empty());
  // Who reads meanwhile reads the sums.
  shard_->Take({}, {PeerId{100}, stamp, Pull{Who(0), 2, 1, kTable, begin_, kFloats, 0}}, outbox);
  ASSERT_NE(Only<Pulled>(outbox), nullptr);
  EXPECT_EQ(Only<Pulled>(outbox)->values.front().floats()[0], 1);
  outbox.clear();
  EXPECT_FALSE(shard_->Settle(outbox));
  EXPECT_NE(Only<Ended>(outbox), nullptr);
  EXPECT_EQ(Value(), 1);  // Not twice.
}

TEST_F(ShardTest, RefusesATableThatMemoryDoesNotHoldAndLivesOn) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer wants all addresses for itself";
  View more = view_;
  more.number = ViewNumber{2};
  constexpr uint64_t kMany = uint64_t{1} << 36;
  more.tables.push_back({TableId{2}, {"large", 2 * kMany, {}}, {0, kMany, 2 * kMany}});
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlimit little{pages * 4096 + (rlim_t{64} << 20), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &little), 0);
  Send(kCoordinator, kCoordinatorBoot, Freeze{more.number});
  const Outbox outbox = Send(kCoordinator, kCoordinatorBoot, Install{more, {}});
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  ASSERT_NE(Only<Refused>(outbox), nullptr);
  EXPECT_EQ(Only<Refused>(outbox)->words,
            "table \"large\": its server has not enough memory: this part of it, with what the "
            "optimizer keeps, takes 274877906944 bytes");
  more.tables.pop_back();
  more.number = ViewNumber{3};
  Take(more, {});
  EXPECT_NE(Only<Ended>(Finish(0, 1)), nullptr);
  EXPECT_EQ(Value(), 1);
}

TEST_F(ShardTest, TakesNoEndBeforeItsUnits) {
  EXPECT_TRUE(Say(0, End{Who(0), 1, 0, 1, 1}).empty());
  EXPECT_EQ(Value(), 0);
  EXPECT_NE(Only<Ended>(Finish(0, 1)), nullptr);
}

TEST_F(ShardTest, ParksAPullUntilTheSlowestWorkerCatchesUp) {
  Finish(0, 1);
  EXPECT_EQ(Only<Pulled>(Read(0, 2))->staleness, 1U);
  Finish(0, 2);
  EXPECT_TRUE(Read(0, 3, 2).empty());
  EXPECT_EQ(Only<Waiting>(Read(0, 3, 2))->rank, WorkerId{1});
  const Outbox released = Finish(1, 1);
  ASSERT_EQ(released.size(), 2U);
  EXPECT_EQ(std::get<Pulled>(released[0].message).closed, 1U);
}

TEST_F(ShardTest, DropsAnAttemptThatWasBegunAnew) {
  Push(0, 1);
  const Frame other = Frame::CopyOf(std::vector<float>(kFloats, -5));
  Say(0, Unit{Who(0), 1, 1, 0, kTable, 0, other});
  EXPECT_TRUE(Say(0, End{Who(0), 1, 0, 1, 1}).empty());
  EXPECT_NE(Only<Ended>(Say(0, End{Who(0), 1, 1, 1, 1})), nullptr);
  EXPECT_EQ(Value(), 5);
}

TEST_F(ShardTest, RefusesWhatCannotBeAndStaysAsItIs) {
  const Frame one = Frame::CopyOf(std::vector<float>(1));
  const Frame large = Frame::CopyOf(std::vector<float>(kFloats));
  EXPECT_EQ(CodeOf(Say(0, Unit{Who(0), 1, 0, 0, TableId{9}, 0, one})), Refusal::kBadRequest);
  EXPECT_EQ(CodeOf(Say(0, Unit{Who(0), 1, 0, 0, kTable, kFloats, one})), Refusal::kBadRequest);
  EXPECT_EQ(CodeOf(Say(0, Unit{Who(0), 2, 0, 0, kTable, 0, one})), Refusal::kBadRequest);
  EXPECT_EQ(CodeOf(Say(0, Pull{Who(0), 1, 1, kTable, 4, kFloats, 0})), Refusal::kBadRequest);
  EXPECT_EQ(CodeOf(Say(0, End{Who(0), 7, 0, 0, 1})), Refusal::kBadRequest);
  Say(0, Unit{Who(0), 1, 0, 0, kTable, 0, large});
  EXPECT_EQ(CodeOf(Say(0, Unit{Who(0), 1, 0, 1, kTable, 0, large})), Refusal::kTooLarge);
  EXPECT_EQ(Value(), 0);
  EXPECT_EQ(shard_->counters().refused, 6U);
}

TEST_F(ShardTest, RefusesStrangersAndThePast) {
  const Message read = Pull{Who(0), 1, 1, kTable, 0, 1, 0};
  const BootId boot{100};
  EXPECT_EQ(CodeOf(Send(PeerId{100}, boot, read, StampOf(8, 1, 0))), Refusal::kWrongJob);
  EXPECT_EQ(CodeOf(Send(PeerId{100}, boot, read, StampOf(7, 1, 9))), Refusal::kWrongBoot);
  EXPECT_EQ(CodeOf(Send(PeerId{100}, boot, read, StampOf(7, 0, 0))), Refusal::kOldView);
  EXPECT_EQ(CodeOf(Say(0, Pull{Who(0, 2), 1, 1, kTable, 0, 1, 0})), Refusal::kNotReady);
  EXPECT_EQ(CodeOf(Say(5, Pull{Who(5), 1, 1, kTable, 0, 1, 0})), Refusal::kNotReady);
}

TEST_F(ShardTest, CompletesInACutWhatAnotherShardHasApplied) {
  Push(0, 1);
  view_.number = ViewNumber{2};
  Take(view_, {{WorkerId{0}, 1, 1, 1, 1}});
  EXPECT_EQ(Value(), 1);
  EXPECT_EQ(shard_->States().at(0).ended, 1U);
}

TEST_F(ShardTest, TakesNoOrdersButTheCoordinators) {
  view_.number = ViewNumber{2};
  EXPECT_EQ(CodeOf(Say(0, Freeze{view_.number})), Refusal::kBadRequest);
  EXPECT_EQ(CodeOf(Say(0, Install{view_, {}})), Refusal::kBadRequest);
  EXPECT_NE(Only<Ended>(Finish(0, 1)), nullptr);  // It is not frozen.
  view_.shards.clear();
  Send(kCoordinator, kCoordinatorBoot, Freeze{view_.number});
  const Outbox refused = Send(kCoordinator, kCoordinatorBoot, Install{view_, {}});
  EXPECT_EQ(CodeOf(refused), Refusal::kFailed);
}

TEST_F(ShardTest, TakesNoOrdersOfACoordinatorThatWasStartedBeforeTheLast) {
  const auto freeze = [&](uint64_t term) {
    return Send(kCoordinator, kCoordinatorBoot, Freeze{view_.number.Next()}, StampOf(7, term, 0))
        .size();
  };
  EXPECT_GT(freeze(2), 0U);
  EXPECT_EQ(freeze(1), 0U);
  EXPECT_GT(freeze(2), 0U);
}

TEST_F(ShardTest, RegistersAgainWhereTheCoordinatorDoesNotKnowIt) {
  Send(kCoordinator, kCoordinatorBoot, Refused{Refusal::kNotReady, 0, "who is this?"});
  Outbox outbox;
  shard_->Tick(TimePoint(std::chrono::hours(1)), outbox);
  EXPECT_NE(Only<Register>(outbox), nullptr);
  EXPECT_FALSE(shard_->failure().has_value());
}

TEST_F(ShardTest, AppliesNothingOfAnAttemptThatWasGivenUp) {
  Push(0, 1);
  EXPECT_NE(Only<Ended>(Say(0, End{Who(0), 1, 1, 0, 1})), nullptr);
  EXPECT_EQ(Value(), 0);
  Push(1, 1);
  view_.number = ViewNumber{2};
  Take(view_, {{WorkerId{0}, 1, 1, 1, 1}, {WorkerId{1}, 1, 1, 1, 1, 0, 1}});
  EXPECT_EQ(Value(), 0);
  EXPECT_EQ(shard_->States().at(1).ended, 1U);
}

TEST_F(ShardTest, AppliesNothingThatComesAfterItsAttemptWasGivenUp) {
  view_.number = ViewNumber{2};
  view_.policy = {ApplyRule::kPerStep, true, 0};
  Take(view_, {});
  Say(0, End{Who(0), 1, 1, 0, 1});  // The second attempt had nothing for this shard.
  Push(0, 1);                       // And this is of the first.
  Finish(1, 1);
  EXPECT_EQ(shard_->States().at(0).ended, 1U);
  EXPECT_EQ(Value(), 0.5F);  // The mean of nothing and one.
}

TEST_F(ShardTest, RefusesAPullFromTheFuture) {
  EXPECT_EQ(CodeOf(Read(0, 9)), Refusal::kBadRequest);
  EXPECT_TRUE(Read(0, 2).empty());  // One step ahead may have overtaken its End: it waits.
}

TEST_F(ShardTest, TakesNoEndWhileFrozen) {
  Push(0, 1);
  Send(kCoordinator, kCoordinatorBoot, Freeze{ViewNumber{2}});
  EXPECT_TRUE(Finish(0, 1).empty());
  EXPECT_EQ(Value(), 0);
  EXPECT_NE(Only<Pulled>(Read(1, 1)), nullptr);
  // Nobody has to ask again once the cut is over.
  view_.number = ViewNumber{2};
  Send(kCoordinator, kCoordinatorBoot, Install{view_, {}});
  EXPECT_EQ(Value(), 0);
  Outbox after;
  shard_->Tick({}, after);
  while (shard_->Settle(after)) {
  }
  EXPECT_TRUE(std::ranges::any_of(
      after, [](const Outgoing& out) { return std::holds_alternative<Ended>(out.message); }));
  EXPECT_NE(Value(), 0);
}

TEST_F(ShardTest, DropsWhatAReplacedWorkerLeftAndFencesIt) {
  Push(0, 1);
  view_.number = ViewNumber{2};
  view_.members[0].incarnation = Incarnation{2};
  Take(view_, {});
  EXPECT_EQ(shard_->Status().held_bytes, 0U);
  EXPECT_EQ(CodeOf(Push(0, 1)), Refusal::kFenced);
}

TEST_F(ShardTest, HearsEachRoleInItsOwnPlaceAlone) {
  const Identity other{Role::kWorker, WorkerId{1}, nullptr, "worker-1"};
  const Identity worker{Role::kWorker, std::nullopt, nullptr, "worker"};
  const Identity server{Role::kServer, std::nullopt, nullptr, "server"};
  const auto say = [this](const Identity& key, PeerId peer, BootId boot, Message message) {
    Outbox outbox;
    Stamp stamp = StampOf(7, 1, kShardBoot.value);
    stamp.from = boot;
    shard_->Handle({}, {peer, stamp, std::move(message), &key}, outbox);
    return outbox;
  };
  const Frame gradient = Frame::CopyOf(std::vector<float>(kFloats, -1));
  const Unit unit{Who(0), 1, 0, 0, kTable, begin_, gradient};
  EXPECT_EQ(CodeOf(say(other, PeerId{100}, BootId{100}, unit)), Refusal::kForbidden);
  EXPECT_EQ(CodeOf(say(server, PeerId{100}, BootId{100}, unit)), Refusal::kForbidden);
  // Even on the coordinator's own connection.
  View view = view_;
  view.number = ViewNumber{2};
  EXPECT_EQ(CodeOf(say(worker, kCoordinator, kCoordinatorBoot, Freeze{view.number})),
            Refusal::kForbidden);
  EXPECT_EQ(CodeOf(say(worker, kCoordinator, kCoordinatorBoot, Install{view, {}})),
            Refusal::kForbidden);
  EXPECT_EQ(shard_->view().number, ViewNumber{1});
  EXPECT_EQ(shard_->counters().units, 0U);
  EXPECT_NE(Only<Held>(say(worker, PeerId{100}, BootId{100}, unit)), nullptr);
}

class SyncShardTest : public ShardTest {
 protected:
  SyncShardTest() : ShardTest({ApplyRule::kPerStep, true, 0}) {}
};

TEST_F(SyncShardTest, TellsItsCoordinatorWhoseEndAnOpenRoundWaitsFor) {
  Push(1, 1);  // And then it is never heard of again.
  EXPECT_EQ(shard_->Status().parked_pulls, 0U) << "nobody has ended a step and waits";
  Finish(0, 1);
  EXPECT_TRUE(shard_->Status().parked_pulls == 1 && shard_->Status().waiting_for == 1);
}

TEST_F(SyncShardTest, ClosesARoundAsOneStepWhenAllHaveEnded) {
  EXPECT_TRUE(Finish(0, 1).empty());
  EXPECT_EQ(Value(), 0);
  EXPECT_EQ(Finish(1, 1).size(), 2U);
  EXPECT_EQ(Value(), 1);  // The mean of two gradients, applied once.
  EXPECT_EQ(shard_->counters().entries, 1U);
}

TEST_F(SyncShardTest, AnswersAllWhoWaitForATableOnceItIsSettledForOne) {
  Finish(0, 1);
  Read(0, 2);
  Push(1, 1);
  const auto take = [&](Message message, Outbox& outbox) {
    const Stamp stamp{JobId{7}, {}, Term{1}, BootId{101}, kShardBoot};
    shard_->Take({}, {PeerId{101}, stamp, std::move(message)}, outbox);
  };
  Outbox outbox;
  take(End{Who(1), 1, 0, 1, 1}, outbox);
  EXPECT_TRUE(outbox.empty());
  take(Pull{Who(1), 2, 1, kTable, begin_, kFloats, 0}, outbox);
  ASSERT_EQ(outbox.size(), 2U);
  for (const Outgoing& answer : outbox) {
    EXPECT_EQ(std::get<Pulled>(answer.message).values.front().floats()[0], 1);
  }
}

TEST_F(SyncShardTest, NamesWhomARoundWaitsFor) {
  Finish(0, 1);
  EXPECT_EQ(Only<Waiting>(Say(0, End{Who(0), 1, 0, 1, 1}))->rank, WorkerId{1});
  // A read of the next step waits for the same round, and not for its own reader.
  EXPECT_TRUE(Read(0, 2).empty());
  EXPECT_EQ(Only<Waiting>(Read(0, 2))->rank, WorkerId{1});
}

// The second of two shards, with three workers of which one is a backup.
class FollowingShardTest : public ShardTest {
 protected:
  FollowingShardTest() : ShardTest(WithBackup(), 1, 3) {
    view_.number = ViewNumber{2};
    view_.members.push_back({WorkerId{2}, Incarnation{1}, 0});
    Take(view_, {});
  }
  static Policy WithBackup() {
    Policy policy{ApplyRule::kPerStep, true, 0};
    policy.backups = 1;
    return policy;
  }
  static RankState Counts(uint32_t rank, Step step) {
    return {WorkerId{rank}, step, 1, 0, step, 0, 0};
  }
  Outbox Told(uint32_t rank, Step step, std::vector<RankState> close) {
    return Say(rank, End{Who(rank), step, 0, 1, 1, false, std::move(close)});
  }
};

TEST_F(FollowingShardTest, ClosesARoundAsTheFirstShardSays) {
  Push(0, 1);
  Push(1, 1);
  EXPECT_TRUE(Told(0, 1, {}).empty());
  EXPECT_EQ(Value(), 0);
  EXPECT_NE(Only<Ended>(Told(0, 1, {Counts(0, 1), Counts(1, 1)})), nullptr);
  EXPECT_EQ(Value(), 1);
  EXPECT_EQ(shard_->States().at(2).discarded, 1U);
}

TEST_F(FollowingShardTest, RefusesARoundThatCannotHaveBeenClosed) {
  for (const uint32_t rank : {0U, 1U}) Push(rank, 1);
  const std::vector<std::vector<RankState>> rounds = {
      {Counts(0, 1)},                // Too few.
      {Counts(0, 1), Counts(0, 1)},  // One of them twice.
      {Counts(1, 1), Counts(0, 1)},  // Out of order.
      {Counts(0, 1), Counts(9, 1)},  // A stranger.
      {Counts(0, 1), Counts(1, 2)},  // Of two rounds.
  };
  for (const auto& round : rounds) EXPECT_EQ(CodeOf(Told(0, 1, round)), Refusal::kBadRequest);
  Say(2, Unit{Who(2), 1, 0, 1, kTable, begin_, Frame::CopyOf(std::vector<float>(kFloats))});
  EXPECT_TRUE(Told(0, 1, {Counts(0, 1), Counts(2, 1)}).empty()) << "the rest may be elsewhere";
  EXPECT_EQ(Value(), 0);
}

TEST_F(FollowingShardTest, AsksForPatienceForTheRoundAfterTheNextAndNoLater) {
  const Frame one = Frame::CopyOf(std::vector<float>(1));
  EXPECT_EQ(CodeOf(Say(0, Unit{Who(0), 2, 0, 0, kTable, kFloats, one})), Refusal::kNotReady);
  EXPECT_EQ(CodeOf(Say(0, Unit{Who(0), 3, 0, 0, kTable, kFloats, one})), Refusal::kBadRequest);
  EXPECT_EQ(CodeOf(Told(0, 2, {})), Refusal::kNotReady);
  EXPECT_EQ(CodeOf(Told(0, 3, {})), Refusal::kBadRequest);
}

TEST_F(FollowingShardTest, IsSilentWhileFrozenOnARoundThatIsOpenHere) {
  for (const uint32_t rank : {0U, 1U}) Push(rank, 1);
  Told(0, 1, {Counts(0, 1), Counts(1, 1)});
  for (const uint32_t rank : {0U, 1U}) Push(rank, 2);
  Send(kCoordinator, kCoordinatorBoot, Freeze{ViewNumber{3}});
  EXPECT_TRUE(Told(2, 1, {Counts(0, 2), Counts(1, 2)}).empty());
  EXPECT_NE(Only<Ended>(Told(2, 1, {Counts(0, 1), Counts(1, 1)})), nullptr);
}

// The job goes back to a snapshot, and this shard with it.
class RolledBackShardTest : public ShardTest {
 protected:
  Outbox GoBack(uint64_t restore, uint64_t generation = 1) {
    View next = view_;
    next.number = ViewNumber{view_.number.value + generation};
    next.generation = Generation{generation};
    return Send(kCoordinator, kCoordinatorBoot,
                Install{next, {{WorkerId{0}, 4, 1, 4}, {WorkerId{1}, 4, 1, 4}}, 0, restore});
  }
  std::optional<LoadTables> NextLoad() {
    std::optional<DiskRequest> request = shard_->NextDiskRequest(1);
    if (!request || !std::holds_alternative<LoadTables>(*request)) return {};
    return std::get<LoadTables>(*request);
  }
};

TEST_F(RolledBackShardTest, BeginsAnewWithoutAFreezeWhereThereIsNoSnapshot) {
  Finish(0, 1);
  Push(1, 1);
  ASSERT_EQ(Value(), 1);
  EXPECT_NE(Only<Installed>(GoBack(0)), nullptr);
  EXPECT_EQ(Value(), 0);
  EXPECT_EQ(shard_->Status().held_bytes, 0U);
}

TEST_F(RolledBackShardTest, SaysThatItHasTakenTheViewOnceTheSnapshotIsLoaded) {
  Finish(0, 1);
  EXPECT_TRUE(GoBack(7).empty());
  const std::optional<LoadTables> load = NextLoad();
  ASSERT_TRUE(load);
  EXPECT_EQ(load->snapshot, 7U);
  EXPECT_TRUE(GoBack(7).empty()) << "asked again: it is not there yet";
  Outbox outbox;
  shard_->Handle(TablesLoaded{load->load, uint64_t{9}}, outbox);
  EXPECT_NE(Only<Installed>(outbox), nullptr);
  const std::vector<RankState> states = shard_->States();
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].ended, 4U);
}

TEST_F(RolledBackShardTest, TakesNoLoadForTheOneOfALaterGeneration) {
  GoBack(7);
  const std::optional<LoadTables> first = NextLoad();
  GoBack(6, 2);
  const std::optional<LoadTables> second = NextLoad();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->snapshot, 6U);
  Outbox outbox;
  shard_->Handle(TablesLoaded{first->load, uint64_t{9}}, outbox);
  EXPECT_TRUE(outbox.empty());
  shard_->Handle(TablesLoaded{second->load, uint64_t{9}}, outbox);
  EXPECT_NE(Only<Installed>(outbox), nullptr);
}

TEST_F(RolledBackShardTest, RefusesWhatIsSaidUnderTheGenerationBefore) {
  GoBack(0);
  EXPECT_NE(Only<Refused>(Push(0, 5)), nullptr);
  EXPECT_EQ(shard_->Status().held_bytes, 0U);
}

TEST_F(RolledBackShardTest, SaysWhyTheSnapshotCannotBeLoaded) {
  GoBack(7);
  const std::optional<LoadTables> load = NextLoad();
  ASSERT_TRUE(load);
  Outbox outbox;
  shard_->Handle(TablesLoaded{load->load, Error{ErrorCode::kFailed, "no such file"}}, outbox);
  ASSERT_NE(Only<Refused>(outbox), nullptr);
  EXPECT_EQ(Only<Refused>(outbox)->words, "no such file");
  EXPECT_EQ(CodeOf(GoBack(7)), Refusal::kFailed) << "asked again, it says so again";
}

}  // namespace
}  // namespace shardmill
