#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/lease_thread.h"
#include "client/ps_client.h"
#include "client/session.h"
#include "client/session_timeline.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/frame_pool.h"
#include "common/keys/key_ring.h"
#include "common/net/messenger.h"
#include "common/net/peer_transport.h"
#include "common/net/zmq_transport.h"

namespace shardmill {

// All that a session is: the client core, the transport under it, and the loop that moves both.
class [[gnu::visibility("hidden")]] Session::Impl final {
 public:
  Impl(const SessionOptions& options, std::unique_ptr<KeyRing> keys);

  Result<> Open();
  // Until the job has them all, or others of their names.
  Result<> Make(std::span<const TableSpec> specs);
  Result<const TablePlace*> Table(const TableSpec& spec);
  Result<> Close(bool done, const std::string& failure);

  // Moves IO until `done()`, a failure, or the deadline. While those who are waited for get on, it
  // is put off by `put_off`.
  template <class DoneFn>
  Result<> MoveUntil(TimePoint deadline, DoneFn done, Duration put_off = Duration{0});
  // The same for what is void where the job goes back.
  template <class DoneFn>
  Result<> Await(TimePoint deadline, DoneFn done, Duration put_off);
  // Where the job has gone back: an error that says so, once, when the session can go on.
  Result<> TellRollback();
  Result<> CheckOpen() const {
    if (lease_) return {};
    return Error{ErrorCode::kBadUsage, "this session is closed; open another"};
  }
  // What else the job's table of that name has; empty where it is the same, or not there.
  std::string MisfitOf(const TableSpec& spec) const;
  // Moves what is there, without waiting.
  Result<> Move() { return MoveOnce(std::chrono::milliseconds(0)); }
  void Flush() {
    timeline_.Sends(outbox_, client_->view());
    messenger_.Send(outbox_);
    unsent_bytes_ = 0;
  }
  // Await in the step under way, to whose end `wait` belongs.
  template <class DoneFn>
  Result<> AwaitInStep(const char* wait, DoneFn done);
  // After a push, for which nobody waits before the step's end: it leaves with what comes next, or
  // once there is much of it.
  void FlushIfMuch(uint64_t bytes) {
    unsent_bytes_ += bytes;
    if (unsent_bytes_ > UnsentBytesMax()) Flush();
  }

  TimelineLane* lane() const { return timeline_.lane(); }
  PsClient& client() { return *client_; }
  const PsClient& client() const { return *client_; }
  Result<const TablePlace*> Place(uint32_t table, bool sparse) const;
  const SessionOptions& options() const { return options_; }
  TimePoint Now() const { return clock_.Now(); }
  std::chrono::milliseconds silent() const {
    return lease_ ? lease_->silent() : std::chrono::milliseconds(0);
  }
  Outbox& outbox() { return outbox_; }

  // Of the step under way.
  Duration step_limit{};
  TimePoint deadline{};
  uint64_t step_serial = 0;
  bool in_step = false;
  bool left_unfinished = false;
  SessionCounters counters;

 private:
  Result<> MoveOnce(std::chrono::milliseconds timeout);
  Result<> AttachShards();
  Error Late(Duration waited) const;
  uint64_t UnsentBytesMax() const;

  SessionOptions options_;
  SteadyClock clock_;
  std::unique_ptr<KeyRing> keys_;
  ZmqContext context_;
  FramePool frames_;
  PeerTransport transport_;
  Messenger messenger_;
  SessionTimeline timeline_;
  std::optional<PsClient> client_;
  std::unique_ptr<LeaseThread> lease_;
  PeerId coordinator_;
  std::map<ShardId, PeerId> shard_peers_;
  Outbox outbox_;
  uint64_t unsent_bytes_ = 0;  // Of pushes in it.
  std::vector<Envelope> messages_;
  std::vector<BadPacket> bad_;
};

template <class DoneFn>
Result<> Session::Impl::MoveUntil(TimePoint deadline_at, DoneFn done, Duration put_off) {
  constexpr std::chrono::milliseconds kPollMax{20};
  const TimePoint begin = clock_.Now();
  // A thread that stood still, or computed until its deadline, has not waited for anybody yet.
  constexpr Duration kLongTurn = std::chrono::seconds(1);
  const Duration least = std::min(put_off, kLongTurn);
  deadline_at = std::max(deadline_at, begin + least);
  TimePoint turned_at = begin;
  uint64_t progress = client_->progress();
  while (!done()) {
    const TimePoint before = std::exchange(turned_at, clock_.Now());
    if (turned_at - before > kLongTurn) deadline_at = std::max(deadline_at, turned_at + least);
    if (options_.stopped && options_.stopped()) {
      return Error{ErrorCode::kStopped, "stopped while waiting for " + client_->WaitsFor()};
    }
    if (client_->progress() != progress) {
      progress = client_->progress();
      deadline_at = std::max(deadline_at, clock_.Now() + put_off);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_at - turned_at);
    const bool late = left.count() <= 0;
    SM_TRY(MoveOnce(late ? std::chrono::milliseconds(0) : std::min(left, kPollMax)));
    if (late && !done()) return Late(clock_.Now() - begin);
  }
  return {};
}

template <class DoneFn>
Result<> Session::Impl::Await(TimePoint deadline_at, DoneFn done, Duration put_off) {
  const auto over = [&] { return client_->rolled_back() || done(); };
  SM_TRY(MoveUntil(deadline_at, over, put_off));
  return TellRollback();
}

template <class DoneFn>
Result<> Session::Impl::AwaitInStep(const char* wait, DoneFn done) {
  if (!client_->rolled_back() && done()) return {};
  TimelineSpan span(timeline_.lane(), wait, "step", client_->step());
  timeline_.BeginWait();
  const Result<> waited = Await(deadline, done, step_limit);
  timeline_.TellOfWait(span);
  return waited;
}

}  // namespace shardmill
