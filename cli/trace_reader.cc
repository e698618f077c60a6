#include "cli/trace_reader.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/json/json.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> TracesIn(const fs::path& folder) {
  std::vector<std::string> paths;
  std::error_code why;
  for (fs::directory_iterator entry(folder, why), end; !why && entry != end; entry.increment(why)) {
    if (entry->path().extension() == kTraceSuffix) paths.push_back(entry->path().string());
  }
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

Result<std::unique_ptr<TraceReader>> TraceReader::Open(const std::string& path) {
  std::unique_ptr<TraceReader> reader(new TraceReader(path));
  if (!reader->file_) {
    return Error{ErrorCode::kUnavailable, path +
                                              ": cannot be read; `shardmill train FILE "
                                              "--record` writes traces"};
  }
  const std::optional<TraceEvent> first = SM_TRY(reader->ReadEvent());
  if (!first || !std::holds_alternative<TraceHead>(*first)) {
    return reader->Bad("the trace does not begin with its head");
  }
  reader->head_ = std::get<TraceHead>(*first);
  if (reader->head_.shard.value < reader->head_.shards) return reader;
  return reader->Bad("the trace is of a shard that its job does not have");
}

TraceReader::TraceReader(const std::string& path) : path_(path), file_(path, std::ios::binary) {}

Error TraceReader::Bad(const std::string& words) const {
  return {ErrorCode::kBadInput, path_ + ":" + std::to_string(line_) + ": " + words};
}

Result<bool> TraceReader::ReadLine(std::string& text, bool& whole) {
  text.clear();
  whole = false;
  std::streambuf& bytes = *file_.rdbuf();
  using Traits = std::streambuf::traits_type;
  for (Traits::int_type c = bytes.sbumpc(); c != Traits::eof(); c = bytes.sbumpc()) {
    if (text.empty()) ++line_;
    if (c == '\n') {
      whole = true;
      return true;
    }
    if (text.size() >= kJsonBytesMax) return Bad("the line is too long for a trace");
    text += Traits::to_char_type(c);
  }
  return !text.empty();
}

// Neither head nor order is looked at here.
Result<std::optional<TraceEvent>> TraceReader::ReadEvent() {
  std::string text;
  bool whole = false;
  const bool there = SM_TRY(ReadLine(text, whole));
  if (!there) {
    flaw_ = "it ends without its last line: whoever wrote it was killed or could not go on";
    return std::optional<TraceEvent>();
  }
  if (!whole) {
    flaw_ = "line " + std::to_string(line_) + " is cut off";
    return std::optional<TraceEvent>();
  }
  Result<TraceEvent> event = ParseTrace(text);
  if (event.ok()) return std::optional<TraceEvent>(std::move(event).value());
  if (file_.rdbuf()->sgetc() != std::streambuf::traits_type::eof()) {
    return Bad(event.error().message);
  }
  flaw_ = "line " + std::to_string(line_) + ", the last, is damaged: " + event.error().message;
  return std::optional<TraceEvent>();
}

Result<std::optional<TraceEvent>> TraceReader::Next() {
  std::optional<TraceEvent> event = SM_TRY(ReadEvent());
  if (!event) return event;
  if (std::holds_alternative<TraceHead>(*event)) return Bad("a second head in one trace");
  const auto* end = std::get_if<TraceEnd>(&*event);
  if (end == nullptr) return event;
  if (end->events + 1 != line_) {
    return Bad("the trace has " + std::to_string(line_ - 1) +
               " lines before its last, which says " + std::to_string(end->events));
  }
  if (file_.rdbuf()->sgetc() != std::streambuf::traits_type::eof()) {
    return Bad("there is more behind the trace's last line");
  }
  return std::optional<TraceEvent>();
}

Result<std::vector<std::string>> FindTraces(const std::string& path) {
  std::error_code why;
  if (!fs::is_directory(path, why)) return std::vector<std::string>{path};
  std::vector<std::string> paths = TracesIn(path);
  if (paths.empty()) paths = TracesIn(fs::path(path) / "trace");
  if (!paths.empty()) return paths;
  return Error{ErrorCode::kUnavailable, path +
                                            ": there is no trace in this folder; `shardmill "
                                            "train FILE --record` writes traces"};
}

}  // namespace shardmill
