#include "common/net/zmq_keys.h"

#include <sys/socket.h>

#include <string>

#include "common/net/zap_gate.h"

namespace shardmill {
namespace {

zmq::const_buffer BufferOf(const Key& key) { return zmq::buffer(key.data(), key.size()); }

// A property that ZeroMQ knows of the connection that a message came by; empty where it does not.
std::string PropertyOf(zmq::message_t& message, const char* name) {
  const char* text = zmq_msg_gets(message.handle(), name);
  return text == nullptr ? "" : text;
}

}  // namespace

void ListenWithKey(zmq::socket_t& socket, const KeyPair& own, int handshake_ms) {
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_secretkey, BufferOf(own.secret));
  socket.set(zmq::sockopt::zap_domain, kZapDomain);
  socket.set(zmq::sockopt::handshake_ivl, handshake_ms);
}

void ConnectWithKey(zmq::socket_t& socket, const KeyPair& own, const Key& other) {
  socket.set(zmq::sockopt::curve_serverkey, BufferOf(other));
  socket.set(zmq::sockopt::curve_publickey, BufferOf(own.certificate.key));
  socket.set(zmq::sockopt::curve_secretkey, BufferOf(own.secret));
}

Result<Key> ExpectedKey(const Endpoint& to, const AllowList& list) {
  if (to.key.empty()) {
    const Certificate* coordinator = list.Only(Role::kCoordinator);
    if (coordinator != nullptr) return coordinator->key;
    return Error{ErrorCode::kBadUsage, "there is not one certificate of a coordinator"};
  }
  const std::optional<Key> key = ParseKey(to.key);
  const Identity* identity = key ? list.Find(*key) : nullptr;
  if (identity != nullptr && identity->role == Role::kServer) return *key;
  return Error{ErrorCode::kBadUsage, "the server at " + to.tcp + " has the key " +
                                         to.key.substr(0, 64) +
                                         ", which is not on this process's list of servers' keys"};
}

std::optional<Key> UserOf(zmq::message_t& message) {
  return ParseKey(PropertyOf(message, "User-Id"));
}

void CutOff(zmq::message_t& message, GateObserver& observer) {
  observer.Refused({Stranger::Why::kRevoked, PropertyOf(message, "Peer-Address"),
                    "the key " + PropertyOf(message, "User-Id") +
                        " was taken off the list; its connection ends"});
  // The file may have been closed since and be another connection's, which then begins anew. What
  // is no socket is left alone.
  const int file = zmq_msg_get(message.handle(), ZMQ_SRCFD);
  if (file >= 0) shutdown(file, SHUT_RDWR);
}

}  // namespace shardmill
