#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <zmq.hpp>

#include "common/net/stranger.h"

namespace shardmill {

// Tells of those who do not get through the handshake of a listening socket: what ZeroMQ itself
// refuses never comes to the gate. Owned by a ZmqTransport, on its thread, which hands it what the
// socket's monitor says; the observer outlives it.
class HandshakeWatch final {
 public:
  static constexpr int kEvents =
      ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
      ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
      ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

  explicit HandshakeWatch(GateObserver& observer) : observer_(observer) {}

  void Take(uint16_t event, int value);

 private:
  struct Accepted {
    std::string from;
    uint64_t succeeded_before = 0;  // Handshakes, of anybody.
  };

  void Refuse(int file);

  GateObserver& observer_;
  std::map<int, Accepted> accepted_;  // Open connections, by file.
  uint64_t succeeded_ = 0;
  bool judged_ = false;  // The connection that ends next was refused by the gate, which told of it.
  std::string failed_;   // Why the connection that ends next has failed.
};

}  // namespace shardmill
