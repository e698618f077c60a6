#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace shardmill {

// The line that ends the options at the top of a daemon's log. What follows is what happened.
inline constexpr std::string_view kOptionsEnd = "# These were the options in effect.";

// Where a daemon can be found once it listens: what it tells the process that started it.
struct Announcement {
  std::string address;  // "tcp://127.0.0.1:4711"; empty where it listens to no peers.
  std::string http;     // "127.0.0.1:4712"; empty where it serves no HTTP.

  bool operator==(const Announcement&) const = default;
};

// Writes the announcement as one line of JSON to the descriptor that --announce-fd named, and
// closes it. A negative number, "nobody asked", does nothing.
Result<> Announce(int fd, const Announcement& announcement);

// The other end: reads the line, bit by bit. Owned by whoever started the daemon, one thread; the
// descriptor is borrowed. What comes is distrusted: length and form are checked.
class AnnouncementReader final {
 public:
  explicit AnnouncementReader(int fd) : fd_(fd) {}

  // Waits up to `timeout`. Nothing while the line is not whole; an error where none can come,
  // because the daemon has ended or wrote something else.
  Result<std::optional<Announcement>> Read(std::chrono::milliseconds timeout);

 private:
  int fd_;
  std::string line_;
};

}  // namespace shardmill
