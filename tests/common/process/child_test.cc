#include "common/process/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/process/announce.h"
#include "common/process/exit_code.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{20000};

std::string Folder() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder = testing::TempDir() + "/" + test->name();
  std::filesystem::create_directories(folder);
  return folder;
}

ChildOptions Shell(const std::string& script) {
  return {.name = "shell", .argv = {"/bin/sh", "-c", script, "sh"}, .log_path = Folder() + "/log"};
}

std::unique_ptr<Child> Spawn(const ChildOptions& options) {
  Result<std::unique_ptr<Child>> child = Child::Spawn(options);
  EXPECT_TRUE(child.ok()) << child.error().message;
  return std::move(child).value();
}

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(ChildTest, TellsTheExitCodeAndKeepsWhatWasSaid) {
  const ChildOptions options = Shell("echo out; echo err >&2; exit 4");
  const auto child = Spawn(options);
  EXPECT_EQ(child->Wait(kPatience), (ExitStatus{.code = 4}));
  EXPECT_EQ(child->Poll(), (ExitStatus{.code = 4}));
  EXPECT_EQ(Contents(options.log_path), "out\nerr\n");
}

TEST(ChildTest, EndsItsChildWhenAskedAndWhenNot) {
  const auto asked = Spawn(Shell("exec sleep 1000"));
  EXPECT_EQ(asked->Poll(), std::nullopt);
  asked->Terminate();
  EXPECT_EQ(asked->Wait(kPatience), (ExitStatus{.signal = SIGTERM}));
  const auto not_asked = Spawn(Shell("trap '' TERM; exec sleep 1000"));
  not_asked->Kill();
  EXPECT_EQ(not_asked->Wait(kPatience), (ExitStatus{.signal = SIGKILL}));
  not_asked->Kill();
}

TEST(ChildTest, KillsItsChildWhenItGoes) {
  pid_t pid = 0;
  {
    const auto child = Spawn(Shell("exec sleep 1000"));
    pid = child->pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST(ChildTest, DiesWithAParentThatIsKilled) {
  // The orphan is handed to this process, which can so see how it ended.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const ChildOptions options = Shell("exec sleep 1000");
  const pid_t parent = fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    const auto child = Spawn(options);
    const pid_t pid = child->pid();
    const bool told = write(ends[1], &pid, sizeof pid) == sizeof pid;
    kill(getpid(), told ? SIGKILL : SIGABRT);
  }
  pid_t orphan = 0;
  ASSERT_EQ(read(ends[0], &orphan, sizeof orphan), ssize_t{sizeof orphan});
  int status = 0;
  ASSERT_EQ(waitpid(parent, &status, 0), parent);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  ASSERT_EQ(waitpid(orphan, &status, 0), orphan);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST(ChildTest, SaysWhyAProgramCannotRun) {
  ChildOptions options = Shell("");
  options.argv = {"/no/such/program"};
  const Result<std::unique_ptr<Child>> child = Child::Spawn(options);
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().message,
            "cannot start shell (/no/such/program): No such file or directory");
  options.log_path = "/no/such/folder/log";
  EXPECT_NE(Child::Spawn(options).error().message.find("/no/such/folder/log"), std::string::npos);
}

TEST(ChildTest, DescribesEndsInWords) {
  EXPECT_EQ(ExitWords({.code = 2}), "exit code 2 (bad usage or configuration)");
  EXPECT_EQ(ExitWords({.code = 77}), "exit code 77");
  EXPECT_EQ(ExitWords({.signal = SIGKILL}), "signal 9 (Killed)");
}

TEST(AnnounceTest, ReachesTheOneWhoStartedTheDaemon) {
  ChildOptions options =
      Shell(R"(echo '{"address":"tcp://a:1","http":"a:2"}' >/proc/self/fd/$2; sleep 1000)");
  options.announces = true;
  const auto child = Spawn(options);
  AnnouncementReader reader(child->announce_fd());
  const auto announcement = reader.Read(kPatience);
  ASSERT_TRUE(announcement.ok()) << announcement.error().message;
  EXPECT_EQ(announcement.value(), (Announcement{"tcp://a:1", "a:2"}));
}

TEST(AnnounceTest, ReadsWhatItWrites) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const FileDescriptor read(ends[0]);
  AnnouncementReader reader(read.get());
  EXPECT_EQ(reader.Read(std::chrono::milliseconds(0)).value(), std::nullopt);
  const Announcement announcement{"tcp://[::1]:4711", ""};
  ASSERT_TRUE(Announce(ends[1], announcement).ok());
  EXPECT_EQ(reader.Read(kPatience).value(), announcement);
  EXPECT_TRUE(Announce(-1, announcement).ok());
  EXPECT_EQ(Announce(1 << 20, announcement).error().code, ErrorCode::kBadUsage);
}

TEST(AnnounceTest, SaysThatNoneCanCome) {
  for (const char* script :
       {"exit 1", "echo hello >/proc/self/fd/$2", "yes | tr -d '\\n' >/proc/self/fd/$2"}) {
    ChildOptions options = Shell(script);
    options.announces = true;
    const auto child = Spawn(options);
    AnnouncementReader reader(child->announce_fd());
    EXPECT_FALSE(reader.Read(kPatience).ok()) << script;
  }
}

TEST(ExitCodeTest, GivesEveryErrorItsCode) {
  EXPECT_EQ(static_cast<int>(ExitCodeOf(ErrorCode::kBadUsage)), 2);
  EXPECT_EQ(static_cast<int>(ExitCodeOf(ErrorCode::kFailed)), 1);
  EXPECT_EQ(static_cast<int>(ExitCodeOf(ErrorCode::kBadInput)), 1);
  EXPECT_EQ(static_cast<int>(ExitCodeOf(ErrorCode::kFenced)), 3);
  EXPECT_EQ(static_cast<int>(ExitCodeOf(ErrorCode::kUnavailable)), 4);
  EXPECT_EQ(static_cast<int>(ExitCodeOf(ErrorCode::kStopped)), 130);
}

}  // namespace
}  // namespace shardmill
