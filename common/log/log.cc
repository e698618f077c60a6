#include "common/log/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "common/assert.h"

namespace shardmill {
namespace {

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  SM_ASSERT(false);
}

bool IsControl(char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7F; }

std::string QuoteWhereNeeded(std::string_view value) {
  const bool plain = !value.empty() && std::none_of(value.begin(), value.end(), [](char c) {
    return IsControl(c) || c == ' ' || c == '"' || c == '=' || c == '\\';
  });
  if (plain) return std::string(value);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      text += {'\\', c};
    } else if (c == '\n') {
      text += "\\n";
    } else if (IsControl(c)) {
      text += {'\\', 'x', kHex[static_cast<uint8_t>(c) >> 4], kHex[static_cast<uint8_t>(c) & 15]};
    } else {
      text += c;
    }
  }
  return text + "\"";
}

}  // namespace

struct Log::Impl {
  Impl(std::string_view program, LogLevel least, spdlog::sink_ptr sink)
      : logger(std::string(program), std::move(sink)) {
    logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %l %n %v", spdlog::pattern_time_type::utc));
    logger.set_level(LevelOf(least));
    logger.flush_on(spdlog::level::trace);  // The last line before a crash matters most.
    logger.set_error_handler([](const std::string&) {});
  }

  spdlog::logger logger;
};

LogLevel LogLevelNamed(std::string_view word) {
  if (word == "trace") return LogLevel::kTrace;
  if (word == "debug") return LogLevel::kDebug;
  if (word == "warn") return LogLevel::kWarn;
  if (word == "error") return LogLevel::kError;
  SM_ASSERT(word == "info");
  return LogLevel::kInfo;
}

LogField::LogField(std::string_view field, double number) : key(field) {
  std::array<char, 32> digits{};
  value.assign(digits.data(),
               std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

std::string FormatEvent(std::string_view event, std::initializer_list<LogField> fields) {
  std::string line(event);
  for (const LogField& field : fields) {
    line += " ";
    line += field.key;
    line += '=';
    line += QuoteWhereNeeded(field.value);
  }
  return line;
}

Log::Log(std::string_view program, LogLevel least)
    : impl_(std::make_unique<Impl>(program, least,
                                   std::make_shared<spdlog::sinks::stderr_sink_mt>())) {}

Log::Log(std::string_view program, LogLevel least, std::ostream* out)
    : impl_(std::make_unique<Impl>(program, least,
                                   std::make_shared<spdlog::sinks::ostream_sink_mt>(*out))) {}

Log::~Log() = default;

void Log::Debug(std::string_view event, std::initializer_list<LogField> fields) const {
  Write(LogLevel::kDebug, event, fields);
}

void Log::Info(std::string_view event, std::initializer_list<LogField> fields) const {
  Write(LogLevel::kInfo, event, fields);
}

void Log::Warn(std::string_view event, std::initializer_list<LogField> fields) const {
  Write(LogLevel::kWarn, event, fields);
}

void Log::Error(std::string_view event, std::initializer_list<LogField> fields) const {
  Write(LogLevel::kError, event, fields);
}

void Log::Write(LogLevel level, std::string_view event,
                std::initializer_list<LogField> fields) const {
  if (!impl_->logger.should_log(LevelOf(level))) return;
  impl_->logger.log(LevelOf(level), spdlog::string_view_t(FormatEvent(event, fields)));
}

}  // namespace shardmill
