#include "common/job/address.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace shardmill {
namespace {

constexpr size_t kHostBytesMax = 253;  // What DNS allows.

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

bool IsHost(std::string_view host) {
  constexpr std::string_view kMarks = ".:-_[]%";
  return !host.empty() && host.size() <= kHostBytesMax &&
         std::all_of(host.begin(), host.end(), [&](char c) {
           return IsAlphanumeric(c) || kMarks.find(c) != std::string_view::npos;
         });
}

std::optional<Address> ParseAddress(std::string_view text) {
  constexpr std::string_view kScheme = "tcp://";
  if (text.starts_with(kScheme)) text.remove_prefix(kScheme.size());
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  // A second colon belongs to an IPv6 number, which wants brackets.
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (!IsHost(host) || (host.find(':') != std::string_view::npos && !brackets)) return std::nullopt;
  uint16_t port = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc{} || rest != end || port == 0) return std::nullopt;
  return Address{std::string(host), port};
}

bool IsLoopback(std::string_view host) {
  if (host == "localhost" || host == "::1" || host == "[::1]") return true;
  if (!host.starts_with("127.")) return false;
  // "127.example.org" is a name like any other: only numbers count.
  return std::count(host.begin(), host.end(), '.') == 3 && !host.ends_with('.') &&
         host.find("..") == std::string_view::npos &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace shardmill
