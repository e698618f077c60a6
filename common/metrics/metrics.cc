#include "common/metrics/metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "common/assert.h"

namespace shardmill {
namespace {

constexpr std::string_view kPrefix = "shardmill_";

bool IsName(std::string_view name) {
  return !name.empty() && (name[0] < '0' || name[0] > '9') &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

std::string Escape(std::string_view text, bool quotes) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
    } else {
      if (c == '\\' || (quotes && c == '"')) escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

std::string RenderLabels(const Labels& labels) {
  if (labels.empty()) return "";
  std::string text;
  for (const auto& [name, value] : labels) {
    SM_ASSERT(IsName(name) && !name.starts_with("__"));
    text += (text.empty() ? "{" : ",") + name + "=\"" + Escape(value, true) + "\"";
  }
  return text + "}";
}

std::string RenderNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

}  // namespace

Counter& Registry::AddCounter(std::string_view name, std::string_view help, Labels labels) {
  const std::scoped_lock lock(mutex_);
  Series& series = SeriesOf(name, help, true, labels);
  if (series.counter == nullptr) series.counter = &counters_.emplace_back();
  return *series.counter;
}

Gauge& Registry::AddGauge(std::string_view name, std::string_view help, Labels labels) {
  const std::scoped_lock lock(mutex_);
  Series& series = SeriesOf(name, help, false, labels);
  if (series.gauge == nullptr) series.gauge = &gauges_.emplace_back();
  return *series.gauge;
}

Registry::Series& Registry::SeriesOf(std::string_view name, std::string_view help, bool is_counter,
                                     const Labels& labels) {
  SM_ASSERT(name.starts_with(kPrefix) && IsName(name) && !help.empty());
  SM_ASSERT(name.ends_with("_total") == is_counter);
  auto family = std::find_if(families_.begin(), families_.end(),
                             [&](const Family& one) { return one.name == name; });
  if (family == families_.end()) {
    families_.push_back({std::string(name), std::string(help), is_counter, {}});
    family = std::prev(families_.end());
  }
  SM_ASSERT(family->help == help);
  std::string rendered = RenderLabels(labels);
  const auto there = std::ranges::find(family->series, rendered, &Series::labels);
  if (there != family->series.end()) return *there;
  return family->series.emplace_back(Series{.labels = std::move(rendered)});
}

std::string Registry::Render() const {
  const std::scoped_lock lock(mutex_);
  std::string text;
  for (const Family& family : families_) {
    text += "# HELP " + family.name + " " + Escape(family.help, false) + "\n# TYPE " + family.name +
            (family.is_counter ? " counter\n" : " gauge\n");
    for (const Series& series : family.series) {
      text += family.name + series.labels + " ";
      text += series.counter ? std::to_string(series.counter->value())
                             : RenderNumber(series.gauge->value());
      text += "\n";
    }
  }
  return text;
}

}  // namespace shardmill
