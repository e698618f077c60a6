#include "cli/svg_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace shardmill {
namespace {

constexpr double kPanelWidth = 440;
constexpr double kPanelHeight = 260;
constexpr double kLeft = 56;
constexpr double kRight = 14;
constexpr double kTop = 28;
constexpr double kBottom = 40;
constexpr double kLegendLine = 18;
constexpr int kTicks = 5;
constexpr double kDrawnMax = 1e300;   // Differences of what is drawn stay finite.
constexpr double kApartLeast = 1e-9;  // Of the greatest; what is closer is drawn as alike.

// Okabe and Ito's, which people who see fewer colors can tell apart.
constexpr std::array<const char*, 8> kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                "#e69f00", "#56b4e9", "#000000", "#b8a800"};

std::string Number(double value, const char* format = "%.2f") {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

// From where to where an axis goes, and where its ticks are: at 1, 2 or 5 times a power of ten.
struct Axis {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  double tick = 1;

  void See(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  void Settle() {
    if (low > high) low = high = 0;
    const double greatest = std::max(std::abs(low), std::abs(high));
    if (high - low <= greatest * kApartLeast) high = low + (greatest == 0 ? 1 : greatest / 10);
    const double rough = (high - low) / kTicks;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    const double times = rough / power;
    tick = power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
    low = std::floor(low / tick) * tick;
    high = std::ceil(high / tick) * tick;
  }
  double Part(double value) const { return (value - low) / (high - low); }
  int Ticks() const { return static_cast<int>(std::lround((high - low) / tick)) + 1; }
  double Tick(int which) const { return low + which * tick; }
};

std::string Text(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + Number(x) + "\" y=\"" + Number(y) + "\" text-anchor=\"" + anchor + "\">" +
         Escaped(text) + "</text>\n";
}

std::string Stroke(double x1, double y1, double x2, double y2) {
  return "<line x1=\"" + Number(x1) + "\" y1=\"" + Number(y1) + "\" x2=\"" + Number(x2) +
         "\" y2=\"" + Number(y2) + "\" stroke=\"#ddd\"/>\n";
}

bool IsDrawn(double x, double y) {
  return std::abs(x) <= kDrawnMax && std::abs(y) <= kDrawnMax;  // No NaN either.
}

class Panel final {
 public:
  Panel(const ChartPanel& panel, double left, double top) : panel_(panel), left_(left), top_(top) {
    for (const ChartLine& line : panel.lines) {
      for (const auto& [x, y] : line.points) {
        if (!IsDrawn(x, y)) continue;
        across_.See(x);
        up_.See(y);
      }
    }
    across_.Settle();
    up_.Settle();
  }

  std::string Draw(const std::vector<std::string>& names) const {
    std::string svg;
    for (int i = 0; i < up_.Ticks(); ++i) {
      const double at = up_.Tick(i);
      svg += Stroke(X(across_.low), Y(at), X(across_.high), Y(at));
      svg += Text(X(across_.low) - 6, Y(at) + 4, "end", Number(at, "%.6g"));
    }
    for (int i = 0; i < across_.Ticks(); ++i) {
      const double at = across_.Tick(i);
      svg += Stroke(X(at), Y(up_.low), X(at), Y(up_.high));
      svg += Text(X(at), Y(up_.low) + 16, "middle", Number(at, "%.6g"));
    }
    svg += Text(X(across_.low), top_ + 16, "start", panel_.up);
    svg += Text((X(across_.low) + X(across_.high)) / 2, Y(up_.low) + 33, "middle", panel_.across);
    for (const ChartLine& line : panel_.lines) {
      const auto name = std::ranges::find(names, line.name);
      const auto color = static_cast<size_t>(name - names.begin()) % kColors.size();
      svg += "<polyline fill=\"none\" stroke-width=\"1.6\" stroke=\"" +
             std::string(kColors.at(color)) + "\" points=\"";
      for (const auto& [x, y] : line.points) {
        if (IsDrawn(x, y)) svg += Number(X(x)) + "," + Number(Y(y)) + " ";
      }
      svg += "\"/>\n";
    }
    return svg;
  }

 private:
  double X(double value) const {
    return left_ + kLeft + across_.Part(value) * (kPanelWidth - kLeft - kRight);
  }
  double Y(double value) const {
    return top_ + kPanelHeight - kBottom - up_.Part(value) * (kPanelHeight - kTop - kBottom);
  }

  const ChartPanel& panel_;
  double left_;
  double top_;
  Axis across_;
  Axis up_;
};

}  // namespace

std::string DrawCharts(const std::vector<ChartPanel>& panels) {
  std::vector<std::string> names;
  for (const ChartPanel& panel : panels) {
    for (const ChartLine& line : panel.lines) {
      if (std::ranges::find(names, line.name) == names.end()) names.push_back(line.name);
    }
  }
  std::string body;
  const auto rows = static_cast<double>((panels.size() + 1) / 2);
  for (size_t i = 0; i < panels.size(); ++i) {
    const double left = i % 2 == 0 ? 0 : kPanelWidth;
    body += Panel(panels[i], left, static_cast<double>(i / 2) * kPanelHeight).Draw(names);
  }
  double y = rows * kPanelHeight;
  for (size_t i = 0; i < names.size(); ++i) {
    y += kLegendLine;
    body += "<rect x=\"" + Number(kLeft) + "\" y=\"" + Number(y - 10) +
            "\" width=\"14\" height=\"10\" fill=\"" + kColors.at(i % kColors.size()) + "\"/>\n";
    body += Text(kLeft + 20, y, "start", names[i]);
  }
  const std::string width = Number(2 * kPanelWidth, "%.0f");
  const std::string height = Number(y + kLegendLine, "%.0f");
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + width + "\" height=\"" + height +
         "\" viewBox=\"0 0 " + width + " " + height +
         "\" font-family=\"sans-serif\" font-size=\"12\">\n"
         "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n" +
         body + "</svg>\n";
}

}  // namespace shardmill
