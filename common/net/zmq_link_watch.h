#pragma once

#include <cstdint>
#include <string>
#include <zmq.hpp>

namespace shardmill {

// What ZeroMQ's monitor says of one connection, put into words: it reconnects in silence, and a
// person wants to know why nothing comes. Owned by a ZmqTransport, on its thread; the context
// outlives it.
class LinkWatch final {
 public:
  LinkWatch(zmq::context_t& context, zmq::socket_t& watched);
  ~LinkWatch();
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;

  // Takes in what has happened since.
  void Drain();

  // What is wrong, or nothing.
  std::string Words(const std::string& endpoint) const;

 private:
  void* watched_;  // ZeroMQ's handle; the socket outlives the watch.
  zmq::socket_t events_;
  bool connected_ = false;  // The handshake succeeded, and nothing has ended it.
  bool accepted_ = false;   // A TCP connection was made since the last success.
  bool foreign_ = false;    // What answered last does not speak ZeroMQ.
  uint64_t retries_ = 0;    // In a row, with nothing tried in between.
};

}  // namespace shardmill
