#include "cli/trace_audit.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cli/audit_command.h"
#include "common/json/json.h"

namespace shardmill {
namespace {

constexpr Policy kStaleByOne{ApplyRule::kOnArrival, true, 1};

// A small run's trace, event by event: two workers, one table.
class Trace {
 public:
  Trace(uint32_t shard, uint32_t shards, Policy policy)
      : shard_(shard), head_{JobId{9}, ShardId{shard}, shards, 2, policy} {
    view_.members = {{WorkerId{0}, Incarnation{1}, 0}, {WorkerId{1}, Incarnation{1}, 0}};
  }

  Trace& Takes(uint64_t view) {
    view_.number = ViewNumber{view};
    return Add(FormatTrace(view_));
  }
  Trace& Restores(uint64_t version, std::vector<RankState> ranks) {
    version_ = version;
    return Add(FormatTrace(TraceRestored{version, std::move(ranks)}));
  }
  Trace& Applies(uint32_t rank, Step step, bool discarded = false) {
    LogEntry entry;
    entry.version = ++version_;
    entry.made = {{WorkerId{rank}, step, 1, discarded, 0}};
    return Add(FormatTrace(entry));
  }
  Trace& Serves(uint32_t rank, Step step, uint64_t closed, uint64_t staleness,
                uint64_t closed_min = 0, uint64_t incarnation = 1) {
    TraceServed served;
    served.pull.sender = {WorkerId{rank}, Incarnation{incarnation}};
    served.pull.step = step;
    served.pull.pull = ++pull_;
    served.pull.closed_min = closed_min;
    served.closed = closed;
    served.version = version_;
    served.staleness = staleness;
    return Add(FormatTrace(served));
  }
  Trace& SkipsAVersion() {
    ++version_;
    return *this;
  }

  // Writes the trace, with its last line or without. Returns the path.
  std::string Write(bool whole = true, const std::string& tail = "") const {
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    const std::string folder = testing::TempDir() + "/" + test->name();
    std::filesystem::create_directories(folder);
    std::string path = folder + "/shard-" + std::to_string(shard_) + ".trace";
    std::ofstream file(path);
    file << FormatTrace(head_) << "\n" << text_;
    if (whole) file << FormatTrace(TraceEnd{lines_ + 1}) << "\n";
    file << tail;
    return path;
  }

 private:
  Trace& Add(const std::string& line) {
    text_ += line + "\n";
    ++lines_;
    return *this;
  }

  uint32_t shard_;
  TraceHead head_;
  View view_;
  uint64_t version_ = 0;
  uint64_t pull_ = 0;
  uint64_t lines_ = 0;
  std::string text_;
};

AuditReport Audit(const std::vector<std::string>& paths) {
  const Result<AuditReport> report = AuditTraces(paths);
  EXPECT_TRUE(report.ok()) << report.error().message;
  return report.ok() ? report.value() : AuditReport{};
}

// The only violation that a trace has, or all of them.
std::string Found(const Trace& trace) {
  const AuditReport report = Audit({trace.Write()});
  std::string words;
  for (const TraceViolation& violation : report.violations) {
    words += std::to_string(violation.line) + ": " + violation.words + "\n";
  }
  return words;
}

Trace Begun(Policy policy = kStaleByOne) { return Trace(0, 1, policy).Takes(1); }

TEST(TraceAuditTest, FindsNothingInARunThatKeptItsPolicy) {
  const AuditReport report =
      Audit({Begun().Serves(0, 1, 0, 0).Applies(0, 1).Serves(0, 2, 0, 1).Applies(1, 1).Write()});
  EXPECT_EQ(report.violations_found, 0U);
  EXPECT_TRUE(report.notes.empty());
  EXPECT_EQ(report.shards.at(0).applied, 2U);
  EXPECT_EQ(report.shards.at(0).served, 2U);
  EXPECT_EQ(report.shards.at(0).staleness_max, 1U);
}

TEST(TraceAuditTest, GoesOnFromWhatASnapshotBroughtBack) {
  const std::vector<RankState> ranks{{WorkerId{0}, 5}, {WorkerId{1}, 4}};
  EXPECT_EQ(Found(Begun().Restores(9, ranks).Serves(0, 6, 4, 1).Applies(1, 5).Applies(0, 6)), "");
  EXPECT_NE(Found(Begun().Restores(9, ranks).Applies(0, 5)), "");
  const AuditReport apart = Audit({Trace(0, 2, kStaleByOne).Takes(1).Restores(9, ranks).Write(),
                                   Trace(1, 2, kStaleByOne).Takes(1).Restores(9, {}).Write()});
  EXPECT_GT(apart.violations_found, 0U);
}

TEST(TraceAuditTest, NamesAPullThatWasServedTooEarly) {
  EXPECT_EQ(Found(Begun().Applies(0, 1).Applies(0, 2).Serves(0, 3, 0, 2)),
            "5: pull 1 for step 3 of worker 0 is served too early: for round 2 when 0 are closed, "
            "and the bound is 1\n");
  EXPECT_EQ(
      Found(
          Begun({ApplyRule::kOnArrival, false, 0}).Applies(0, 1).Applies(0, 2).Serves(0, 3, 0, 2)),
      "");
}

TEST(TraceAuditTest, NamesAPullThatWasServedWithoutTheReadersOwnStep) {
  EXPECT_EQ(Found(Begun().Serves(0, 2, 0, 1)),
            "3: pull 1 for step 2 of worker 0 is served without the reader's own step 1\n");
}

TEST(TraceAuditTest, NamesAWrongStalenessAndAWrongClosed) {
  EXPECT_EQ(Found(Begun().Applies(0, 1).Serves(0, 2, 0, 0)),
            "4: pull 1 for step 2 of worker 0: staleness is said to be 0 and is 1\n");
  EXPECT_EQ(Found(Begun().Applies(0, 1).Serves(0, 2, 1, 1)),
            "4: pull 1 for step 2 of worker 0: closed is said to be 1 and is 0\n");
  EXPECT_EQ(Found(Begun().Serves(0, 1, 0, 0, 3)),
            "3: pull 1 for step 1 of worker 0 is served when 0 rounds are closed, and it asked for "
            "3\n");
}

TEST(TraceAuditTest, NamesAReaderThatHasLostItsRank) {
  EXPECT_EQ(Found(Begun().Serves(0, 1, 0, 0, 0, 2)),
            "3: pull 1 for step 1 of worker 0: that process does not hold the rank\n");
}

TEST(TraceAuditTest, NamesAStepThatIsMadeTwiceLeftOutOrDiscarded) {
  EXPECT_EQ(Found(Begun().Applies(0, 1).Applies(0, 1)), "4: step 1 of worker 0 is made twice\n");
  EXPECT_EQ(Found(Begun().Applies(0, 2)),
            "3: step 2 of worker 0 is made after step 0: one is left out\n");
  EXPECT_EQ(Found(Begun().Applies(0, 1, true)),
            "3: step 1 of worker 0 is discarded, and there are no backup workers\n");
  EXPECT_EQ(Found(Begun().SkipsAVersion().Applies(0, 1)), "3: version 2 after version 0\n");
}

TEST(TraceAuditTest, NamesAStepThatAShardLacks) {
  const std::string first = Trace(0, 2, kStaleByOne).Takes(1).Applies(1, 1).Takes(2).Write();
  const std::string second = Trace(1, 2, kStaleByOne).Takes(1).Takes(2).Write();
  const AuditReport report = Audit({first, second});
  ASSERT_EQ(report.violations.size(), 1U);
  EXPECT_EQ(report.violations[0].shard, 1U);
  EXPECT_EQ(report.violations[0].words,
            "at view 2 it lacks step 1 of worker 1, which shard 0 has made");
}

TEST(TraceAuditTest, AllowsOneStepUnderWayWhereARunWasStopped) {
  const std::string first = Trace(0, 2, kStaleByOne).Takes(1).Applies(1, 1).Write();
  EXPECT_EQ(Audit({first, Trace(1, 2, kStaleByOne).Takes(1).Write()}).violations_found, 0U);
  const std::string further = Trace(0, 2, kStaleByOne).Takes(1).Applies(1, 1).Applies(1, 2).Write();
  EXPECT_EQ(Audit({further, Trace(1, 2, kStaleByOne).Takes(1).Write()}).violations_found, 1U);
}

TEST(TraceAuditTest, NamesAStepThatOneShardDiscardsAndAnotherDoesNot) {
  const Policy backups{ApplyRule::kPerStep, true, 0, {}, {}, 1};
  const std::string first = Trace(0, 2, backups).Takes(1).Applies(0, 1).Write();
  const std::string second = Trace(1, 2, backups).Takes(1).Applies(0, 1, true).Write();
  const AuditReport report = Audit({first, second});
  ASSERT_EQ(report.violations.size(), 1U);
  EXPECT_EQ(report.violations[0].words,
            "step 1 of worker 0 is discarded here or on shard 0, and not on both");
}

TEST(TraceAuditTest, SaysThatATraceIsCutOffAndProvesWhatIsThere) {
  const Trace trace = Begun().Applies(0, 1);
  for (const std::string tail : {"", "{\"event\":\"appl", "{\"event\":\"appl\n"}) {
    const AuditReport report = Audit({trace.Write(false, tail)});
    EXPECT_EQ(report.violations_found, 0U);
    EXPECT_EQ(report.shards.at(0).applied, 1U);
    EXPECT_EQ(report.notes.size(), 1U) << tail;
  }
}

TEST(TraceAuditTest, RefusesDamageInTheMiddleAndLinesThatAreGone) {
  const Trace trace = Begun().Applies(0, 1);
  EXPECT_FALSE(
      AuditTraces({trace.Write(false, "damaged\n" + FormatTrace(TraceEnd{3}) + "\n")}).ok());
  EXPECT_FALSE(AuditTraces({trace.Write(false, FormatTrace(TraceEnd{7}) + "\n")}).ok());
  EXPECT_FALSE(AuditTraces({trace.Write(true, "\n")}).ok());
  EXPECT_FALSE(AuditTraces({"/none/shard-0.trace"}).ok());
}

TEST(TraceAuditTest, SaysWhichShardsAreMissingAndRefusesTracesOfTwoRuns) {
  const std::string path = Trace(1, 2, kStaleByOne).Takes(1).Write();
  EXPECT_EQ(Audit({path}).notes.size(), 1U);
  EXPECT_FALSE(AuditTraces({path, path}).ok());
  const std::string other = Trace(0, 2, {ApplyRule::kOnArrival, true, 2}).Takes(1).Write();
  EXPECT_FALSE(AuditTraces({path, other}).ok());
}

TEST(TraceAuditTest, TellsPeopleAndProgramsWhatWasFound) {
  const AuditReport report = Audit({Begun().Applies(0, 1).Applies(0, 1).Write()});
  EXPECT_NE(DescribeAudit(report).find("shard 0, line 4: step 1 of worker 0 is made twice"),
            std::string::npos);
  const Result<JsonValue> json = ParseJson(ToJson(report));
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json.value().Find("applied")->whole, 2U);
  EXPECT_EQ(json.value().Find("violations")->items.at(0).Find("line")->whole, 4U);
}

}  // namespace
}  // namespace shardmill
