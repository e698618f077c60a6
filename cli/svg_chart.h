#pragma once

#include <string>
#include <utility>
#include <vector>

namespace shardmill {

// One line of a chart: what it is called, and its points.
struct ChartLine {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

// Lines over one axis, with a frame, ticks and what the axes show.
struct ChartPanel {
  std::string across;  // Below the axis.
  std::string up;      // Above the panel.
  std::vector<ChartLine> lines;
};

// An SVG document of panels, two in a row, and below them which color is whose: lines of one name
// have one color. Points that are not finite are left out.
std::string DrawCharts(const std::vector<ChartPanel>& panels);

}  // namespace shardmill
