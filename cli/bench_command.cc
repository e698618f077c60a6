#include "cli/bench_command.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "bench/benchmark.h"
#include "bench/benchmarks.h"
#include "bench/callgrind.h"
#include "cli/programs.h"
#include "cli/table.h"
#include "common/config/text.h"
#include "common/process/large_blocks.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

// A folder for logs that goes when it does, unless something went wrong and they are wanted.
class Scratch final {
 public:
  static Result<Scratch> Make() {
    std::string path = (fs::temp_directory_path() / "shardmill-bench-XXXXXX").string();
    if (mkdtemp(path.data()) != nullptr) return Scratch(std::move(path));
    return Error{ErrorCode::kFailed, "cannot make the folder " + path};
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    std::error_code why;
    if (!path_.empty() && !keep) fs::remove_all(path_, why);
  }
  const std::string& path() const { return path_; }

  bool keep = false;

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

Result<bench::Programs> FindBenchPrograms(const std::string& scratch) {
  const Programs daemons = SM_TRY(FindPrograms());
  bench::Programs programs;
  programs.coordinator = daemons.coordinator;
  programs.server = daemons.server;
  programs.peer = SM_TRY(FindProgram("bench", "shardmill-bench-peer"));
  programs.command = SM_TRY(FindProgram("cli", "shardmill"));
  programs.torch = SM_TRY(FindProgram("bench", "torch-nets.py"));
  // These two need libraries that few machines have.
  const Result<std::string> mpi = FindProgram("bench", "mpi_all_reduce");
  const Result<std::string> gloo = FindProgram("bench", "gloo_all_reduce");
  if (mpi.ok()) programs.mpi = mpi.value();
  if (gloo.ok()) programs.gloo = gloo.value();
  programs.scratch = scratch;
  return programs;
}

// A name takes itself and all that begin with it and a dot; no name takes all.
Result<std::vector<bench::Benchmark>> Select(const std::vector<std::string>& names) {
  std::vector<bench::Benchmark> all = bench::AllBenchmarks();
  if (names.empty()) return all;
  const auto takes = [](const std::string& name, const bench::Benchmark& one) {
    return one.name == name || one.name.starts_with(name + ".");
  };
  for (const std::string& name : names) {
    if (std::ranges::any_of(all, [&](const auto& one) { return takes(name, one); })) continue;
    std::vector<std::string> known;
    for (const bench::Benchmark& one : all) known.push_back(one.name);
    const std::string near = config::Nearest(name, known);
    return Error{ErrorCode::kBadUsage,
                 "there is no benchmark " + config::QuoteForMessage(name) +
                     (near.empty() ? "" : "; did you mean \"" + near + "\"?") +
                     " See shardmill bench --list"};
  }
  std::erase_if(all, [&](const bench::Benchmark& one) {
    return std::ranges::none_of(names, [&](const auto& name) { return takes(name, one); });
  });
  return all;
}

void Print(const std::vector<bench::Line>& lines, bool json, const Console& console) {
  console.out << (json ? bench::ToJson(lines) + "\n" : AlignTable(bench::ToTable(lines)))
              << std::flush;
}

Result<> Check(const BenchFlags& flags, const Console& console) {
  Scratch scratch = SM_TRY(Scratch::Make());
  const std::string peer = SM_TRY(FindProgram("bench", "shardmill-bench-peer"));
  scratch.keep = true;
  const bench::InstructionCounts counts = SM_TRY(bench::CountInstructions(peer, scratch.path()));
  scratch.keep = false;
  if (flags.update) {
    std::ofstream file(flags.baseline);
    if (file << bench::FormatCounts(counts) << std::flush) return {};
    return Error{ErrorCode::kFailed, "cannot write " + flags.baseline};
  }
  std::ifstream file(flags.baseline);
  std::ostringstream text;
  if (!(text << file.rdbuf())) {
    return Error{ErrorCode::kUnavailable, "cannot read " + flags.baseline +
                                              "; run in the root of the tree, or name the "
                                              "file with --baseline"};
  }
  const bench::InstructionCounts before = SM_TRY(bench::ParseCounts(text.str()));
  const std::vector<bench::Line> lines = bench::CompareCounts(counts, before);
  Print(lines, flags.json, console);
  std::string worse;
  for (const bench::Line& line : lines) {
    if (line.skipped.empty() && line.Holds()) continue;
    worse += (worse.empty() ? "" : ", ") + line.name;
  }
  if (worse.empty()) return {};
  return Error{ErrorCode::kFailed,
               "more instructions than before, or nothing to compare with: " + worse +
                   "; where that is meant: shardmill bench --check --update"};
}

}  // namespace

Result<> RunBench(const BenchFlags& flags, const Console& console) {
  if (flags.check) return Check(flags, console);
  const std::vector<bench::Benchmark> benchmarks = SM_TRY(Select(flags.names));
  if (flags.list) {
    std::vector<TableRow> rows;
    for (const bench::Benchmark& one : benchmarks) rows.push_back({one.name, one.about});
    console.out << AlignTable(rows) << std::flush;
    return {};
  }
  KeepLargeBlocks();  // As the worker does, whom we play.
  Scratch scratch = SM_TRY(Scratch::Make());
  const bench::Programs programs = SM_TRY(FindBenchPrograms(scratch.path()));
  bench::Plan plan;
  plan.seconds = flags.seconds;
  plan.runs = flags.runs;
  std::vector<bench::Line> lines;
  for (const bench::Benchmark& one : benchmarks) {
    console.err << one.name << " ..." << std::endl;
    scratch.keep = true;
    Result<bench::Line> line = bench::Measure(one, programs, plan);
    if (!line.ok()) {
      return Error{line.error().code, one.name + ": " + line.error().message};
    }
    scratch.keep = false;
    if (!line.value().note.empty()) console.err << "  " << line.value().note << std::endl;
    lines.push_back(std::move(line).value());
  }
  Print(lines, flags.json, console);
  return {};
}

}  // namespace shardmill
