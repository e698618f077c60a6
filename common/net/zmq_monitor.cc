#include "common/net/zmq_monitor.h"

#include <string>

namespace shardmill {

ZmqMonitor::ZmqMonitor(zmq::context_t& context, zmq::socket_t& watched, int events)
    : watched_(watched.handle()), events_(context, zmq::socket_type::pair) {
  // The name must be unique in the context; the socket's address is, for as long as it lives.
  const std::string name =
      "inproc://watch-" + std::to_string(reinterpret_cast<uintptr_t>(watched.handle()));
  if (zmq_socket_monitor(watched.handle(), name.c_str(), events) != 0) throw zmq::error_t();
  events_.set(zmq::sockopt::linger, 0);
  // ZeroMQ's IO thread waits where this queue is full, and every socket with it. It fills by a few
  // events a second and connection at most, while nobody polls.
  events_.set(zmq::sockopt::rcvhwm, 0);
  events_.connect(name);
}

// The monitor goes first: without a reader it would stop ZeroMQ's IO thread.
ZmqMonitor::~ZmqMonitor() { zmq_socket_monitor(watched_, nullptr, 0); }

}  // namespace shardmill
