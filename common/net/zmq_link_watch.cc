#include "common/net/zmq_link_watch.h"

#include <cstring>

namespace shardmill {
namespace {

constexpr int kEvents = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                        ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CONNECT_RETRIED |
                        ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

}  // namespace

LinkWatch::LinkWatch(zmq::context_t& context, zmq::socket_t& watched)
    : watched_(watched.handle()), events_(context, zmq::socket_type::pair) {
  // The name must be unique in the context; the socket's address is, for as long as it lives.
  const std::string name =
      "inproc://watch-" + std::to_string(reinterpret_cast<uintptr_t>(watched.handle()));
  if (zmq_socket_monitor(watched.handle(), name.c_str(), kEvents) != 0) throw zmq::error_t();
  events_.set(zmq::sockopt::linger, 0);
  // ZeroMQ's IO thread waits where this queue is full, and every socket with it. It fills by a few
  // events a second at most, while nobody polls.
  events_.set(zmq::sockopt::rcvhwm, 0);
  events_.connect(name);
}

// The monitor goes first: without a reader it would stop ZeroMQ's IO thread.
LinkWatch::~LinkWatch() { zmq_socket_monitor(watched_, nullptr, 0); }

void LinkWatch::Drain() {
  zmq::message_t event;
  while (events_.recv(event, zmq::recv_flags::dontwait)) {
    uint16_t kind = 0;
    if (event.size() >= sizeof(kind)) std::memcpy(&kind, event.data(), sizeof(kind));
    zmq::message_t address;
    while (event.more() && events_.recv(address, zmq::recv_flags::dontwait) && address.more()) {
    }
    if (kind == ZMQ_EVENT_CONNECT_RETRIED) {
      ++retries_;
      continue;
    }
    retries_ = 0;
    switch (kind) {
      case ZMQ_EVENT_CONNECTED:
        accepted_ = true;
        break;
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        connected_ = true;
        foreign_ = false;
        break;
      case ZMQ_EVENT_DISCONNECTED:
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        foreign_ = foreign_ || (accepted_ && !connected_);
        connected_ = false;
        accepted_ = false;
        break;
      case ZMQ_EVENT_CLOSED:  // No TCP connection came about.
        foreign_ = false;
        connected_ = false;
        accepted_ = false;
        break;
      default:
        break;
    }
  }
}

std::string LinkWatch::Words(const std::string& endpoint) const {
  if (connected_) return "";
  // A connection is tried before it is tried again, unless its host has no address.
  if (retries_ >= 2) return "the host in " + endpoint + " cannot be found";
  if (foreign_) return "something answers at " + endpoint + " that does not speak this protocol";
  if (accepted_) return "something accepts connections at " + endpoint + " and says nothing";
  return "nothing answers at " + endpoint;
}

}  // namespace shardmill
