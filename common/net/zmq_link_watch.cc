#include "common/net/zmq_link_watch.h"

#include <cstring>

namespace shardmill {
namespace {

constexpr int kEvents = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED |
                        ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

}  // namespace

LinkWatch::LinkWatch(zmq::context_t& context, zmq::socket_t& watched)
    : events_(context, zmq::socket_type::pair) {
  // The name must be unique in the context; the socket's address is, for as long as it lives.
  const std::string name =
      "inproc://watch-" + std::to_string(reinterpret_cast<uintptr_t>(watched.handle()));
  if (zmq_socket_monitor(watched.handle(), name.c_str(), kEvents) != 0) throw zmq::error_t();
  events_.set(zmq::sockopt::linger, 0);
  events_.connect(name);
}

void LinkWatch::Drain() {
  zmq::message_t event;
  while (events_.recv(event, zmq::recv_flags::dontwait)) {
    uint16_t kind = 0;
    if (event.size() >= sizeof(kind)) std::memcpy(&kind, event.data(), sizeof(kind));
    zmq::message_t address;
    while (event.more() && events_.recv(address, zmq::recv_flags::dontwait) && address.more()) {
    }
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
      default:
        break;
    }
  }
}

std::string LinkWatch::Words(const std::string& endpoint) const {
  if (connected_) return "";
  if (foreign_) return "something answers at " + endpoint + " that does not speak this protocol";
  if (accepted_) return "something accepts connections at " + endpoint + " and says nothing";
  return "nothing answers at " + endpoint;
}

}  // namespace shardmill
