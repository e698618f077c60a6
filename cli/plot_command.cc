#include "cli/plot_command.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/curves.h"
#include "cli/run_folder.h"
#include "cli/svg_chart.h"
#include "cli/table.h"
#include "cli/train_result.h"
#include "common/job/job.h"
#include "common/json/json.h"

namespace shardmill {
namespace {

// The point of a curve that is held for the best, where it shows one of a job's metrics, of
// whichever rows; else null.
const CurvePoint* BestOf(std::string_view name, const std::vector<CurvePoint>& curve) {
  for (const std::string_view rows : {"train_", "test_"}) {
    if (name.starts_with(rows)) name.remove_prefix(rows.size());
  }
  if (std::ranges::find(MetricNames(), name) == MetricNames().end()) return nullptr;
  const auto less = [](const CurvePoint& a, const CurvePoint& b) { return a.value < b.value; };
  return &*(GreaterIsBetter(name) ? std::ranges::max_element(curve, less)
                                  : std::ranges::min_element(curve, less));
}

// Those that were asked for, or all that some run shows.
Result<std::vector<std::string>> MetricsOf(const PlotFlags& flags,
                                           const std::vector<RunCurves>& runs) {
  std::set<std::string> all;
  std::string names;
  for (const RunCurves& run : runs) {
    for (const auto& [name, curve] : run.curves) {
      if (all.insert(name).second) names += (names.empty() ? "" : ", ") + name;
    }
  }
  if (flags.metrics.empty()) return std::vector(all.begin(), all.end());
  for (const std::string& name : flags.metrics) {
    if (all.contains(name)) continue;
    return Error{ErrorCode::kBadUsage, "no run shows \"" + name + "\"; there is " + names};
  }
  return flags.metrics;
}

std::string Tenths(double seconds) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.1f", seconds);
  return text.data();
}

std::string LabelOf(const RunCurves& run) {
  return run.policy.empty() ? run.name : run.name + " (" + run.policy + ")";
}

std::vector<ChartPanel> PanelsOf(const std::vector<RunCurves>& runs,
                                 const std::vector<std::string>& metrics) {
  std::vector<ChartPanel> panels;
  for (const std::string& metric : metrics) {
    ChartPanel by_time{"seconds", metric, {}};
    ChartPanel by_step{"steps", metric, {}};
    for (const RunCurves& run : runs) {
      const auto curve = run.curves.find(metric);
      if (curve == run.curves.end()) continue;
      ChartLine times{LabelOf(run), {}};
      ChartLine steps{LabelOf(run), {}};
      for (const CurvePoint& point : curve->second) {
        times.points.emplace_back(point.seconds, point.value);
        steps.points.emplace_back(point.step, point.value);
      }
      by_time.lines.push_back(std::move(times));
      by_step.lines.push_back(std::move(steps));
    }
    panels.push_back(std::move(by_time));
    panels.push_back(std::move(by_step));
  }
  return panels;
}

std::string TableOf(const std::vector<RunCurves>& runs, const std::vector<std::string>& metrics) {
  std::vector<TableRow> rows = {{"run", "policy", "metric", "last", "best", "after s",
                                 "after steps", "samples/s", "staleness"}};
  for (const RunCurves& run : runs) {
    const bool ended = !run.policy.empty();
    for (const std::string& metric : metrics) {
      const auto curve = run.curves.find(metric);
      if (curve == run.curves.end()) continue;
      const CurvePoint* best = BestOf(metric, curve->second);
      rows.push_back(
          {run.name, ended ? run.policy : "-", metric, FormatMetric(curve->second.back().value),
           best ? FormatMetric(best->value) : "-", best ? Tenths(best->seconds) : "-",
           best ? FormatCount(best->step) : "-", ended ? FormatCount(run.samples_per_second) : "-",
           ended ? std::to_string(run.staleness_max) : "-"});
    }
  }
  return AlignTable(rows);
}

std::string JsonOf(const std::vector<RunCurves>& runs, const std::vector<std::string>& metrics) {
  JsonWriter json;
  json.BeginList();
  for (const RunCurves& run : runs) {
    json.BeginObject().Key("run").Text(run.name).Key("policy").Text(run.policy);
    json.Key("samples_per_second").Number(run.samples_per_second);
    json.Key("staleness_max").Whole(run.staleness_max).Key("metrics").BeginObject();
    for (const std::string& metric : metrics) {
      const auto curve = run.curves.find(metric);
      if (curve == run.curves.end()) continue;
      json.Key(metric).BeginObject().Key("last").Number(curve->second.back().value);
      if (const CurvePoint* best = BestOf(metric, curve->second)) {
        json.Key("best").Number(best->value).Key("best_seconds").Number(best->seconds);
        json.Key("best_step").Number(best->step);
      }
      json.EndObject();
    }
    json.EndObject().EndObject();
  }
  return json.EndList().Take() + "\n";
}

}  // namespace

Result<> RunPlot(const PlotFlags& flags, const Console& console) {
  if (!flags.out.ends_with(".svg")) {
    return Error{ErrorCode::kBadUsage, "--out " + flags.out +
                                           ": curves are drawn as SVG; give a name that ends in "
                                           "\".svg\""};
  }
  std::vector<RunCurves> runs;
  for (const std::string& folder : flags.runs) {
    Result<RunCurves> run = ReadCurves(folder);
    // Of several, some may have ended before their first step.
    if (!run.ok() && (run.error().code != ErrorCode::kBadUsage || flags.runs.size() == 1)) {
      return run.error();
    }
    if (run.ok()) {
      runs.push_back(std::move(run).value());
    } else {
      console.err << "left out: " << run.error().message << "\n" << std::flush;
    }
  }
  if (runs.empty()) return Error{ErrorCode::kBadUsage, "none of these runs has curves"};
  const std::vector<std::string> metrics = SM_TRY(MetricsOf(flags, runs));
  SM_TRY(WriteTextFile(flags.out, DrawCharts(PanelsOf(runs, metrics))));
  console.out << (flags.json ? JsonOf(runs, metrics) : TableOf(runs, metrics)) << std::flush;
  console.err << "curves in " << flags.out << "\n" << std::flush;
  return {};
}

}  // namespace shardmill
