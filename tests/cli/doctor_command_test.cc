#include "cli/doctor_command.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "cli/keys_command.h"
#include "cli/run_folder.h"
#include "common/http/http_server.h"
#include "common/json/json.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;
using Grade = Finding::Grade;

Finding Find(const std::vector<Finding>& findings, const std::string& what) {
  const auto found = std::ranges::find(findings, what, &Finding::what);
  EXPECT_NE(found, findings.end()) << what;
  return found == findings.end() ? Finding{} : *found;
}

// A job of which all is there, in the test's own folder.
JobOptions Sound() {
  JobOptions job;
  job.job.runs = testing::TempDir() + "/runs";
  job.snapshot.to = testing::TempDir() + "/not/there/yet";
  return job;
}

TEST(DoctorTest, FindsWhatAJobNeedsWhereItIsThere) {
  const JobOptions job = Sound();
  const std::vector<Finding> findings = ExamineMachine(&job);
  for (const char* what : {"open files", "shared memory", "loopback", "job.runs", "snapshot.to"}) {
    EXPECT_NE(Find(findings, what).grade, Grade::kMissing) << Find(findings, what).found;
  }
}

TEST(DoctorTest, TakesAFolderFromWhereItIsStarted) {
  const fs::path before = fs::current_path();
  fs::current_path(testing::TempDir());
  JobOptions job = Sound();
  job.job.runs = "runs_of_nobody_yet";
  const Finding finding = Find(ExamineMachine(&job), "job.runs");
  fs::current_path(before);
  EXPECT_NE(finding.grade, Grade::kMissing) << finding.found;
}

TEST(DoctorTest, CountsTheFilesThatAProcessMayOpen) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  JobOptions job = Sound();
  job.cluster.workers = 100;
  rlimit few = before;
  few.rlim_cur = 512;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const Finding finding = Find(ExamineMachine(&job), "open files");
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(finding.grade, Grade::kMissing);
  EXPECT_EQ(finding.mend, "ulimit -n 936, or LimitNOFILE= of the unit");
}

TEST(DoctorTest, NamesAFolderThatCannotBeWrittenAndDataThatIsNotThere) {
  const std::string file = testing::TempDir() + "/a_file";
  ASSERT_TRUE(WriteTextFile(file, "x").ok());
  JobOptions job = Sound();
  job.snapshot.to = file + "/below";
  job.data.folder = testing::TempDir() + "/no_data";
  const std::vector<Finding> findings = ExamineMachine(&job);
  EXPECT_EQ(Find(findings, "snapshot.to").grade, Grade::kMissing);
  EXPECT_EQ(Find(findings, "data").grade, Grade::kMissing);
  EXPECT_NE(Find(findings, "data").found.find("no_data"), std::string::npos);
}

TEST(DoctorTest, WantsNoDataForAProgramOfOnesOwn) {
  JobOptions job = Sound();
  EXPECT_EQ(Find(ExamineMachine(&job), "data").grade, Grade::kGood);
  job.model.layers.emplace_back();
  EXPECT_EQ(Find(ExamineMachine(&job), "data").grade, Grade::kMissing);
}

TEST(DoctorTest, LooksForTablesToo) {
  JobOptions job = Sound();
  job.data.format = DataFormat::kCsv;
  job.data.folder.clear();
  job.data.train = {testing::TempDir() + "/table.csv"};
  EXPECT_NE(Find(ExamineMachine(&job), "data").found.find("table.csv"), std::string::npos);
  EXPECT_EQ(Find(ExamineMachine(&job), "data").grade, Grade::kMissing);
  job.data.label = "y";
  ASSERT_TRUE(WriteTextFile(job.data.train.front(), "x,y\n1,2\n").ok());
  EXPECT_EQ(Find(ExamineMachine(&job), "data").grade, Grade::kGood);
  ASSERT_TRUE(WriteTextFile(job.data.train.front(), "x,y\nheavy,2\n").ok());
  const Finding finding = Find(ExamineMachine(&job), "data");
  EXPECT_EQ(finding.grade, Grade::kMissing);
  EXPECT_NE(finding.found.find("table.csv:2: "), std::string::npos) << finding.found;
}

TEST(DoctorTest, SaysWhatTheJobWantsOfMemory) {
  JobOptions job = Sound();
  job.data.format = DataFormat::kCsv;
  job.data.train = {testing::TempDir() + "/sized.csv"};
  job.data.label = "y";
  ASSERT_TRUE(WriteTextFile(job.data.train.front(), "a,b,y\n1,2,0\n2,1,1\n").ok());
  // A little over 20 MiB of weights: 2^20 of 2 inputs and a bias, and 2 of 2^20 inputs and a bias.
  LayerOptions affine;
  affine.type = "affine";
  affine.units = 1 << 20;
  job.model.layers = {affine, affine};
  job.model.layers.back().units = 2;
  job.optimizer.name = OptimizerName::kAdam;
  job.replication.replicas = 1;
  job.cluster.workers = 2;
  const Finding finding = Find(ExamineMachine(&job), "memory");
  EXPECT_NE(finding.found.find("161MiB for servers and 81MiB for workers"), std::string::npos)
      << finding.found;
  job.cluster.workers = 40960;
  EXPECT_EQ(Find(ExamineMachine(&job), "memory").grade, Grade::kPoor);
}

TEST(DoctorTest, LooksForOneKeyAtLeast) {
  JobOptions job = Sound();
  job.security.keys = testing::TempDir() + "/keys";
  EXPECT_EQ(Find(ExamineMachine(&job), "security.keys").grade, Grade::kMissing);
  std::ostringstream said;
  const Console console{.out = said, .err = said};
  ASSERT_TRUE(RunKeysGen({.folder = job.security.keys}, console).ok()) << said.str();
  for (const char* other : {"coordinator", "server"}) {
    fs::remove(job.security.keys + "/secret/" + other + ".key");
  }
  const Finding finding = Find(ExamineMachine(&job), "security.keys");
  EXPECT_EQ(finding.grade, Grade::kGood) << finding.found;
}

TEST(DoctorTest, FindsAPortThatIsAnothers) {
  const auto other = HttpServer::Start({}, {}).value();
  JobOptions job = Sound();
  const std::string& address = other->address();
  job.http.port = static_cast<uint32_t>(std::stoul(address.substr(address.rfind(':') + 1)));
  EXPECT_EQ(Find(ExamineMachine(&job), "http.port").grade, Grade::kMissing);
  job.cluster.server_port = job.http.port - 1;
  job.cluster.shards_per_server = 2;
  EXPECT_EQ(Find(ExamineMachine(&job), "cluster.server_port").grade, Grade::kMissing);
}

TEST(DoctorTest, SaysThatSomethingIsMissingByItsEnd) {
  const std::string file = testing::TempDir() + "/job.toml";
  ASSERT_TRUE(WriteTextFile(file, "data = { folder = \"/no/such/folder\" }\n").ok());
  std::ostringstream out;
  std::ostringstream err;
  const Console console{.out = out, .err = err};
  const Result<> ran = RunDoctor({.job = file, .json = true}, console);
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code, ErrorCode::kBadUsage);
  const Result<JsonValue> json = ParseJson(out.str());
  ASSERT_TRUE(json.ok()) << out.str();
  const auto data = std::ranges::find_if(
      json.value().items, [](const JsonValue& one) { return one.Find("what")->text == "data"; });
  ASSERT_NE(data, json.value().items.end());
  EXPECT_EQ(data->Find("grade")->text, "missing");
  EXPECT_FALSE(data->Find("mend")->text.empty());
}

}  // namespace
}  // namespace shardmill
