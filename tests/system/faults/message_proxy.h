#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/result.h"

namespace shardmill::chaos {

// What becomes of the messages that go one way. Each is a chance of each message.
struct Weather {
  double dropped = 0;
  double doubled = 0;
  double delayed = 0;  // By up to delay_max; others overtake it.
  std::chrono::milliseconds delay_max{20};
  bool cut = false;  // None gets through, and nobody who connects now is heard before it ends.
};

// One way of a connection through the proxy: from who has called to who was, or back. Both are
// processes that the proxy was told of; 0: another.
struct Route {
  int caller = 0;
  int called = 0;
  bool back = false;

  bool From(int process) const { return process == (back ? called : caller); }
  bool To(int process) const { return process == (back ? caller : called); }
};

// Stands between processes that speak ZeroMQ over TCP and drops, doubles, delays and reorders whole
// multipart messages, as the seed says; what it cannot see, the handshakes, it passes on. It knows
// where messages begin and end and looks into none, except for one thing: in messages to an address
// that was opened with `finds_more`, the addresses of others, "tcp://127.0.0.1:" and five digits,
// become those of the proxy. Not for connections with keys, whose messages are numbered.
//
// Owned by a test, which calls it on any one thread; it moves bytes on a thread of its own.
// Whatever it cannot do ends the connection that it is for.
class MessageProxy final {
 public:
  using Forecast = std::function<Weather(const Route& route)>;

  explicit MessageProxy(uint64_t seed);
  ~MessageProxy();
  MessageProxy(const MessageProxy&) = delete;
  MessageProxy& operator=(const MessageProxy&) = delete;

  // Who connects to the address that comes back is connected to `to`.
  Result<std::string> Open(const std::string& to, bool finds_more);

  // A process that a Route may name.
  void Know(int process);

  // From now on. Called on the proxy's thread, for each message.
  void Set(Forecast forecast);
  // Ends connections as a machine does that has lost its memory: with a reset.
  void Reset(const std::function<bool(const Route& route)>& which);

  struct Counts {
    uint64_t passed = 0;
    uint64_t dropped = 0;
    uint64_t doubled = 0;
    uint64_t delayed = 0;
    uint64_t reset = 0;
  };
  Counts counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shardmill::chaos
