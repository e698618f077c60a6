#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "common/keys/key_ring.h"
#include "common/net/stranger.h"

namespace shardmill {

// What sockets of ours are called where ZeroMQ asks about who connects to them.
inline constexpr const char* kZapDomain = "shardmill";

// Answers ZeroMQ's question whether a key may come in (RFC 27), for all sockets of a context, on a
// thread of its own that also reads the list again. Owned by the ZmqContext; what it asks and tells
// outlives it. A question that is not as it must be is answered with no.
class ZapGate final {
 public:
  ZapGate(zmq::context_t& context, KeyRing& keys, GateObserver& observer);
  ~ZapGate();
  ZapGate(const ZapGate&) = delete;
  ZapGate& operator=(const ZapGate&) = delete;

 private:
  struct Verdict {
    bool in = false;
    std::string user;  // The key, as messages will name it.
  };

  void Run();
  void Answer();
  Verdict Judge(const std::vector<std::string>& question);
  bool Refresh();

  KeyRing& keys_;
  GateObserver& observer_;
  zmq::socket_t socket_;           // Used by the thread alone, once it runs.
  std::atomic<bool> stop_{false};  // Asks the thread to end.
  std::thread thread_;
};

}  // namespace shardmill
