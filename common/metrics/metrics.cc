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

// One metric as lines of text, of the given name and labels.
struct Renderer {
  const std::string& name;
  const Labels& labels;
  std::string& text;

  void Line(std::string_view suffix, const Labels& all, const std::string& value) const {
    text += name + std::string(suffix) + RenderLabels(all) + " " + value + "\n";
  }
  void operator()(const Counter& counter) const {
    Line("", labels, std::to_string(counter.value()));
  }
  void operator()(const Gauge& gauge) const { Line("", labels, RenderNumber(gauge.value())); }
  void operator()(const TimeSpent& time) const { Line("", labels, RenderNumber(time.seconds())); }
  void operator()(const Histogram& histogram) const {
    const auto counts = histogram.Cumulated();
    Labels bucket = labels;
    bucket.emplace_back("le", "");
    for (size_t i = 0; i < counts.size(); ++i) {
      bucket.back().second =
          i < Histogram::kLimits.size() ? RenderNumber(Histogram::kLimits[i]) : "+Inf";
      Line("_bucket", bucket, std::to_string(counts[i]));
    }
    Line("_sum", labels, RenderNumber(histogram.seconds()));
    Line("_count", labels, std::to_string(counts.back()));
  }
};

// By the alternative of a metric.
constexpr std::array<std::string_view, 4> kTypes = {"counter", "gauge", "counter", "histogram"};

template <class Kind>
bool Fits(std::string_view name) {
  if constexpr (std::is_same_v<Kind, TimeSpent>) return name.ends_with("_seconds_total");
  if constexpr (std::is_same_v<Kind, Histogram>) return name.ends_with("_seconds");
  return name.ends_with("_total") == std::is_same_v<Kind, Counter>;
}

}  // namespace

void Histogram::Observe(Duration took) {
  const double seconds = std::chrono::duration<double>(took).count();
  const auto limit = std::ranges::lower_bound(kLimits, seconds);
  buckets_.at(static_cast<size_t>(limit - kLimits.begin())).Add();
  sum_.Add(took);
}

std::array<uint64_t, Histogram::kLimits.size() + 1> Histogram::Cumulated() const {
  std::array<uint64_t, kLimits.size() + 1> counts{};
  uint64_t count = 0;
  for (size_t i = 0; i < counts.size(); ++i) counts[i] = count += buckets_[i].value();
  return counts;
}

Counter& Registry::AddCounter(std::string_view name, std::string_view help, Labels labels) {
  return Add<Counter>(name, help, std::move(labels));
}

Gauge& Registry::AddGauge(std::string_view name, std::string_view help, Labels labels) {
  return Add<Gauge>(name, help, std::move(labels));
}

TimeSpent& Registry::AddTimeSpent(std::string_view name, std::string_view help, Labels labels) {
  return Add<TimeSpent>(name, help, std::move(labels));
}

Histogram& Registry::AddHistogram(std::string_view name, std::string_view help, Labels labels) {
  return Add<Histogram>(name, help, std::move(labels));
}

template <class Kind>
Kind& Registry::Add(std::string_view name, std::string_view help, Labels labels) {
  SM_ASSERT(name.starts_with(kPrefix) && IsName(name) && Fits<Kind>(name) && !help.empty());
  for (const auto& [label, value] : labels) SM_ASSERT(IsName(label) && !label.starts_with("__"));
  const std::scoped_lock lock(mutex_);
  Family& family = FamilyOf(name, help);
  for (const Series& series : family.series) {
    SM_ASSERT(std::holds_alternative<Kind>(*series.metric) && series.labels != labels);
  }
  auto metric = std::make_unique<Metric>(std::in_place_type<Kind>);
  Kind& added = std::get<Kind>(*metric);
  family.series.push_back({std::move(labels), std::move(metric)});
  return added;
}

void Registry::Remove(const Labels::value_type& label) {
  const std::scoped_lock lock(mutex_);
  for (Family& family : families_) {
    std::erase_if(family.series, [&label](const Series& series) {
      return std::ranges::find(series.labels, label) != series.labels.end();
    });
  }
  std::erase_if(families_, [](const Family& family) { return family.series.empty(); });
}

Registry::Family& Registry::FamilyOf(std::string_view name, std::string_view help) {
  const auto found = std::ranges::find(families_, name, &Family::name);
  if (found == families_.end()) {
    return families_.emplace_back(Family{std::string(name), std::string(help), {}});
  }
  SM_ASSERT(found->help == help);
  return *found;
}

std::string Registry::Render() const {
  const std::scoped_lock lock(mutex_);
  std::string text;
  for (const Family& family : families_) {
    const std::string type(kTypes.at(family.series.front().metric->index()));
    text += "# HELP " + family.name + " " + Escape(family.help, false) + "\n";
    text += "# TYPE " + family.name + " " + type + "\n";
    for (const Series& series : family.series) {
      std::visit(Renderer{family.name, series.labels, text}, *series.metric);
    }
  }
  return text;
}

}  // namespace shardmill
