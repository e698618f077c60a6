#pragma once

#include <string>
#include <utility>
#include <zmq.hpp>

namespace shardmill {

// A socket of ZeroMQ that is waited for by its file, with poll(2): zmq_poll makes several system
// calls for each socket, each time. The file speaks only of what comes after the socket was found
// empty, and any other use of the socket may silence it: who is not empty must be read from before
// anybody sleeps. Owned by a ZmqTransport, on its thread. ZeroMQ's errors come as zmq::error_t.
class ZmqSocket final {
 public:
  explicit ZmqSocket(zmq::socket_t socket)
      : socket_(std::move(socket)), file_(socket_.get(zmq::sockopt::fd)) {}

  int file() const { return file_; }
  bool empty() const { return empty_; }

  // One part of a message; false where there is none.
  bool Receive(zmq::message_t& part) {
    const bool came = socket_.recv(part, zmq::recv_flags::dontwait).has_value();
    empty_ = !came;
    return came;
  }
  // Sends one part; false where there is no room for it.
  bool Send(zmq::message_t part, bool more);
  // Tries to connect to where it has failed to.
  void ConnectAgain(const std::string& endpoint);

 private:
  zmq::socket_t socket_;
  int file_;
  bool empty_ = false;
};

}  // namespace shardmill
