#include "common/process/announce.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "common/json/json.h"
#include "common/process/file_descriptor.h"

namespace shardmill {
namespace {

constexpr size_t kLineBytesMax = 4096;

Result<Announcement> Parse(const std::string& line) {
  const JsonValue json = SM_TRY(ParseJson(line));
  const JsonValue* address = json.Find("address");
  const JsonValue* http = json.Find("http");
  if (!address || !http || address->kind != JsonValue::Kind::kText ||
      http->kind != JsonValue::Kind::kText) {
    return Error{ErrorCode::kBadInput, "it lacks \"address\" or \"http\""};
  }
  return Announcement{address->text, http->text};
}

}  // namespace

Result<> Announce(int fd, const Announcement& announcement) {
  if (fd < 0) return {};
  const FileDescriptor owned(fd);
  JsonWriter writer;
  writer.BeginObject();
  writer.Key("address").Text(announcement.address).Key("http").Text(announcement.http);
  const std::string line = writer.EndObject().Take() + "\n";
  size_t written = 0;
  while (written < line.size()) {
    const ssize_t count = write(fd, line.data() + written, line.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return Error{ErrorCode::kBadUsage, "cannot write to --announce-fd " + std::to_string(fd) +
                                             ": " + std::generic_category().message(errno)};
    }
    written += static_cast<size_t>(count);
  }
  return {};
}

Result<std::optional<Announcement>> AnnouncementReader::Read(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd polled{fd_, POLLIN, 0};
    const int ready = poll(&polled, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready == 0) return std::optional<Announcement>();
    std::array<char, 256> bytes{};
    const ssize_t count = ready < 0 ? -1 : read(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      return Error{ErrorCode::kFailed, "it ended before it said where it listens"};
    }
    line_.append(bytes.data(), static_cast<size_t>(count));
    if (const size_t end = line_.find('\n'); end != std::string::npos) {
      Result<Announcement> parsed = Parse(line_.substr(0, end));
      if (parsed.ok()) return std::optional(std::move(parsed).value());
      return Error{ErrorCode::kBadInput,
                   "what it says of where it listens is bad: " + parsed.error().message};
    }
    if (line_.size() > kLineBytesMax) {
      return Error{ErrorCode::kBadInput, "what it says of where it listens has no end"};
    }
  }
}

}  // namespace shardmill
