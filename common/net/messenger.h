#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/frame_pool.h"
#include "common/messages.h"
#include "common/net/transport.h"
#include "common/result.h"
#include "common/wire/wire.h"

namespace shardmill {

// Bytes from a peer that are no messages, and why.
struct BadPacket {
  PeerId peer;
  Error why;
};

// Messages over a transport: groups what goes to one peer, encodes, sends; receives and decodes.
// Agrees with each peer on a version of the protocol, and refuses who has none in common with it.
// Owned by one agent, on its thread. A message that finds a full queue is dropped and counted:
// every request of the protocol is asked again when its answer does not come.
class Messenger final {
 public:
  struct Counters {
    uint64_t sent = 0;
    uint64_t received = 0;
    uint64_t dropped_full = 0;
    uint64_t dropped_unknown = 0;
    uint64_t bad_packets = 0;
  };

  Messenger(Transport& transport, FramePool& pool, const WireLimits& limits)
      : transport_(transport), limits_(limits), codec_(pool, limits) {}

  // Sends and empties the outbox.
  void Send(Outbox& outbox);

  // Waits for messages, `timeout` at most, and appends them. What cannot be read goes to `bad`.
  Result<> Poll(std::chrono::milliseconds timeout, std::vector<Envelope>& messages,
                std::vector<BadPacket>& bad);

  // Callers whose connections ended, as the last Poll has seen.
  std::span<const PeerId> gone() const { return gone_; }

  const Counters& counters() const { return counters_; }

 private:
  // Moves the next messages for one peer into packet_; returns the first that has to wait.
  size_t Fill(Outbox& outbox, size_t first);
  // Has packet_ written in the version that the peer is to be spoken to in.
  void SetVersion(PeerId peer);
  // Takes from packet_, which has come from the peer, which version that is.
  Result<> TakeVersion(PeerId peer);

  Transport& transport_;
  WireLimits limits_;
  Counters counters_;
  WireCodec codec_;
  Packet packet_;
  Inbox inbox_;
  std::vector<PeerId> gone_;
  std::map<PeerId, uint32_t> versions_;  // Where it is not the lowest.
};

}  // namespace shardmill
