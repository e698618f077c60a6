#include "common/net/zmq_socket.h"

#include <cerrno>

namespace shardmill {

// A signal must not tear a message apart: what follows would be read as its rest.
bool ZmqSocket::Send(zmq::message_t part, bool more) {
  empty_ = false;
  const auto flags =
      more ? zmq::send_flags::dontwait | zmq::send_flags::sndmore : zmq::send_flags::dontwait;
  while (true) {
    try {
      return socket_.send(part, flags).has_value();
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;
    }
  }
}

// ZeroMQ connects once to an endpoint that it has.
void ZmqSocket::ConnectAgain(const std::string& endpoint) {
  empty_ = false;
  socket_.disconnect(endpoint);
  socket_.connect(endpoint);
}

}  // namespace shardmill
