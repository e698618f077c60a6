#pragma once

#include <cstdint>
#include <string>

namespace shardmill {

// Somebody who was not let in, or let in no more.
struct Stranger {
  enum class Why : uint8_t {
    kHandshake,  // Speaks another protocol, another mechanism, or has the wrong key of ours.
    kKey,        // Has a key that is not on the list.
    kRevoked,    // Had one, and it was taken off.
    kLocal,      // Came to the local socket without a ticket.
  };

  Why why = Why::kHandshake;
  std::string from;   // Where from, as far as is known.
  std::string words;  // For a person.
};

// Is told of strangers, and of what is wrong with the list. On threads of agents' and of ZeroMQ's
// gate, several at a time.
class GateObserver {
 public:
  virtual ~GateObserver() = default;
  virtual void Refused(const Stranger& stranger) = 0;
  virtual void Trouble(const std::string& words) = 0;
};

}  // namespace shardmill
