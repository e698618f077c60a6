#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

namespace shardmill {

enum class LogLevel : uint8_t { kTrace, kDebug, kInfo, kWarn, kError };

// The level of a word that the job file accepts ("trace" to "error").
LogLevel LogLevelNamed(std::string_view word);

// A key of an event and its value, as it is written.
struct LogField {
  LogField(std::string_view field, std::string_view text) : key(field), value(text) {}
  LogField(std::string_view field, const char* text) : key(field), value(text) {}
  LogField(std::string_view field, const std::string& text) : key(field), value(text) {}
  LogField(std::string_view field, bool flag) : key(field), value(flag ? "true" : "false") {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) LogField(std::string_view field, T number)
      : key(field), value(std::to_string(number)) {}
  LogField(std::string_view field, double number);

  std::string_view key;
  std::string value;
};

// "event key=value key="two words"": one line, whatever the values hold.
std::string FormatEvent(std::string_view event, std::initializer_list<LogField> fields);

// The one logger of a process: changes of state as lines of "event key=value" under a UTC time on
// stderr. Made in main and passed in, lives as long as all who write to it; any thread may call.
// What cannot be written is lost without a word: nobody could be told.
class Log final {
 public:
  Log(std::string_view program, LogLevel least);
  Log(std::string_view program, LogLevel least, std::ostream* out);  // For tests.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void Debug(std::string_view event, std::initializer_list<LogField> fields = {}) const;
  void Info(std::string_view event, std::initializer_list<LogField> fields = {}) const;
  void Warn(std::string_view event, std::initializer_list<LogField> fields = {}) const;
  void Error(std::string_view event, std::initializer_list<LogField> fields = {}) const;
  void Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) const;

 private:
  struct Impl;  // Keeps the logging library, which is slow to compile, out of this header.
  std::unique_ptr<Impl> impl_;
};

}  // namespace shardmill
