#include "bench/callgrind.h"

#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "bench/hot_paths.h"
#include "common/json/json.h"
#include "common/process/child.h"

namespace shardmill::bench {
namespace {

namespace fs = std::filesystem;

// Counts of another instruction set compare with nothing.
#ifdef __AVX2__
constexpr bool kComparable = true;
#else
constexpr bool kComparable = false;
#endif
constexpr const char* kValgrind = "/usr/bin/valgrind";
constexpr std::chrono::minutes kRunMax{10};

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Paths in the order in which RunHotPaths takes them.
std::vector<std::string> PathNames() {
  std::vector<std::string> names;
  for (const HotPath& path : HotPaths()) names.push_back(path.name);
  return names;
}

}  // namespace

Result<double> ReadDump(const std::string& text) {
  const std::string key = "\ntotals: ";
  const size_t at = text.find(key);
  double number = 0;
  if (at != std::string::npos) {
    const char* begin = text.data() + at + key.size();
    const auto read = std::from_chars(begin, text.data() + text.size(), number);
    if (read.ec == std::errc() && number > 0) return number;
  }
  return Error{ErrorCode::kBadInput, "a dump of callgrind counts nothing"};
}

Result<InstructionCounts> CountInstructions(const std::string& peer, const std::string& scratch) {
  if (!kComparable) {
    return Error{ErrorCode::kUnavailable,
                 "this build is for any x86-64, and the counts in the tree are for x86-64-v3"};
  }
  if (access(kValgrind, X_OK) != 0) {
    return Error{ErrorCode::kUnavailable, "valgrind is not installed: apt-get install valgrind"};
  }
  const std::string out = scratch + "/callgrind";
  ChildOptions options;
  options.name = "valgrind";
  options.argv = {kValgrind,
                  "--tool=callgrind",
                  "--callgrind-out-file=" + out,
                  "--collect-atstart=no",
                  std::string("--toggle-collect=") + kCountedFunctionToo,
                  std::string("--dump-after=") + kCountedFunction,
                  peer,
                  "hot-paths"};
  options.log_path = scratch + "/valgrind.log";
  const std::unique_ptr<Child> child = SM_TRY(Child::Spawn(options));
  const std::optional<ExitStatus> status = child->Wait(kRunMax);
  if (!status || !status->ok()) {
    return Error{ErrorCode::kFailed,
                 "valgrind " + (status ? "ended with " + ExitWords(*status) : "does not end") +
                     "; see " + options.log_path};
  }
  InstructionCounts counts;
  int dump = 0;
  for (const std::string& name : PathNames()) {
    const std::string path = out + "." + std::to_string(++dump);
    const double total = SM_TRY(ReadDump(ReadAll(path)));
    counts[name] = std::round(total / kCountedRuns);
    fs::remove(path);
  }
  return counts;
}

Result<InstructionCounts> ParseCounts(const std::string& text) {
  const JsonValue json = SM_TRY(ParseJson(text));
  InstructionCounts counts;
  for (const auto& [name, value] : json.members) {
    if (value.kind != JsonValue::Kind::kNumber || value.number <= 0) {
      return Error{ErrorCode::kBadInput, "the count of \"" + name + "\" is no number above zero"};
    }
    counts[name] = value.number;
  }
  return counts;
}

std::string FormatCounts(const InstructionCounts& counts) {
  std::string text = "{";
  for (const auto& [name, count] : counts) {
    text += (text.size() > 1 ? ",\n  \"" : "\n  \"") + name +
            "\": " + std::to_string(std::llround(count));
  }
  return text + "\n}\n";
}

std::vector<Line> CompareCounts(const InstructionCounts& counts,
                                const InstructionCounts& baseline) {
  std::vector<Line> lines;
  for (const auto& [name, count] : counts) {
    Line line;
    line.name = name;
    line.unit = "instructions";
    line.about = "instructions of one run under callgrind; baseline: those in the tree";
    line.judge = Judge::kRatioAtMost;
    line.target = kInstructionsMax;
    line.value = count;
    const auto before = baseline.find(name);
    if (before == baseline.end()) {
      line.skipped = "the baseline does not have it: shardmill bench --check --update";
    } else {
      line.baseline = before->second;
      line.ratio = line.value / line.baseline;
    }
    lines.push_back(line);
  }
  for (const auto& [name, count] : baseline) {
    if (counts.contains(name)) continue;
    Line line;
    line.name = name;
    line.unit = "instructions";
    line.judge = Judge::kRatioAtMost;
    line.target = kInstructionsMax;
    line.skipped = "the baseline has it and nothing runs it: shardmill bench --check --update";
    lines.push_back(line);
  }
  return lines;
}

}  // namespace shardmill::bench
