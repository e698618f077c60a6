#include "server/trace_writer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace shardmill {
namespace {

namespace fs = std::filesystem;

class TraceWriterTest : public testing::Test {
 protected:
  TraceWriterTest() : log_("test", LogLevel::kWarn, &said_) {
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = testing::TempDir() + "/" + test->name();
    fs::create_directories(folder_);
    view_.number = ViewNumber{1};
    view_.policy = {ApplyRule::kOnArrival, true, 3};
    view_.members = {{WorkerId{0}, Incarnation{1}, 0}, {WorkerId{1}, Incarnation{4}, -2}};
    view_.shards.resize(2);
    view_.tables = {{TableId{1}, {"a \"table\"", 32, {}}, {0, 16, 32}}};
    entry_.version = 1;
    entry_.made = {{WorkerId{1}, 1, 0.1, false, 0}};
    entry_.changes = {{TableId{1}, 0.3F, {}}};
    pull_ = {{WorkerId{0}, Incarnation{1}}, 1, 7, TableId{1}, 16, 16, 0, {}};
  }

  std::unique_ptr<TraceWriter> Make() {
    auto writer = TraceWriter::Make(folder_, ShardId{1}, 2, log_);
    EXPECT_TRUE(writer.ok()) << writer.error().message;
    return std::move(writer).value();
  }

  std::vector<std::string> Lines() const {
    std::ifstream file(folder_ + "/shard-1.trace");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  template <class Kind>
  static Kind Parsed(const std::string& line) {
    const Result<TraceEvent> event = ParseTrace(line);
    EXPECT_TRUE(event.ok()) << event.error().message << "\n" << line;
    const auto* kind = event.ok() ? std::get_if<Kind>(&event.value()) : nullptr;
    EXPECT_NE(kind, nullptr) << line;
    return kind == nullptr ? Kind{} : *kind;
  }

  std::ostringstream said_;
  Log log_;
  std::string folder_;
  View view_;
  LogEntry entry_;
  Pull pull_;
};

TEST_F(TraceWriterTest, WritesWhatTheShardDidSoThatItReadsBackTheSame) {
  const auto writer = Make();
  writer->TookView(JobId{~uint64_t{0}}, view_);
  writer->Restored(40, {{WorkerId{1}, 20, 640}});
  writer->Applied(entry_);
  writer->Served(pull_, BootId{5}, {7, 0, 1, 2, {}});
  writer->Close();
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_EQ(Parsed<TraceHead>(lines[0]),
            (TraceHead{JobId{~uint64_t{0}}, ShardId{1}, 2, 2, view_.policy}));
  const View view = Parsed<View>(lines[1]);
  EXPECT_EQ(view.members, view_.members);
  EXPECT_EQ(view.tables, view_.tables);
  const auto restored = Parsed<TraceRestored>(lines[2]);
  EXPECT_EQ(restored.version, 40U);
  EXPECT_EQ(restored.ranks.at(0).rank, WorkerId{1});
  EXPECT_EQ(restored.ranks.at(0).ended, 20U);
  const auto entry = Parsed<LogEntry>(lines[3]);
  EXPECT_EQ(entry.version, 1U);
  EXPECT_EQ(entry.made.at(0).samples, 0.1);
  EXPECT_EQ(entry.changes.at(0).rate, 0.3F);
  const auto served = Parsed<TraceServed>(lines[4]);
  EXPECT_EQ(served.pull.sender, pull_.sender);
  EXPECT_EQ(served.pull.begin, 16U);
  EXPECT_EQ(served.staleness, 2U);
  EXPECT_EQ(Parsed<TraceEnd>(lines[5]).events, 5U);
}

TEST_F(TraceWriterTest, WritesEachSecondAndNotEachLine) {
  const auto writer = Make();
  const TimePoint start{};
  writer->Tick(start);
  writer->TookView(JobId{1}, view_);
  writer->Tick(start + std::chrono::milliseconds(900));
  EXPECT_TRUE(Lines().empty());
  writer->Tick(start + std::chrono::milliseconds(1000));
  EXPECT_EQ(Lines().size(), 2U);
}

TEST_F(TraceWriterTest, LogsAFullDiskOnceCountsAndGoesOn) {
  fs::create_symlink("/dev/full", folder_ + "/shard-1.trace");
  const auto writer = Make();
  writer->TookView(JobId{1}, view_);
  writer->Tick({});
  EXPECT_EQ(writer->lost(), 2U);
  writer->Applied(entry_);
  writer->Tick(TimePoint{} + std::chrono::seconds(2));
  EXPECT_EQ(writer->lost(), 3U);
  const std::string said = said_.str();
  EXPECT_NE(said.find("trace_broken"), std::string::npos);
  EXPECT_EQ(said.find("trace_broken"), said.rfind("trace_broken"));
}

TEST_F(TraceWriterTest, RefusesAFolderThatCannotBe) {
  const auto writer = TraceWriter::Make("/dev/null/traces", ShardId{0}, 1, log_);
  ASSERT_FALSE(writer.ok());
  EXPECT_NE(writer.error().message.find("see trace.folder"), std::string::npos);
}

TEST(TraceFormatTest, RefusesALineThatIsNotAsItShouldBe) {
  for (const std::string line :
       {"", "7", "{}", R"({"event":"other"})", R"({"event":"end"})",
        R"({"event":"end","events":-1})", R"({"event":"end","events":1,"more":1})",
        R"({"event":"applied","version":1,"made":[{"rank":4294967296}],"tables":[]})",
        R"({"event":"applied","version":1,"made":[7],"tables":[]})",
        R"({"event":"trace","format":2})"}) {
    EXPECT_FALSE(ParseTrace(line).ok()) << line;
  }
  EXPECT_TRUE(ParseTrace(R"({"event":"end","events":1})").ok());
}

}  // namespace
}  // namespace shardmill
