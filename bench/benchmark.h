#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"

namespace shardmill::bench {

// Where the programs are that a benchmark starts.
struct Programs {
  std::string coordinator;
  std::string server;
  std::string peer;     // shardmill-bench-peer.
  std::string command;  // shardmill itself.
  std::string torch;    // bench/torch_nets.py.
  std::string mpi;      // Empty: not built.
  std::string gloo;     // Empty: not built.
  std::string scratch;  // A folder for logs.
};

// The two sides of a benchmark, ready to run. Owned by the harness, on one thread, and made anew
// for each benchmark; whatever they started ends with them. Each call is one run and gives what it
// measured, in the benchmark's unit.
class Sides {
 public:
  virtual ~Sides() = default;
  virtual Result<double> Product() = 0;
  virtual Result<double> Baseline() = 0;
};

// Sides, or words that say what is missing on this machine.
struct Prepared {
  std::unique_ptr<Sides> sides;
  std::string skipped;
  std::string note = {};  // What the baseline is made of here.
};

// What is held against the target, and from which side.
enum class Judge : uint8_t {
  kRatioAtLeast,  // Product by baseline.
  kRatioAtMost,   // Product by baseline.
  kTimesFaster,   // Baseline by product, where both are times.
  kValueAtLeast,
  kValueAtMost,
  kNothing,  // No target: it is there to be compared with.
};

// One benchmark: what it is called, how it is judged, and how its sides are made.
struct Benchmark {
  std::string name;
  std::string unit;
  std::string about;  // What is measured, and what the baseline is.
  Judge judge = Judge::kNothing;
  double target = 0;
  std::function<Result<Prepared>(const Programs&)> prepare;
  uint32_t runs_max = 1000;  // Where one run takes long.
};

// For how long one benchmark runs.
struct Plan {
  double seconds = 4;
  uint32_t runs = 0;  // Exactly so many of each side; 0: as many as fit, five at least.
};

// One line of the report.
struct Line {
  std::string name;
  std::string unit;
  std::string about;
  Judge judge = Judge::kNothing;
  double target = 0;
  double value = 0;     // The product's median.
  double baseline = 0;  // The baseline's median.
  double ratio = 0;     // The median of the ratios of neighbouring runs.
  double spread = 0;    // Of what is judged.
  std::string skipped;  // Why it was not measured; empty where it was.
  std::string note = {};

  bool Holds() const;
};

// Runs both sides in turn, A B A B, after one run of each that is thrown away.
Result<Line> Measure(const Benchmark& benchmark, const Programs& programs, const Plan& plan);

// Fills in the medians and the spread of runs that were made in turn.
void Summarize(const std::vector<double>& product, const std::vector<double>& baseline, Line* line);

// A list of objects with name, value, baseline, ratio, target, holds, spread, unit and about. What
// was not measured is null.
std::string ToJson(const std::vector<Line>& lines);

// The cells of the table that people read: a head, and a row a line.
std::vector<std::vector<std::string>> ToTable(const std::vector<Line>& lines);

}  // namespace shardmill::bench
