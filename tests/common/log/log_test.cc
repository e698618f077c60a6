#include "common/log/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace shardmill {
namespace {

TEST(FormatEventTest, WritesKeysAndPlainValuesBare) {
  EXPECT_EQ(FormatEvent("shard_ready", {{"shard", 1}, {"endpoint", "tcp://a:1"}, {"fast", true}}),
            "shard_ready shard=1 endpoint=tcp://a:1 fast=true");
  EXPECT_EQ(FormatEvent("step", {{"loss", 0.5}}), "step loss=0.5");
  EXPECT_EQ(FormatEvent("stopping", {}), "stopping");
}

TEST(FormatEventTest, QuotesValuesThatWouldBreakTheLine) {
  EXPECT_EQ(FormatEvent("failed", {{"why", "no \"x\"=\\1\n\x01"}, {"file", ""}}),
            R"(failed why="no \"x\"=\\1\n\x01" file="")");
}

TEST(LogTest, WritesTimeInUtcLevelAndProgram) {
  std::ostringstream out;
  const Log log("shardmill-ps", LogLevel::kInfo, &out);
  log.Warn("peer_dropped", {{"peer", 3}});
  std::string shape = out.str();
  std::replace_if(
      shape.begin(), shape.end(), [](char c) { return c >= '0' && c <= '9'; }, '9');
  EXPECT_EQ(shape, "9999-99-99T99:99:99.999Z warning shardmill-ps peer_dropped peer=9\n");
}

TEST(LogTest, LeavesOutWhatIsBelowItsLevel) {
  std::ostringstream out;
  const Log log("x", LogLevelNamed("warn"), &out);
  log.Info("seen");
  log.Debug("seen");
  EXPECT_EQ(out.str(), "");
  log.Error("failed");
  EXPECT_NE(out.str().find(" error x failed\n"), std::string::npos);
}

TEST(LogTest, TakesBracesAsTheyAre) {
  std::ostringstream out;
  const Log log("x", LogLevel::kTrace, &out);
  log.Info("odd", {{"text", "{}{0}"}});
  EXPECT_NE(out.str().find("odd text={}{0}\n"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
