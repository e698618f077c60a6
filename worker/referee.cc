#include "worker/referee.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/config/text.h"

namespace shardmill {
namespace {

std::optional<double> ValueOf(const Figures& figures, const std::string& metric) {
  const auto found =
      std::ranges::find(figures, metric, [](const auto& figure) { return figure.first; });
  return found == figures.end() ? std::nullopt : std::optional(found->second);
}

// Whether all that the rule says has come to be, and what that was.
bool Holds(const StopOptions& stop, std::optional<double> value, uint64_t since_best,
           uint64_t epochs, uint64_t steps, std::string& words) {
  bool holds = true;
  const auto add = [&](bool met, const std::string& what) {
    holds = holds && met;
    words += (words.empty() ? "" : ", ") + what;
  };
  const std::string& metric = stop.metric;
  if (stop.at_least) {
    add(value && *value >= *stop.at_least,
        metric + " at least " + config::FormatReal(*stop.at_least));
  }
  if (stop.at_most) {
    add(value && *value <= *stop.at_most, metric + " at most " + config::FormatReal(*stop.at_most));
  }
  if (stop.plateau > 0) {
    add(since_best >= stop.plateau,
        metric + " not better for " + std::to_string(since_best) + " measures");
  }
  if (stop.epochs > 0) add(epochs >= stop.epochs, std::to_string(epochs) + " epochs");
  if (stop.steps > 0) add(steps >= stop.steps, std::to_string(steps) + " steps");
  return holds;
}

}  // namespace

Referee::Referee(std::vector<StopOptions> stops, std::string best) : metric_(std::move(best)) {
  for (StopOptions& stop : stops) rules_.push_back({std::move(stop), {}});
}

// A value that is no number is never better.
bool Referee::Course::Take(const std::string& metric, double value) {
  const bool better = !any || (GreaterIsBetter(metric) ? value > best : value < best);
  ++since_best;
  if (!better || value != value) return false;
  any = true;
  best = value;
  since_best = 0;
  return true;
}

Referee::Verdict Referee::Judge(uint64_t epochs, uint64_t steps, const Figures& figures) {
  Verdict verdict;
  const std::optional<double> told_by = ValueOf(figures, metric_);
  verdict.best = metric_.empty() || (told_by && course_.Take(metric_, *told_by));
  if (!rules_.empty()) seen_.push_back({steps, figures});
  ShowRules(figures);
  for (const Rule& rule : rules_) {
    const std::optional<double> value = ValueOf(figures, rule.stop.metric);
    std::string words;
    if (!Holds(rule.stop, value, rule.course.since_best, epochs, steps, words)) continue;
    if (!verdict.stop) reason_ = words;
    verdict.stop = true;
  }
  return verdict;
}

void Referee::ShowRules(const Figures& figures) {
  for (Rule& rule : rules_) {
    const std::optional<double> value = ValueOf(figures, rule.stop.metric);
    if (value) rule.course.Take(rule.stop.metric, *value);
  }
}

void Referee::ForgetAfter(uint64_t steps) {
  std::erase_if(seen_, [steps](const Seen& one) { return one.steps > steps; });
  for (Rule& rule : rules_) rule.course = {};
  for (const Seen& one : seen_) ShowRules(one.figures);
}

}  // namespace shardmill
