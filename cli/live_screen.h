#pragma once

#include <termios.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/result.h"

namespace shardmill {

// A terminal that shows one page, drawn anew each time, and gives back what it showed before. Owned
// by a command, on the main thread; between Open and the end, nobody else writes there.
class LiveScreen final {
 public:
  // kBadUsage: stdin or stdout is no terminal.
  static Result<std::unique_ptr<LiveScreen>> Open();
  explicit LiveScreen(const termios& before) : before_(before) {}  // For Open.
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  // As much of it as there is room for now.
  void Show(const std::string& text) const;

  // Waits for a key, `timeout` at most. Whether it was one that ends: q.
  bool AskedToEnd(std::chrono::milliseconds timeout) const;

 private:
  termios before_;
};

// The lines and columns of a text that there is room for, without what would move the cursor.
std::string FitToScreen(const std::string& text, size_t rows, size_t columns);

}  // namespace shardmill
