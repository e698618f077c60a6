#include "cli/live_screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <string_view>

namespace shardmill {
namespace {

constexpr std::string_view kBegin = "\x1b[?1049h\x1b[?25l";  // Another page, and no cursor.
constexpr std::string_view kEnd = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kClearLine = "\x1b[K";
constexpr std::string_view kClearRest = "\x1b[J";

// A terminal that is gone is found at the next key.
void Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

bool ContinuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

Result<std::unique_ptr<LiveScreen>> LiveScreen::Open() {
  termios before{};
  const bool terminal = tcgetattr(STDIN_FILENO, &before) == 0 && isatty(STDOUT_FILENO) == 1;
  if (!terminal) {
    return Error{ErrorCode::kBadUsage,
                 "this is no terminal; shardmill status prints the same once"};
  }
  termios quiet = before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
  Write(kBegin);
  return std::make_unique<LiveScreen>(before);
}

LiveScreen::~LiveScreen() {
  Write(kEnd);
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void LiveScreen::Show(const std::string& text) const {
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
  std::istringstream lines(
      FitToScreen(text, known ? size.ws_row : 24U, known && size.ws_col > 0 ? size.ws_col : 80U));
  std::string drawn(kHome);
  bool first = true;
  for (std::string line; std::getline(lines, line); first = false) {
    drawn += (first ? "" : "\r\n") + line;
    drawn += kClearLine;
  }
  Write(drawn.append(kClearRest));
}

bool LiveScreen::AskedToEnd(std::chrono::milliseconds timeout) const {
  pollfd key{STDIN_FILENO, POLLIN, 0};
  if (poll(&key, 1, static_cast<int>(timeout.count())) <= 0) return false;
  char pressed = 0;
  if (read(STDIN_FILENO, &pressed, 1) <= 0) return true;  // The terminal is gone.
  return pressed == 'q' || pressed == 'Q';
}

std::string FitToScreen(const std::string& text, size_t rows, size_t columns) {
  std::istringstream lines(text);
  std::string fitting;
  size_t row = 0;
  const auto all = static_cast<size_t>(std::ranges::count(text, '\n'));
  for (std::string line; row < rows && std::getline(lines, line); ++row) {
    if (row > 0 && row + 1 == rows && all > rows) {
      line = "... " + std::to_string(all - row) + " more lines";
    }
    std::ranges::replace_if(
        line, [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }, '?');
    size_t end = 0;
    for (size_t column = 0; end < line.size() && column < columns; ++column) {
      do {
        ++end;
      } while (end < line.size() && ContinuesCharacter(line[end]));
    }
    fitting += line.substr(0, end) + "\n";
  }
  return fitting;
}

}  // namespace shardmill
