#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/identity.h"
#include "server/coordinator.h"

namespace shardmill {

using std::chrono::milliseconds;

inline constexpr JobId kJob{9};
inline constexpr BootId kBoot{100};
inline constexpr milliseconds kLease{100};

// A coordinator of two workers and one shard, spoken to by hand. Peers and boot ids are one number.
class CoordinatorTest : public testing::Test {
 protected:
  static constexpr uint64_t kShard = 50;

  explicit CoordinatorTest(const CoordinatorOptions& options = Options())
      : coordinator_(options, {}) {}

  static CoordinatorOptions Options() {
    CoordinatorOptions options;
    options.job = kJob;
    options.boot = kBoot;
    options.workers = 2;
    options.lease = kLease;
    options.retry_after = milliseconds(10);
    options.start_timeout = milliseconds(1000);
    return options;
  }

  // What the coordinator says to `message` from the process `who`, which has heard all questions.
  Outbox Say(uint64_t who, Message message) {
    if (auto* beat = std::get_if<Beat>(&message)) beat->answers = questions_[PeerId{who}];
    return SayAsIs(who, std::move(message));
  }
  Outbox SayAsIs(uint64_t who, Message message) {
    Outbox outbox;
    const Stamp stamp{kJob, coordinator_.view().generation, {}, BootId{who}, kBoot};
    coordinator_.Handle(now_, {PeerId{who}, stamp, std::move(message)}, outbox);
    return Heard(std::move(outbox));
  }

  // The same from a process with a key.
  Outbox SayAs(const Identity& key, uint64_t who, Message message) {
    Outbox outbox;
    const Stamp stamp{kJob, coordinator_.view().generation, {}, BootId{who}, kBoot};
    coordinator_.Handle(now_, {PeerId{who}, stamp, std::move(message), &key}, outbox);
    return outbox;
  }

  Outbox After(milliseconds time) {
    Outbox outbox;
    while (time > milliseconds(0)) {
      const milliseconds step = std::min(time, milliseconds(20));
      time -= step;
      now_ += step;
      coordinator_.Tick(now_, outbox);
    }
    return Heard(std::move(outbox));
  }

  // Plays the shard through the cut that is wanted now.
  Outbox Cut(std::vector<RankState> states = {}) {
    After(milliseconds(1));
    const ViewNumber number = coordinator_.view().number.Next();
    Say(kShard, Frozen{number, std::move(states)});
    return Say(kShard, Installed{number});
  }

  void Begin() {
    Say(kShard, Register{ShardId{0}, "s"});
    Say(1, Join{WorkerId{0}});
    Say(2, Join{WorkerId{1}});
    Cut();
  }

  template <class Kind>
  static const Kind* Find(const Outbox& outbox, uint64_t to) {
    for (const Outgoing& out : outbox) {
      if (out.peer == PeerId{to} && std::holds_alternative<Kind>(out.message)) {
        return &std::get<Kind>(out.message);
      }
    }
    return nullptr;
  }

  // Everybody hears what it is asked.
  Outbox Heard(Outbox outbox) {
    for (const Outgoing& out : outbox) {
      const auto* asked = std::get_if<Registered>(&out.message);
      if (asked != nullptr) questions_[out.peer] = asked->question;
    }
    return outbox;
  }

  TimePoint now_{};
  Coordinator coordinator_;

 private:
  std::map<PeerId, uint64_t> questions_;  // The last of each.
};

// One shard with a replica.
class ReplicaCoordinatorTest : public CoordinatorTest {
 protected:
  static constexpr uint64_t kReplica = 51;

  explicit ReplicaCoordinatorTest(const CoordinatorOptions& options = WithReplica())
      : CoordinatorTest(options) {
    Say(kReplica, Register{ShardId{0}, "r", 1});
    Begin();
  }

  static CoordinatorOptions WithReplica() {
    CoordinatorOptions options = Options();
    options.replicas = 1;
    return options;
  }
  // What the primary says when it waits for its replica.
  void BeInSync() {
    Beat beat{ShardId{0}};
    beat.in_sync = {Stream()};
    Say(kShard, beat);
  }
  // Somebody says, later than anything before, that it is there.
  Outbox Live(uint64_t who, uint32_t copy) {
    now_ += milliseconds(1);
    Beat beat{ShardId{0}};
    beat.copy = copy;
    return Say(who, beat);
  }
  uint64_t Stream() const { return coordinator_.replicas(ShardId{0}).front().stream; }
  uint64_t Primary() const { return coordinator_.shards().front().boot.value; }
};

}  // namespace shardmill
