#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/frame.h"
#include "common/ids.h"
#include "common/net/inbox.h"
#include "common/result.h"

namespace shardmill {

// What came of a send. A full queue is the caller's to deal with: nothing is kept or dropped
// unseen.
enum class Sent : uint8_t {
  kSent,
  kFull,     // The queue to this peer is full. Nothing was sent.
  kUnknown,  // No such peer, or it has gone. Nothing was sent.
};

// Peers that there is a way to now, by the way.
struct Reach {
  size_t shared_memory = 0;
  size_t tcp = 0;
};

// Of one message, beside its payload; what the decoder takes of a header.
inline constexpr uint64_t kHeaderBytesMax = uint64_t{8} << 20;

// Moves frames between this agent and its peers: ZeroMQ, memory shared on one host, or the
// simulator. Owned by one agent and used on its thread alone. A peer is a number that means
// something to this transport only: one that Connect gave, or one that a message came from.
class Transport {
 public:
  virtual ~Transport() = default;

  // Listens. Port `*` takes a free one. Returns the endpoint that others can connect to.
  // A port in use is an error that says so.
  virtual Result<std::string> Bind(const std::string& endpoint) = 0;

  // Begins to connect, and keeps trying; a peer that is not there yet is no error.
  virtual Result<PeerId> Connect(const std::string& endpoint) = 0;

  // Lets a connected peer go, with what is still queued for it.
  virtual void Disconnect(PeerId peer) = 0;

  // Never blocks. The frames are referenced until they have left.
  virtual Sent Send(PeerId peer, std::span<const Frame> frames) = 0;

  // Waits for messages, `timeout` at most, and appends what has come to `inbox`, and who has gone
  // where that is known.
  virtual Result<> Poll(std::chrono::milliseconds timeout, Inbox& inbox) = 0;

  // What is wrong with the link to a peer, in words for a person ("tcp://… does not speak this
  // protocol"); empty where nothing is known to be.
  virtual std::string Trouble(PeerId peer) const = 0;

  // As of the last Poll.
  virtual Reach reach() const = 0;
};

}  // namespace shardmill
