#pragma once

#include <functional>
#include <string>
#include <thread>

namespace shardmill {

// A TCP listener on a free loopback port that does not speak ZeroMQ. It takes one connection after
// the other on a thread of its own, and ends with the test that owns it.
class TcpListener final {
 public:
  enum class Manner {
    kAnswersAndHangsUp,  // Like a web server.
    kHangsUp,
    kSaysNothing,
  };

  explicit TcpListener(Manner manner);
  ~TcpListener();

  std::string endpoint() const { return "tcp://127.0.0.1:" + std::to_string(port_); }

 private:
  void Serve(Manner manner) const;

  int socket_ = -1;
  int port_ = 0;
  std::thread thread_;
};

// Connects to a loopback endpoint ("tcp://127.0.0.1:PORT"), writes the bytes and hangs up.
void WriteTcp(const std::string& endpoint, const std::string& bytes);

}  // namespace shardmill
