#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/job/job.h"
#include "worker/measurer.h"

namespace shardmill {

// "accuracy at least 0.88, 3 epochs".
std::string WordsOf(const StopOptions& stop);

// Looks at each measure and says whether it is the best by now and whether training is to end. A
// value of the worker that measures; what it has seen ends with its process, but for a best model's
// value, which its owner takes up: a plateau is counted anew then. Cannot fail.
class Referee final {
 public:
  // `best`: the metric that models are told by; empty: each is the best.
  Referee(std::vector<StopOptions> stops, std::string best);

  struct Verdict {
    bool best = false;
    std::optional<size_t> stop = {};  // The rule that all has come to be of.
  };
  // Once so many epochs and steps are over.
  Verdict Judge(uint64_t epochs, uint64_t steps, const Figures& figures);

  // A model of that value is kept: only a better one is the best.
  void TakeUp(double value) { course_.Take(metric_, value); }
  // The job went back to where so many steps were made: what was seen later comes again. A best
  // model stays the best for as long as it is kept.
  void ForgetAfter(uint64_t steps);

 private:
  // How a metric got on.
  struct Course {
    bool any = false;
    double best = 0;
    uint64_t since_best = 0;  // Measures.

    bool Take(const std::string& metric, double value);
  };
  struct Rule {
    StopOptions stop;
    Course course;
  };

  // What rules go by, to be seen again.
  struct Seen {
    uint64_t steps = 0;
    Figures figures = {};
  };

  void ShowRules(const Figures& figures);

  std::vector<Rule> rules_;
  std::vector<Seen> seen_;  // None where there are no rules.
  std::string metric_;
  Course course_;
};

}  // namespace shardmill
