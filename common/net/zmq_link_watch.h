#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "common/net/tcp_tuning.h"
#include "common/net/zmq_monitor.h"

namespace shardmill {

// What ZeroMQ's monitor says of one connection, put into words: it reconnects in silence, and a
// person wants to know why nothing comes. Tunes the connection when it is made. Owned by a
// ZmqTransport, on its thread; the context and the socket outlive it.
class LinkWatch final {
 public:
  LinkWatch(zmq::context_t& context, zmq::socket_t& watched, const TcpTuning& tuning);

  // Takes in what has happened since.
  void Drain();

  // Whether ZeroMQ has given the connection up, which it does after a handshake that failed, and
  // some time has gone by since. Once for each time.
  bool TimeToTryAgain();

  bool connected() const { return connected_; }
  // What is wrong, or nothing.
  std::string Words(const std::string& endpoint) const;

 private:
  void Take(uint16_t event, int value);

  ZmqMonitor monitor_;
  TcpTuning tuning_;
  bool connected_ = false;  // The handshake succeeded, and nothing has ended it.
  bool accepted_ = false;   // A TCP connection was made since the last success.
  bool foreign_ = false;    // What answered last does not speak ZeroMQ, or not with keys as we do.
  bool refused_ = false;    // What answered last does not let our key in.
  std::optional<std::chrono::steady_clock::time_point> given_up_;
  uint64_t retries_ = 0;  // In a row, with nothing tried in between.
};

}  // namespace shardmill
