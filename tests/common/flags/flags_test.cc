#include "common/flags/flags.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

template <class T>
std::string Mistake(const FlagsOr<T>& parsed) {
  const FlagsEnd* end = std::get_if<FlagsEnd>(&parsed);
  if (!end) return "nothing";
  return std::to_string(end->code) + " " + end->text;
}

TEST(FlagsTest, ReadsAWorkersFlagsInAnyOrder) {
  const auto parsed = ParseWorkerFlags({"--set", "policy.mode=stale", "job.toml", "--rank=3",
                                        "--set=a.b=[1, 2]", "--announce-fd", "5"});
  ASSERT_TRUE(std::holds_alternative<WorkerFlags>(parsed)) << Mistake(parsed);
  const WorkerFlags& flags = std::get<WorkerFlags>(parsed);
  EXPECT_EQ(flags.job.file, "job.toml");
  EXPECT_EQ(flags.rank, 3U);
  EXPECT_EQ(flags.job.sets, (std::vector<std::string>{"policy.mode=stale", "a.b=[1, 2]"}));
  EXPECT_EQ(flags.announce_fd, 5);
}

TEST(FlagsTest, ReadsACoordinatorsAndAServersFlags) {
  const auto coordinator = ParseCoordinatorFlags(
      {"job.toml", "--listen", "127.0.0.1:0", "--stay", "--stopped-code", "143"});
  ASSERT_TRUE(std::holds_alternative<CoordinatorFlags>(coordinator)) << Mistake(coordinator);
  EXPECT_EQ(std::get<CoordinatorFlags>(coordinator).listen, "tcp://127.0.0.1:*");
  EXPECT_TRUE(std::get<CoordinatorFlags>(coordinator).stay);
  EXPECT_EQ(std::get<CoordinatorFlags>(coordinator).stopped_code, 143);
  const auto server = ParseServerFlags({"job.toml", "--index", "2"});
  ASSERT_TRUE(std::holds_alternative<ServerFlags>(server)) << Mistake(server);
  EXPECT_EQ(std::get<ServerFlags>(server).index, 2U);
  EXPECT_EQ(std::get<ServerFlags>(server).stopped_code, 0);
}

TEST(FlagsTest, EndsWithTwoAndWordsOnAMistake) {
  EXPECT_EQ(Mistake(ParseWorkerFlags({"job.toml", "--rnak", "1"})).substr(0, 20),
            "2 shardmill-worker: ");
  EXPECT_NE(Mistake(ParseWorkerFlags({"job.toml"})).find("--rank"), std::string::npos);
  EXPECT_NE(Mistake(ParseServerFlags({"--index", "1"})).find("FILE"), std::string::npos);
  EXPECT_EQ(Mistake(ParseServerFlags({"a", "--index", "-1"}))[0], '2');
  EXPECT_EQ(Mistake(ParseServerFlags({"a", "--index", "x"}))[0], '2');
  EXPECT_EQ(Mistake(ParseServerFlags({"a", "--index", "1", "--stopped-code", "256"}))[0], '2');
  EXPECT_EQ(Mistake(ParseServerFlags({"a", "b", "--index", "1"}))[0], '2');
  EXPECT_NE(Mistake(ParseCoordinatorFlags({"a", "--listen", "nowhere"})).find("HOST:PORT"),
            std::string::npos);
  EXPECT_EQ(Mistake(ParseCommandFlags({}))[0], '2');
  EXPECT_EQ(Mistake(ParseCommandFlags({"tran"}))[0], '2');
  EXPECT_EQ(Mistake(ParseCommandFlags({"config"}))[0], '2');
  EXPECT_EQ(Mistake(ParseCommandFlags({"status", "--http", "a:1", "--runs", "b"}))[0], '2');
  EXPECT_EQ(Mistake(ParseCommandFlags({"status", "a:1", "--http", "a:1"}))[0], '2');
  EXPECT_EQ(Mistake(ParseCommandFlags({"top", "--every", "0"}))[0], '2');
}

TEST(FlagsTest, NamesTheWordThatIsNoCommand) {
  EXPECT_EQ(Mistake(ParseCommandFlags({"frobnicate"})),
            "2 shardmill: there is no command \"frobnicate\"\nsee shardmill --help\n");
  EXPECT_NE(Mistake(ParseCommandFlags({"trian"})).find("did you mean \"train\"?"),
            std::string::npos);
  EXPECT_NE(Mistake(ParseCommandFlags({"config", "frob"})).find("shardmill config: there is no"),
            std::string::npos);
}

TEST(FlagsTest, PointsAtTheHelpOfTheCommandThatWasGiven) {
  const std::string train = Mistake(ParseCommandFlags({"train"}));
  EXPECT_TRUE(train.ends_with("\nsee shardmill train --help\n")) << train;
  const std::string check = Mistake(ParseCommandFlags({"config", "check"}));
  EXPECT_TRUE(check.ends_with("\nsee shardmill config check --help\n")) << check;
}

TEST(FlagsTest, PrintsHelpAndVersionWithZero) {
  const std::string help = Mistake(ParseCoordinatorFlags({"--help"}));
  EXPECT_EQ(help[0], '0');
  EXPECT_NE(help.find("Exit codes"), std::string::npos);
  const std::string version = Mistake(ParseServerFlags({"--version"}));
  EXPECT_EQ(version.substr(0, 21), "0 shardmill-ps 0.1.0\n");
  EXPECT_NE(version.find("protocol 1 to 1\nbuild "), std::string::npos);
  EXPECT_EQ(Mistake(ParseCommandFlags({"train", "--help"}))[0], '0');
}

TEST(FlagsTest, TellsTheCommandsApart) {
  const auto train =
      ParseCommandFlags({"train", "a.toml", "--json", "--trace", "out.json", "--set", "x.y=1"});
  ASSERT_TRUE(std::holds_alternative<CommandFlags>(train)) << Mistake(train);
  const auto* train_flags = std::get_if<TrainFlags>(&std::get<CommandFlags>(train));
  ASSERT_NE(train_flags, nullptr);
  EXPECT_TRUE(train_flags->json);
  EXPECT_EQ(train_flags->trace, "out.json");
  EXPECT_EQ(train_flags->job.file, "a.toml");

  const auto print = ParseCommandFlags({"config", "print", "a.toml", "--origin"});
  ASSERT_TRUE(std::holds_alternative<CommandFlags>(print)) << Mistake(print);
  const auto* print_flags = std::get_if<ConfigPrintFlags>(&std::get<CommandFlags>(print));
  ASSERT_NE(print_flags, nullptr);
  EXPECT_TRUE(print_flags->origin);

  const auto status = ParseCommandFlags({"status"});
  ASSERT_TRUE(std::holds_alternative<CommandFlags>(status)) << Mistake(status);
  const auto* status_flags = std::get_if<StatusFlags>(&std::get<CommandFlags>(status));
  ASSERT_NE(status_flags, nullptr);
  EXPECT_EQ(status_flags->where.runs, "runs");

  const auto top = ParseCommandFlags({"top", "host:1", "--every", "0.5"});
  ASSERT_TRUE(std::holds_alternative<CommandFlags>(top)) << Mistake(top);
  const auto* top_flags = std::get_if<TopFlags>(&std::get<CommandFlags>(top));
  ASSERT_NE(top_flags, nullptr);
  EXPECT_EQ(top_flags->where.job, "host:1");
  EXPECT_EQ(top_flags->every, 0.5);

  const auto version = ParseCommandFlags({"version"});
  ASSERT_TRUE(std::holds_alternative<CommandFlags>(version)) << Mistake(version);
  EXPECT_TRUE(std::holds_alternative<VersionFlags>(std::get<CommandFlags>(version)));
}

TEST(FlagsTest, TurnsAnAddressIntoAnEndpointToBind) {
  EXPECT_EQ(ParseListen("tcp://0.0.0.0:77"), "tcp://0.0.0.0:77");
  EXPECT_EQ(ParseListen("[::1]:0"), "tcp://[::1]:*");
  EXPECT_EQ(ParseListen("tcp://127.0.0.1:*"), "tcp://127.0.0.1:*");
  EXPECT_EQ(ParseListen("127.0.0.1"), std::nullopt);
  EXPECT_EQ(ParseListen(":0"), std::nullopt);
  EXPECT_EQ(ParseListen("a b:0"), std::nullopt);
}

TEST(FlagsTest, ReadsTheSnapshotCommands) {
  const auto parsed = ParseCommandFlags({"snapshot", "export", "a/b", "c.safetensors", "--state"});
  ASSERT_TRUE(std::holds_alternative<CommandFlags>(parsed)) << Mistake(parsed);
  const auto* flags = std::get_if<SnapshotExportFlags>(&std::get<CommandFlags>(parsed));
  ASSERT_NE(flags, nullptr);
  EXPECT_EQ(flags->snapshot + " " + flags->file, "a/b c.safetensors");
  EXPECT_TRUE(flags->state);
  EXPECT_EQ(Mistake(ParseCommandFlags({"snapshot", "verify"}))[0], '2');
}

}  // namespace
}  // namespace shardmill
