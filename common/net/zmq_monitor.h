#pragma once

#include <cstdint>
#include <cstring>
#include <zmq.hpp>

namespace shardmill {

// What ZeroMQ tells of a socket's connections. Owned by a ZmqTransport, on its thread; the context
// and the socket outlive it.
class ZmqMonitor final {
 public:
  ZmqMonitor(zmq::context_t& context, zmq::socket_t& watched, int events);
  ~ZmqMonitor();
  ZmqMonitor(const ZmqMonitor&) = delete;
  ZmqMonitor& operator=(const ZmqMonitor&) = delete;

  // To poll: it can be read when there is more than at the last Drain.
  int file() const { return events_.get(zmq::sockopt::fd); }

  // Calls `visit(event, value)` for each that has come since.
  template <class Visit>
  void Drain(Visit visit) {
    zmq::message_t event;
    while (events_.recv(event, zmq::recv_flags::dontwait)) {
      uint16_t kind = 0;
      uint32_t value = 0;
      if (event.size() >= sizeof(kind) + sizeof(value)) {
        std::memcpy(&kind, event.data(), sizeof(kind));
        std::memcpy(&value, event.data<char>() + sizeof(kind), sizeof(value));
      }
      zmq::message_t address;
      while (event.more() && events_.recv(address, zmq::recv_flags::dontwait) && address.more()) {
      }
      visit(kind, value);
    }
  }

 private:
  void* watched_;  // ZeroMQ's handle.
  zmq::socket_t events_;
};

}  // namespace shardmill
