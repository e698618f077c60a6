#pragma once

#include <optional>
#include <zmq.hpp>

#include "common/keys/key_ring.h"
#include "common/net/endpoint.h"
#include "common/net/stranger.h"
#include "common/result.h"

// What CURVE asks of single sockets and messages.
namespace shardmill {

// What encryption adds to a frame, and some.
inline constexpr uint64_t kCipherBytes = 64;

// Where nobody answers for the gate, ZeroMQ lets every key in; but only the gate says whose a
// message is, and what nobody sent is not taken (see UserOf).
void ListenWithKey(zmq::socket_t& socket, const KeyPair& own, int handshake_ms);
void ConnectWithKey(zmq::socket_t& socket, const KeyPair& own, const Key& other);

// The key that must answer at an endpoint: the one that it names, which must be a server's on the
// list, or the coordinator's.
Result<Key> ExpectedKey(const Endpoint& to, const AllowList& list);

// The key that the sender of a message has proved to have.
std::optional<Key> UserOf(zmq::message_t& message);

// Ends the connection that a message came by, whose key is let in no more.
void CutOff(zmq::message_t& message, GateObserver& observer);

}  // namespace shardmill
