#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// How values look in words: in the job file, in messages and on the command line.
namespace shardmill::config {

// "250ms", "10m", "1h30m": whole numbers with the units d, h, m, s and ms, each once and the
// largest first. Nothing where the text is anything else or does not fit.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
std::string FormatDuration(std::chrono::milliseconds duration);
// The same for a time that was measured, rounded to what a person wants to know: "3s", "1m5s".
std::string FormatAbout(std::chrono::milliseconds duration);

// "64MiB", "4 KiB": a whole number and one of B, KiB, MiB, GiB and TiB.
std::optional<uint64_t> ParseSize(std::string_view text);
std::string FormatSize(uint64_t bytes);

// The shortest text that gives the same number again, always a TOML float.
std::string FormatReal(double value);

// The text as a TOML string, quotes included.
std::string QuoteText(std::string_view text);

// Text from outside made fit for a message: quoted, one line, ASCII control bytes and broken UTF-8
// escaped, and cut where it is long.
std::string QuoteForMessage(std::string_view text);

// The candidate that a person most likely meant, or an empty text where none is near.
std::string Nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace shardmill::config
