#include "bench/benchmark.h"

#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "bench/statistics.h"
#include "common/json/json.h"

namespace shardmill::bench {
namespace {

constexpr uint32_t kRunsMin = 5;

bool JudgesValue(Judge judge) {
  return judge == Judge::kValueAtLeast || judge == Judge::kValueAtMost;
}

// Three significant digits, with K, M or G where they save many.
std::string Short(double number) {
  if (!std::isfinite(number)) return "-";
  const char* suffix = "";
  for (const auto& [size, letter] : {std::pair{1e9, "G"}, {1e6, "M"}, {1e4, "K"}}) {
    if (std::abs(number) < size) continue;
    number /= *letter == 'K' ? 1e3 : size;
    suffix = letter;
    break;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f%s",
                std::abs(number) >= 100 ? 0 : (std::abs(number) >= 10 ? 1 : 2), number, suffix);
  return text.data();
}

std::string TargetWords(const Line& line) {
  switch (line.judge) {
    case Judge::kRatioAtLeast:
    case Judge::kTimesFaster:
      return "ratio >= " + Short(line.target);
    case Judge::kRatioAtMost:
      return "ratio <= " + Short(line.target);
    case Judge::kValueAtLeast:
      return ">= " + Short(line.target);
    case Judge::kValueAtMost:
      return "<= " + Short(line.target);
    case Judge::kNothing:
      return "-";
  }
  return "-";
}

}  // namespace

bool Line::Holds() const {
  switch (judge) {
    case Judge::kRatioAtLeast:
    case Judge::kTimesFaster:
      return ratio >= target;
    case Judge::kRatioAtMost:
      return ratio <= target;
    case Judge::kValueAtLeast:
      return value >= target;
    case Judge::kValueAtMost:
      return value <= target;
    case Judge::kNothing:
      return true;
  }
  return true;
}

void Summarize(const std::vector<double>& product, const std::vector<double>& baseline,
               Line* line) {
  std::vector<double> ratios;
  for (size_t i = 0; i < product.size(); ++i) {
    const bool faster = line->judge == Judge::kTimesFaster;
    ratios.push_back(faster ? baseline[i] / product[i] : product[i] / baseline[i]);
  }
  line->value = Median(product);
  line->baseline = Median(baseline);
  line->ratio = Median(ratios);
  line->spread = Spread(JudgesValue(line->judge) ? product : ratios);
}

Result<Line> Measure(const Benchmark& benchmark, const Programs& programs, const Plan& plan) {
  Line line;
  line.name = benchmark.name;
  line.unit = benchmark.unit;
  line.about = benchmark.about;
  line.judge = benchmark.judge;
  line.target = benchmark.target;
  const Prepared prepared = SM_TRY(benchmark.prepare(programs));
  line.skipped = prepared.skipped;
  line.note = prepared.note;
  if (!prepared.sides) return line;
  Sides& sides = *prepared.sides;
  SM_TRY(sides.Product());
  SM_TRY(sides.Baseline());

  std::vector<double> product;
  std::vector<double> baseline;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(plan.seconds);
  const auto enough = [&] {
    if (plan.runs > 0) return product.size() >= plan.runs;
    if (product.size() >= benchmark.runs_max) return true;
    return product.size() >= kRunsMin && std::chrono::steady_clock::now() >= end;
  };
  while (!enough()) {
    product.push_back(SM_TRY(sides.Product()));
    baseline.push_back(SM_TRY(sides.Baseline()));
  }
  Summarize(product, baseline, &line);
  return line;
}

std::string ToJson(const std::vector<Line>& lines) {
  JsonWriter json;
  json.BeginList();
  for (const Line& line : lines) {
    const bool measured = line.skipped.empty();
    const auto number = [&](const char* key, double value, bool there) {
      json.Key(key);
      if (there) {
        json.Number(value);
      } else {
        json.Null();
      }
    };
    const bool judged = line.judge != Judge::kNothing;
    json.BeginObject().Key("name").Text(line.name);
    number("value", line.value, measured);
    number("baseline", line.baseline, measured);
    number("ratio", line.ratio, measured);
    number("target", line.target, judged);
    json.Key("holds");
    if (measured && judged) {
      json.Flag(line.Holds());
    } else {
      json.Null();
    }
    number("spread", line.spread, measured);
    json.Key("unit").Text(line.unit).Key("about");
    const std::string more = measured ? line.note : "skipped: " + line.skipped;
    json.Text(more.empty() ? line.about : line.about + "; " + more).EndObject();
  }
  return json.EndList().Take();
}

std::vector<std::vector<std::string>> ToTable(const std::vector<Line>& lines) {
  std::vector<std::vector<std::string>> rows = {
      {"name", "value", "baseline", "unit", "ratio", "target", "holds", "spread"}};
  for (const Line& line : lines) {
    if (!line.skipped.empty()) {
      rows.push_back({line.name, "-", "-", line.unit, "-", TargetWords(line), "-",
                      "skipped: " + line.skipped});
      continue;
    }
    const bool judged = line.judge != Judge::kNothing;
    rows.push_back({line.name, Short(line.value), Short(line.baseline), line.unit,
                    Short(line.ratio), TargetWords(line),
                    judged ? (line.Holds() ? "yes" : "NO") : "-",
                    std::to_string(std::lround(100 * line.spread)) + " %"});
  }
  return rows;
}

}  // namespace shardmill::bench
