#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace shardmill::chaos {

// Cuts the bytes of one way of a ZeroMQ connection (ZMTP 3) into what may be kept from the other
// side, whole messages, and what may not: greeting and commands. A value of one thread; bytes that
// are no ZMTP come out as they came in.
class MessageStream final {
 public:
  struct Unit {
    bool message = false;
    std::string bytes = {};
  };

  void Add(std::span<const char> bytes) { bytes_.append(bytes.data(), bytes.size()); }
  // The next that is whole.
  std::optional<Unit> Next();

 private:
  std::optional<Unit> Take(size_t size, bool message);

  std::string bytes_;
  size_t frames_ = 0;    // Of the message that is not whole yet, how many bytes were looked at.
  size_t greeting_ = 0;  // Bytes that have come of it.
};

}  // namespace shardmill::chaos
