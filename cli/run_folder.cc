#include "cli/run_folder.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "cli/whole_file.h"
#include "common/json/json.h"
#include "worker/track/tracker.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecordName = "job.json";
constexpr size_t kRecordBytesMax = 64 << 10;

std::string TextOf(const JsonValue& json, std::string_view key) {
  const JsonValue* value = json.Find(key);
  return value && value->kind == JsonValue::Kind::kText ? value->text : "";
}

}  // namespace

std::string UtcStamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  const size_t size = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts);
  return {text.data(), size};
}

Result<std::string> MakeRunFolder(const std::string& runs, const std::string& name,
                                  const std::string& stamp) {
  constexpr int kTriesMax = 1000;
  std::error_code why;
  fs::create_directories(runs, why);
  const std::string plain = runs + "/" + name + "-" + stamp;
  std::string path = plain;
  for (int i = 2; !why && i <= kTriesMax; ++i) {
    if (fs::create_directory(path, why)) return path;
    path = plain + "-" + std::to_string(i);
  }
  return Error{ErrorCode::kFailed, "cannot make a folder for the run under " + runs + ": " +
                                       (why ? why.message() : "too many of this second") +
                                       "; see job.runs"};
}

Result<> WriteTextFile(const std::string& path, std::string_view text) {
  WholeFile file(path);
  file.stream() << text;
  return file.Commit();
}

Result<> WriteRunRecord(const std::string& folder, const RunRecord& record) {
  JsonWriter json;
  json.BeginObject();
  json.Key("name").Text(record.name).Key("file").Text(record.file);
  json.Key("coordinator").Text(record.coordinator).Key("http").Text(record.http);
  return WriteTextFile(folder + "/" + kRecordName, json.EndObject().Take() + "\n");
}

Result<RunRecord> ReadRunRecord(const std::string& folder) {
  const std::string path = folder + "/" + kRecordName;
  std::ifstream file(path, std::ios::binary);
  std::string text(kRecordBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  const Result<JsonValue> json = ParseJson(text);
  if (!json.ok()) return Error{ErrorCode::kBadInput, path + ": " + json.error().message};
  return RunRecord{TextOf(json.value(), "name"), TextOf(json.value(), "file"),
                   TextOf(json.value(), "coordinator"), TextOf(json.value(), "http")};
}

std::vector<std::string> FindRuns(const std::string& runs) {
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  std::error_code why;
  for (fs::directory_iterator entry(runs, why), end; !why && entry != end; entry.increment(why)) {
    std::error_code none;
    const auto time = fs::last_write_time(entry->path() / kRecordName, none);
    if (!none) found.emplace_back(time, entry->path().string());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> paths;
  for (auto& [time, path] : found) paths.push_back(std::move(path));
  return paths;
}

std::string FindModelFile(const std::string& runs, const std::string& job,
                          const std::function<bool(const std::string& file)>& wanted) {
  for (const std::string& run : FindRuns(runs)) {
    const Result<RunRecord> record = ReadRunRecord(run);
    std::string file = run + "/" + kModelFile;
    std::error_code none;
    const bool of_job = record.ok() && record.value().name == job;
    if (of_job && fs::exists(file, none) && wanted(file)) return file;
  }
  return "";
}

std::vector<std::string> ReadLeftOut(const std::string& tracks) {
  std::vector<std::string> rows;
  std::error_code why;
  for (fs::directory_iterator entry(tracks, why), end; !why && entry != end; entry.increment(why)) {
    if (!entry->path().string().ends_with(Tracker::kLeftOutEnding)) continue;
    std::ifstream file(entry->path());
    for (std::string line; std::getline(file, line);) rows.push_back(line);
    break;
  }
  return rows;
}

std::vector<JsonValue> ReadComputed(const std::string& tracks, uint64_t workers) {
  std::vector<JsonValue> all;
  for (uint64_t rank = 0; rank < workers; ++rank) {
    std::ifstream file(tracks + "/worker-" + std::to_string(rank) +
                       std::string(Tracker::kComputedEnding));
    const std::string text(std::istreambuf_iterator<char>(file), {});
    Result<JsonValue> json = ParseJson(text);
    if (json.ok()) all.push_back(std::move(json).value());
  }
  return all;
}

std::string LastLines(const std::string& path, size_t lines, std::string_view after) {
  constexpr size_t kLineBytesMax = 2000;
  std::ifstream file(path);
  std::deque<std::string> last;
  for (std::string line; std::getline(file, line);) {
    if (line == after && !after.empty()) {
      last.clear();
      continue;
    }
    last.push_back(line.substr(0, kLineBytesMax));
    if (last.size() > lines) last.pop_front();
  }
  std::string text;
  for (const std::string& line : last) text += "  " + line + "\n";
  return text;
}

}  // namespace shardmill
