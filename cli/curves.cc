#include "cli/curves.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "cli/run_folder.h"
#include "common/json/json.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

struct Line {
  double time = 0;
  double step = 0;
  std::vector<std::pair<std::string, double>> values;
};

std::optional<double> NumberAt(const JsonValue& object, const char* key) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr || value->kind != JsonValue::Kind::kNumber) return {};
  return value->number;
}

std::optional<Line> ParseLine(const std::string& text) {
  const Result<JsonValue> json = ParseJson(text);
  if (!json.ok()) return {};
  const std::optional<double> time = NumberAt(json.value(), "time");
  const std::optional<double> step = NumberAt(json.value(), "step");
  const JsonValue* values = json.value().Find("values");
  if (!time || !step || values == nullptr) return {};
  Line line{*time, *step, {}};
  for (const auto& [name, value] : values->members) {
    if (value.kind == JsonValue::Kind::kNumber) line.values.emplace_back(name, value.number);
  }
  return line;
}

Result<std::vector<Line>> ReadLines(const std::string& path) {
  std::vector<Line> lines;
  std::ifstream file(path);
  size_t number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    if (file.eof()) break;  // Half a line, of a process that was killed or writes just now.
    std::optional<Line> line = ParseLine(text);
    if (!line) {
      return Error{ErrorCode::kBadInput,
                   path + ":" + std::to_string(number) + ": no line that a worker writes"};
    }
    lines.push_back(std::move(*line));
  }
  return lines;
}

// The files of workers, the first first: worker-2 before worker-10.
std::vector<std::string> LineFiles(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code why;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, why)) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path().string());
  }
  std::ranges::sort(files, {},
                    [](const std::string& file) { return std::pair(file.size(), file); });
  return files;
}

void ReadResult(const std::string& folder, RunCurves& run) {
  std::ostringstream text;
  text << std::ifstream(folder + "/" + kResultFile).rdbuf();
  const Result<JsonValue> json = ParseJson(text.str());
  if (!json.ok()) return;
  const JsonValue* policy = json.value().Find("policy");
  if (policy != nullptr) run.policy = policy->text;
  run.samples_per_second = NumberAt(json.value(), "samples_per_second").value_or(0);
  run.staleness_max = static_cast<uint64_t>(NumberAt(json.value(), "staleness_max").value_or(0));
}

}  // namespace

Result<RunCurves> ReadCurves(const std::string& folder) {
  RunCurves run;
  const fs::path path = fs::path(folder).lexically_normal();
  run.name =
      path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
  ReadResult(folder, run);
  std::vector<std::vector<Line>> workers;
  for (const std::string& file : LineFiles(folder + "/" + kTrackFolder)) {
    workers.push_back(SM_TRY(ReadLines(file)));
  }
  double begin = 0;
  bool any = false;
  for (const std::vector<Line>& lines : workers) {
    if (lines.empty()) continue;
    begin = any ? std::min(begin, lines.front().time) : lines.front().time;
    any = true;
  }
  if (!any) {
    return Error{ErrorCode::kBadUsage,
                 folder + ": no run that was tracked; it has no " + kTrackFolder + "/*.jsonl"};
  }
  for (const std::vector<Line>& lines : workers) {
    std::map<std::string, std::vector<CurvePoint>> own;
    for (const Line& line : lines) {
      for (const auto& [name, value] : line.values) {
        std::vector<CurvePoint>& curve = own[name];
        while (!curve.empty() && curve.back().step >= line.step) curve.pop_back();
        curve.push_back({line.time - begin, line.step, value});
      }
    }
    run.curves.merge(own);
  }
  return run;
}

}  // namespace shardmill
