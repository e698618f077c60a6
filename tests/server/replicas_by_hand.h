#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/payload.h"
#include "server/shard.h"

namespace shardmill {

using std::chrono::milliseconds;

inline constexpr JobId kJob{7};
inline constexpr uint64_t kCoordinator = 1;
inline constexpr uint64_t kFirst = 10;  // Copies of shard 0: peer and boot are one number.
inline constexpr uint64_t kSecond = 11;
inline constexpr uint64_t kThird = 12;
inline constexpr uint64_t kWorker = 100;
inline constexpr TableId kDense{1};
inline constexpr TableId kSparse{2};
inline constexpr uint64_t kFloats = 600'000;  // More than one chunk.
inline constexpr uint32_t kDim = 3;

// The copies of one shard, wired to each other; the test plays the coordinator and the worker.
class ReplicaTest : public testing::Test {
 protected:
  ReplicaTest() {
    for (const uint64_t id : {kFirst, kSecond}) MakeCopy(id);
    view_.policy = {ApplyRule::kOnArrival, true, 4};
    view_.number = ViewNumber{1};
    view_.members = {{WorkerId{0}, Incarnation{1}, 0}, {WorkerId{1}, Incarnation{1}, 0}};
    view_.shards = {{ShardId{0}, Term{1}, BootId{kFirst}, ""}};
    view_.tables = {{kDense, {"d", kFloats, {}}, {0, kFloats}},
                    {kSparse, {"s", 0, {}, kDim}, {0, kBuckets}}};
  }

  void MakeCopy(uint64_t id) {
    ShardOptions options;
    options.boot = BootId{id};
    options.coordinator = PeerId{kCoordinator};
    options.update.rule = UpdateRule::kAdam;
    options.update.rate.base = 0.5;
    options.replicas = replicas_;
    options.in_sync_min = in_sync_min_;
    options.window_bytes = kFloats;  // Less than what a step pushes: entries go in pieces.
    options.copy = static_cast<uint32_t>(id - kFirst);
    options.retry_after = milliseconds(10);
    copies_[id] = std::move(Shard::Make(options, frames_)).value();
    FromCoordinator(id, Welcome{}, 0);
    FromCoordinator(id, Registered{}, 0);
  }

  // Hands a message to a copy, and what it answers to whom it is for, until nothing is on its way.
  void Give(uint64_t to, uint64_t from, Stamp stamp, Message message) {
    stamp.from = BootId{from};
    if (stamp.to.value == 0) stamp.to = BootId{to};
    Outbox outbox;
    copies_.at(to)->Handle(now_, {PeerId{from}, stamp, std::move(message)}, outbox);
    Route(to, outbox);
  }
  void Route(uint64_t from, Outbox& outbox) {
    for (Outgoing& out : outbox) {
      const uint64_t to = out.peer.value;
      const auto* given = std::get_if<shardmill::Follow>(&out.message);
      if (given != nullptr) given_.push_back(given->item);
      if (!copies_.contains(to)) {
        said_[to].push_back(std::move(out.message));
      } else if (!cut_off_ && to != deaf_) {
        const auto* follow = std::get_if<shardmill::Follow>(&out.message);
        frames_most_ = std::max(frames_most_, PayloadOf(out.message).frames);
        if (follow != nullptr && std::holds_alternative<CopyPiece>(follow->what)) {
          ++pieces_;
          serves_too_early_ |= copies_.at(to)->serves();
        }
        if (const auto* followed = std::get_if<Followed>(&out.message)) item_ = followed->item;
        Give(to, from, out.stamp, std::move(out.message));
      }
    }
  }
  void FromCoordinator(uint64_t to, Message message, uint64_t term = 1) {
    Give(to, kCoordinator, {kJob, view_.generation, Term{term}, {}, {}}, std::move(message));
  }
  void Say(uint64_t to, uint32_t rank, Message message) {
    Give(to, kWorker + rank, {kJob, view_.generation, view_.shards[0].term, {}, {}},
         std::move(message));
  }
  void Tick() {
    now_ += milliseconds(20);
    for (auto& [id, copy] : copies_) {
      Outbox outbox;
      copy->Tick(now_, outbox);
      Route(id, outbox);
    }
  }

  void Install(uint64_t to, std::vector<RankState> cut = {}) {
    FromCoordinator(to, Freeze{view_.number, view_.shards[0].term});
    FromCoordinator(to, shardmill::Install{view_, std::move(cut)});
  }
  void Name(uint64_t primary, uint64_t replica, uint64_t number, bool in_sync = false) {
    FromCoordinator(primary, Replicas{ShardId{0}, number, {{1, BootId{replica}, "", 1, in_sync}}});
    copies_.at(primary)->Attach(BootId{replica}, PeerId{replica});
  }
  // Until it is in sync, and the coordinator has written that down.
  void Follow(uint64_t primary, uint64_t replica, uint64_t number = 1) {
    Name(primary, replica, number);
    for (int i = 0; i < 4; ++i) Tick();
    Name(primary, replica, number + 1, true);
    Tick();
  }
  void Begin() {
    Install(kFirst);
    Follow(kFirst, kSecond);
  }

  static Sender Who(uint32_t rank) { return {WorkerId{rank}, Incarnation{1}}; }
  void Push(uint64_t to, uint32_t rank, Step step, uint64_t key) {
    std::vector<float> gradient(kFloats);
    for (size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] = static_cast<float>((i + step * 7 + rank) % 13) - 6.0F;
    }
    Say(to, rank, Unit{Who(rank), step, 0, 0, kDense, 0, Frame::CopyOf(gradient)});
    const std::vector<uint64_t> keys = {key, key + 1000};
    Unit rows{
        Who(rank), step, 0, 1, kSparse, 0, Frame::CopyOf(std::vector<float>(2 * kDim, 0.25F))};
    rows.keys = {step * 10 + rank + 1, Frame::CopyOf(std::as_bytes(std::span(keys)))};
    Say(to, rank, rows);
  }
  void Finish(uint64_t to, uint32_t rank, Step step, uint64_t key = 5) {
    Push(to, rank, step, key);
    Say(to, rank, End{Who(rank), step, 0, 2, 1});
  }
  template <class Kind>
  size_t Heard(uint64_t who) const {
    const auto found = said_.find(who);
    if (found == said_.end()) return 0;
    return static_cast<size_t>(std::ranges::count_if(
        found->second, [](const Message& m) { return std::holds_alternative<Kind>(m); }));
  }
  const Beat* LastBeat() const {
    const auto& all = said_.at(kCoordinator);
    for (auto it = all.rbegin(); it != all.rend(); ++it) {
      if (const auto* beat = std::get_if<Beat>(&*it)) return beat;
    }
    return nullptr;
  }
  void ExpectSame(uint64_t a, uint64_t b) const {
    const Shard& one = *copies_.at(a);
    const Shard& other = *copies_.at(b);
    EXPECT_EQ(one.Snapshot(kDense), other.Snapshot(kDense));
    EXPECT_EQ(one.Rows(kSparse), other.Rows(kSparse));
    EXPECT_EQ(one.States().size(), other.States().size());
    for (size_t i = 0; i < one.States().size() && i < other.States().size(); ++i) {
      EXPECT_EQ(one.States()[i].ended, other.States()[i].ended);
      EXPECT_EQ(one.States()[i].applied, other.States()[i].applied);
    }
  }

  TimePoint now_{};
  FramePool frames_{FramePool::Memory::kPrivate};
  std::map<uint64_t, std::unique_ptr<Shard>> copies_;
  std::map<uint64_t, std::vector<Message>> said_;
  View view_;
  uint32_t replicas_ = 1;
  uint32_t in_sync_min_ = 1;
  bool cut_off_ = false;
  uint64_t deaf_ = 0;            // The copy that nothing reaches.
  uint64_t pieces_ = 0;          // Of images, that came to a copy.
  std::vector<uint64_t> given_;  // Items, as often as they were sent.
  uint64_t frames_most_ = 0;     // Of one message between copies.
  bool serves_too_early_ = false;
  uint64_t item_ = 0;  // The last that a replica took.
};

}  // namespace shardmill
