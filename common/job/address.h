#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shardmill {

// Where something listens or is found.
struct Address {
  std::string host;  // A name or a number; IPv6 keeps its brackets.
  uint16_t port = 0;

  std::string Endpoint() const { return "tcp://" + host + ":" + std::to_string(port); }
  bool operator==(const Address&) const = default;
};

// "HOST:PORT" or "tcp://HOST:PORT", with a port from 1 to 65535. Nothing where it is anything else.
std::optional<Address> ParseAddress(std::string_view text);

// Whether the text can name a host: letters, digits and ".:-_[]%", and not too long.
bool IsHost(std::string_view host);

// Whether the host names this machine alone.
bool IsLoopback(std::string_view host);

}  // namespace shardmill
