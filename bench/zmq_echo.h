#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "common/result.h"

namespace shardmill::bench {

// The bare ZeroMQ that the data path is held against: a ROUTER that sends back what comes.
// Announces its address on the descriptor, and serves until the process ends.
Result<> ServeZmqEcho(int announce_fd);

// The other end: a DEALER. Used by one thread.
class ZmqEcho final {
 public:
  static Result<ZmqEcho> Connect(const std::string& endpoint);
  ZmqEcho(ZmqEcho&& other) noexcept;
  ZmqEcho& operator=(ZmqEcho&&) = delete;
  ~ZmqEcho();

  // Sends so many messages of these bytes, all before the first answer is read, and waits for all
  // answers. Sent from where the bytes lie, and read by nobody where they land.
  Result<> Run(std::span<const std::byte> bytes, int count);

 private:
  ZmqEcho(void* context, void* socket) : context_(context), socket_(socket) {}

  void* context_;
  void* socket_;
};

}  // namespace shardmill::bench
