#include "common/config/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>
#include <vector>

namespace shardmill::config {
namespace {

struct Unit {
  std::string_view name;
  uint64_t scale;
};

constexpr std::array<Unit, 5> kDurationUnits = {{
    {"d", 24ULL * 60 * 60 * 1000},
    {"h", 60ULL * 60 * 1000},
    {"m", 60'000},
    {"s", 1'000},
    {"ms", 1},
}};

constexpr std::array<Unit, 5> kSizeUnits = {{
    {"TiB", 1ULL << 40},
    {"GiB", 1ULL << 30},
    {"MiB", 1ULL << 20},
    {"KiB", 1ULL << 10},
    {"B", 1},
}};

constexpr size_t kMessageTextMax = 60;    // Bytes of foreign text shown in a message.
constexpr size_t kNearestLengthMax = 80;  // Longer words are no misspelt key; comparing is costly.

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes the leading whole number off `text`.
std::optional<uint64_t> TakeNumber(std::string_view* text) {
  uint64_t number = 0;
  const char* end = text->data() + text->size();
  auto [rest, error] = std::from_chars(text->data(), end, number);
  if (error != std::errc{}) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(rest - text->data()));
  return number;
}

std::optional<uint64_t> Scale(uint64_t number, uint64_t scale) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(number, scale, &product)) return std::nullopt;
  return product;
}

// The bytes of the UTF-8 sequence at the front of `text`, or 0 where it is broken.
size_t SequenceLength(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80             ? 1
                        : (lead & 0xE0) == 0xC0 ? 2
                        : (lead & 0xF0) == 0xE0 ? 3
                        : (lead & 0xF8) == 0xF0 ? 4
                                                : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  return length;
}

std::string Escape(char c) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default: {
      const auto byte = static_cast<unsigned char>(c);
      return std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
    }
  }
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// Edits between two words, where swapping neighbours counts as one.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      now[j] =
          std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

std::string_view LastPart(std::string_view key) { return key.substr(key.rfind('.') + 1); }

}  // namespace

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  uint64_t total = 0;
  size_t unit_next = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const std::optional<uint64_t> number = TakeNumber(&text);
    if (!number) return std::nullopt;
    const std::string_view name = text.substr(
        0, static_cast<size_t>(std::find_if(text.begin(), text.end(), IsDigit) - text.begin()));
    text.remove_prefix(name.size());
    while (unit_next < kDurationUnits.size() && kDurationUnits[unit_next].name != name) ++unit_next;
    if (unit_next == kDurationUnits.size()) return std::nullopt;
    const std::optional<uint64_t> part = Scale(*number, kDurationUnits[unit_next++].scale);
    if (!part || __builtin_add_overflow(total, *part, &total)) return std::nullopt;
  }
  if (total > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return std::chrono::milliseconds(static_cast<int64_t>(total));
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  if (duration.count() <= 0) return "0s";
  auto rest = static_cast<uint64_t>(duration.count());
  std::string text;
  for (const Unit& unit : kDurationUnits) {
    if (rest >= unit.scale) text += std::to_string(rest / unit.scale) + std::string(unit.name);
    rest %= unit.scale;
  }
  return text;
}

std::string FormatAbout(std::chrono::milliseconds duration) {
  using std::chrono::milliseconds;
  struct Step {
    milliseconds below;
    milliseconds to;
  };
  constexpr std::array<Step, 4> kSteps = {{{std::chrono::seconds(1), milliseconds(1)},
                                           {std::chrono::seconds(10), milliseconds(100)},
                                           {std::chrono::hours(1), std::chrono::seconds(1)},
                                           {std::chrono::hours(24), std::chrono::minutes(1)}}};
  milliseconds to = std::chrono::hours(1);
  for (const Step& step : kSteps) {
    if (duration < step.below) to = std::min(to, step.to);
  }
  return FormatDuration((duration + to / 2) / to * to);
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  const std::optional<uint64_t> number = TakeNumber(&text);
  if (!number) return std::nullopt;
  if (text.starts_with(' ')) text.remove_prefix(1);
  for (const Unit& unit : kSizeUnits) {
    if (unit.name == text) return Scale(*number, unit.scale);
  }
  return std::nullopt;
}

std::string FormatSize(uint64_t bytes) {
  for (const Unit& unit : kSizeUnits) {
    if (bytes >= unit.scale && bytes % unit.scale == 0) {
      return std::to_string(bytes / unit.scale) + std::string(unit.name);
    }
  }
  return "0B";
}

std::string FormatReal(double value) {
  std::array<char, 32> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  if (error != std::errc{}) return "nan";
  std::string text(buffer.data(), end);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string QuoteText(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += IsControl(c) ? Escape(c) : std::string(1, c);
  }
  return quoted + '"';
}

std::string QuoteForMessage(std::string_view text) {
  std::string shown;
  bool cut = false;
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const std::string piece =
        length == 0 || IsControl(text[0]) ? Escape(text[0]) : std::string(text.substr(0, length));
    cut = shown.size() + piece.size() > kMessageTextMax;
    if (cut) break;
    shown += piece;
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return '"' + shown + (cut ? "…\"" : "\"");
}

std::string Nearest(std::string_view word, std::span<const std::string> candidates) {
  if (word.size() > kNearestLengthMax) return "";
  std::string nearest;
  size_t nearest_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t shorter = std::min(word.size(), candidate.size());
    const size_t longer = std::max(word.size(), candidate.size());
    if (longer - shorter >= nearest_distance) continue;
    const size_t distance = Distance(word, candidate);
    if (distance >= nearest_distance) continue;
    nearest = candidate;
    nearest_distance = distance;
  }
  if (!nearest.empty()) return nearest;
  // A real key in the wrong section is a likely slip too.
  for (const std::string& candidate : candidates) {
    if (LastPart(candidate) == LastPart(word)) return candidate;
  }
  return "";
}

}  // namespace shardmill::config
