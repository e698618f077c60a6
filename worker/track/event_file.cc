#include "worker/track/event_file.h"

#include <bit>
#include <span>

#include "common/crc32c.h"

namespace shardmill {
namespace {

// Of Event and Summary in TensorFlow's event.proto and summary.proto: number << 3 | wire type.
constexpr char kWallTime = 1 << 3 | 1;
constexpr char kStep = 2 << 3 | 0;
constexpr char kFileVersion = 3 << 3 | 2;
constexpr char kSummary = 5 << 3 | 2;
constexpr char kValue = 1 << 3 | 2;
constexpr char kTag = 1 << 3 | 2;
constexpr char kSimpleValue = 2 << 3 | 5;

template <class T>
void AddFixed(T value, std::string& to) {
  for (size_t i = 0; i < sizeof(value); ++i) to += static_cast<char>(value >> (8 * i));
}

void AddVarint(uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}

void AddBytes(char field, std::string_view bytes, std::string& to) {
  to += field;
  AddVarint(bytes.size(), to);
  to += bytes;
}

std::string EventAt(double unix_seconds) {
  std::string event(1, kWallTime);
  AddFixed(std::bit_cast<uint64_t>(unix_seconds), event);
  return event;
}

uint32_t MaskedCrc(std::string_view bytes) {
  constexpr uint32_t kMask = 0xa282ead8;
  return std::rotr(Crc32c(std::as_bytes(std::span(bytes))), 15) + kMask;
}

}  // namespace

Result<std::unique_ptr<EventFile>> EventFile::Make(const std::string& folder,
                                                   const std::string& name, double unix_seconds) {
  const std::string second = std::to_string(static_cast<uint64_t>(unix_seconds));
  std::unique_ptr<EventFile> file(
      new EventFile(folder + "/events.out.tfevents." + second + "." + name));
  std::string event = EventAt(unix_seconds);
  AddBytes(kFileVersion, "brain.Event:2", event);
  SM_TRY(file->Append(event));
  return file;
}

Result<> EventFile::Write(double unix_seconds, uint64_t step,
                          const std::vector<std::pair<std::string, double>>& values) {
  std::string summary;
  for (const auto& [name, number] : values) {
    std::string value;
    AddBytes(kTag, name, value);
    value += kSimpleValue;
    AddFixed(std::bit_cast<uint32_t>(static_cast<float>(number)), value);
    AddBytes(kValue, value, summary);
  }
  std::string event = EventAt(unix_seconds);
  event += kStep;
  AddVarint(step, event);
  AddBytes(kSummary, summary, event);
  return Append(event);
}

Result<> EventFile::Append(std::string_view event) {
  std::string record;
  AddFixed(uint64_t{event.size()}, record);
  AddFixed(MaskedCrc(record), record);
  record += event;
  AddFixed(MaskedCrc(event), record);
  file_ << record << std::flush;
  if (file_.good()) return {};
  return Error{ErrorCode::kFailed, path_ + ": it cannot be written"};
}

}  // namespace shardmill
