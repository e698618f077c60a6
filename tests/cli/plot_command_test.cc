#include "cli/plot_command.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/curves.h"
#include "cli/run_folder.h"
#include "cli/svg_chart.h"
#include "worker/track/tracker.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

std::string FolderOf(const std::string& run) {
  const char* name = testing::UnitTest::GetInstance()->current_test_info()->name();
  return testing::TempDir() + "/" + name + "/" + run;
}

// A run of two workers, of which the first measures.
std::string MakeRun(const std::string& name, double best, const std::string& policy) {
  const std::string folder = FolderOf(name);
  for (const char* worker : {"worker-0", "worker-1"}) {
    auto tracker = Tracker::Make(folder + "/" + kTrackFolder, worker, 100);
    EXPECT_TRUE(tracker.ok());
    for (uint64_t i = 1; i <= 4; ++i) {
      TrackPoint point{10 * i, i, 0, 0, {{"train_loss", 1.0 / static_cast<double>(i)}}};
      if (std::string(worker) == "worker-0") {
        point.values.emplace_back("accuracy", i == 3 ? best : 0.5);
      }
      EXPECT_TRUE(tracker.value()->Write(100 + static_cast<double>(i), point).ok());
    }
  }
  if (!policy.empty()) {
    std::ofstream(folder + "/" + kResultFile)
        << R"({"policy":")" << policy << R"(","samples_per_second":1234,"staleness_max":2})";
  }
  return folder;
}

struct Screen {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err};
};

std::string ContentOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(PlotCommandTest, ComparesRunsInATableAndDrawsThem) {
  PlotFlags flags;
  flags.runs = {MakeRun("together", 0.9, "sync"), MakeRun("apart", 0.8, "")};
  flags.out = FolderOf("curves.svg");
  flags.metrics = {"accuracy"};
  Screen screen;
  const Result<> plotted = RunPlot(flags, screen.console);
  ASSERT_TRUE(plotted.ok()) << plotted.error().message;
  EXPECT_EQ(screen.out.str(),
            "run       policy  metric    last  best  after s  after steps  samples/s  staleness\n"
            "together  sync    accuracy  0.5   0.9   2.0      30           1,234      2\n"
            "apart     -       accuracy  0.5   0.8   2.0      30           -          -\n");
  const std::string svg = ContentOf(flags.out);
  EXPECT_EQ(svg.find("<svg"), 0U);
  EXPECT_NE(svg.find("together (sync)"), std::string::npos);
  size_t lines = 0;
  for (size_t at = svg.find("<polyline"); at != std::string::npos;
       at = svg.find("<polyline", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, 4U) << "two runs, over time and over steps";
}

TEST(PlotCommandTest, SaysTheBestOfWhatIsGoodOrBad) {
  PlotFlags flags;
  flags.runs = {FolderOf("named")};
  flags.out = FolderOf("named.svg");
  auto tracker = Tracker::Make(flags.runs[0] + "/" + kTrackFolder, "worker-0", 100);
  ASSERT_TRUE(tracker.value()->Write(101, {8, 0, 0, 0, {{"learning_rate", 0.5}}}).ok());
  ASSERT_TRUE(tracker.value()->Write(101, {8, 0, 0, 0, {{"lag", 3}}}).ok());
  ASSERT_TRUE(tracker.value()->Write(102.25, {9, 0, 0, 0, {{"test_mae", 2}}}).ok());
  Screen table;
  ASSERT_TRUE(RunPlot(flags, table.console).ok());
  EXPECT_NE(table.out.str().find("learning_rate  0.5   -     -"), std::string::npos)
      << table.out.str();
  EXPECT_NE(table.out.str().find("lag            3     -     -"), std::string::npos)
      << table.out.str();
  EXPECT_NE(table.out.str().find("test_mae       2     2     1.2"), std::string::npos)
      << table.out.str();
  flags.json = true;
  Screen json;
  ASSERT_TRUE(RunPlot(flags, json.console).ok());
  EXPECT_NE(json.out.str().find(R"("learning_rate":{"last":0.5})"), std::string::npos);
  EXPECT_NE(json.out.str().find(R"("test_mae":{"last":2,"best":2,)"), std::string::npos);
}

TEST(PlotCommandTest, ShowsWhatWasDoneAgainAsItWasDoneLast) {
  const std::string folder = FolderOf("back");
  auto tracker = Tracker::Make(folder + "/" + kTrackFolder, "worker-0", 100);
  for (const auto& [step, loss] : {std::pair(10, 4.0), {20, 3.0}, {30, 2.0}, {20, 2.5}}) {
    EXPECT_TRUE(tracker.value()
                    ->Write(100 + step, {static_cast<uint64_t>(step), 0, 0, 0, {{"loss", loss}}})
                    .ok());
  }
  const auto run = ReadCurves(folder);
  ASSERT_TRUE(run.ok()) << run.error().message;
  const std::vector<CurvePoint>& curve = run.value().curves.at("loss");
  ASSERT_EQ(curve.size(), 2U);
  EXPECT_EQ(curve.back().step, 20);
  EXPECT_EQ(curve.back().value, 2.5);
}

TEST(PlotCommandTest, NamesAMetricThatNoRunShowsAndWhatThereIs) {
  PlotFlags flags;
  flags.runs = {MakeRun("one", 0.9, "sync")};
  flags.metrics = {"auc"};
  Screen screen;
  const Result<> plotted = RunPlot(flags, screen.console);
  ASSERT_FALSE(plotted.ok());
  EXPECT_EQ(plotted.error().message, "no run shows \"auc\"; there is accuracy, train_loss");
}

TEST(PlotCommandTest, NamesALineThatIsNone) {
  const std::string folder = MakeRun("bad", 0.9, "sync");
  std::ofstream(folder + "/track/worker-0.jsonl", std::ios::app) << "{}\n{\"half";
  const auto run = ReadCurves(folder);
  ASSERT_FALSE(run.ok());
  EXPECT_NE(run.error().message.find("track/worker-0.jsonl:5"), std::string::npos);
}

TEST(PlotCommandTest, SaysThatAFolderHasNoTrackedRun) {
  const auto run = ReadCurves(FolderOf("none"));
  ASSERT_FALSE(run.ok());
  EXPECT_EQ(run.error().code, ErrorCode::kBadUsage);
}

TEST(PlotCommandTest, LeavesOutRunsWithoutCurvesAndRefusesWhatItDoesNotDraw) {
  const std::string run = MakeRun("a", 0.9, "sync");
  const std::string out = FolderOf("curves.svg");
  Screen screen;
  const Result<> drawn = RunPlot({.runs = {FolderOf("none"), run}, .out = out}, screen.console);
  ASSERT_TRUE(drawn.ok()) << drawn.error().message;
  EXPECT_NE(screen.err.str().find("left out: " + FolderOf("none")), std::string::npos);
  EXPECT_NE(screen.out.str().find("0.9"), std::string::npos);
  const Result<> none =
      RunPlot({.runs = {FolderOf("none"), FolderOf("nil")}, .out = out}, screen.console);
  EXPECT_EQ(none.error().message, "none of these runs has curves");
  const std::string picture = FolderOf("curves.png");
  const Result<> other = RunPlot({.runs = {run}, .out = picture}, screen.console);
  EXPECT_EQ(other.error().code, ErrorCode::kBadUsage);
  EXPECT_NE(other.error().message.find("drawn as SVG"), std::string::npos);
  EXPECT_FALSE(fs::exists(picture));
}

TEST(SvgChartTest, LeavesOutWhatIsNoNumberAndEscapesNames) {
  const double nan = std::nan("");
  const std::string svg = DrawCharts({{"steps", "a<b", {{"x&y", {{0, 1}, {1, nan}, {2, 3}}}}}});
  EXPECT_NE(svg.find("a&lt;b"), std::string::npos);
  EXPECT_NE(svg.find("x&amp;y"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(SvgChartTest, DrawsValuesThatADoubleCanHardlyTellApart) {
  const std::string svg = DrawCharts({{"steps", "loss", {{"x", {{0, 1e17}, {1, 1e17 + 16}}}}}});
  EXPECT_LT(svg.size(), 10'000U);
  EXPECT_NE(svg.find("1e+17"), std::string::npos);
  const std::string far = DrawCharts({{"steps", "loss", {{"x", {{0, -1.7e308}, {1, 1.7e308}}}}}});
  EXPECT_LT(far.size(), 10'000U);
}

}  // namespace
}  // namespace shardmill
