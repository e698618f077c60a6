#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/log/log.h"
#include "common/messages.h"
#include "common/net/messenger.h"
#include "common/payload.h"
#include "common/result.h"

namespace shardmill {

// The duty cycle of a server-side agent: polls, hands each message to a core (a Shard, a
// Coordinator), gives it its tick, and sends what it says. Owned by the agent, on its thread. Bytes
// that are no message are counted, and logged once a peer.
template <class Core>
class Pump final {
 public:
  // `keep`, where there is one, has what the core has decided on disk before anything is sent.
  Pump(Core& core, Messenger& messenger, const Clock& clock, const Log& log,
       std::function<Result<>()> keep = nullptr)
      : core_(core), messenger_(messenger), clock_(clock), log_(log), keep_(std::move(keep)) {}

  // One turn; waits for messages, `timeout` at most. An error means that the transport is broken.
  Result<> Turn(std::chrono::milliseconds timeout) {
    messages_.clear();
    bad_.clear();
    SM_TRY(messenger_.Poll(more_ ? std::chrono::milliseconds(0) : timeout, messages_, bad_));
    const TimePoint begin = clock_.Now();
    for (const BadPacket& packet : bad_) LogOnce(packet);
    for (const Envelope& envelope : messages_) Take(envelope);
    if constexpr (requires { core_.LinkEnded(TimePoint{}, PeerId{}); }) {
      for (const PeerId peer : messenger_.gone()) core_.LinkEnded(clock_.Now(), peer);
    }
    messages_.clear();  // The frames go as soon as the core is done with them.
    if constexpr (requires { core_.Settle(outbox_); }) {
      // A part at a time: what it has made readable leaves while the next is done.
      more_ = core_.Settle(outbox_);
    }
    core_.Tick(clock_.Now(), outbox_);
    if (keep_) SM_TRY(keep_());
    messenger_.Send(outbox_);
    ready_bytes_ = 0;
    busy_ += clock_.Now() - begin;
    return {};
  }

  // Time spent at work, in all turns.
  Duration busy() const { return busy_; }

  // Messages that their sender's key may not send.
  uint64_t forbidden() const { return forbidden_; }

 private:
  static constexpr size_t kLoggedPeersMax = 1024;
  // Payload that leaves before the next message is looked at.
  static constexpr uint64_t kEarlyBytes = uint64_t{256} << 10;

  void Take(const Envelope& envelope) {
    const size_t before = outbox_.size();
    if constexpr (requires { core_.Take(TimePoint{}, envelope, outbox_); }) {
      core_.Take(clock_.Now(), envelope, outbox_);
    } else {
      core_.Handle(clock_.Now(), envelope, outbox_);
    }
    for (size_t i = before; i < outbox_.size(); ++i) {
      ready_bytes_ += PayloadOf(outbox_[i].message).bytes;
      if (envelope.identity != nullptr) CountForbidden(outbox_[i]);
    }
    if (ready_bytes_ < kEarlyBytes || keep_) return;
    messenger_.Send(outbox_);
    ready_bytes_ = 0;
  }

  void CountForbidden(const Outgoing& answer) {
    const auto* refused = std::get_if<Refused>(&answer.message);
    if (refused == nullptr || refused->code != Refusal::kForbidden) return;
    ++forbidden_;
    if (!IsNew(answer.peer)) return;
    log_.Warn("forbidden", {{"peer", answer.peer.value}, {"why", refused->words}});
  }

  // There is no answer: who sends what is no message would not understand it.
  void LogOnce(const BadPacket& packet) {
    if (!IsNew(packet.peer)) return;
    log_.Warn("bad_packet", {{"peer", packet.peer.value}, {"why", packet.why.message}});
  }

  bool IsNew(PeerId peer) {
    return logged_.size() < kLoggedPeersMax && logged_.insert(peer).second;
  }

  Core& core_;
  Messenger& messenger_;
  const Clock& clock_;
  const Log& log_;
  std::function<Result<>()> keep_;
  Outbox outbox_;
  std::vector<Envelope> messages_;
  std::vector<BadPacket> bad_;
  std::set<PeerId> logged_;
  uint64_t forbidden_ = 0;
  uint64_t ready_bytes_ = 0;  // Of the outbox.
  bool more_ = false;         // The core has more to do.
  Duration busy_{};
};

}  // namespace shardmill
