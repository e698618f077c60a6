// shardmill top in a terminal: a pseudo-terminal whose other end is the test.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <sstream>

#include "common/http/http_server.h"
#include "common/process/file_descriptor.h"
#include "common/published.h"
#include "common/status/job_status.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr winsize kSmall{.ws_row = 8, .ws_col = 40, .ws_xpixel = 0, .ws_ypixel = 0};

// A coordinator's page that says what the test wants it to.
class Page final {
 public:
  Page() {
    JobStatus status;
    status.state = JobStatus::State::kTraining;
    status.workers = {{.rank = 0, .step = 5}, {.rank = 1, .step = 4}};
    Say(status);
    const auto answer = [this](const HttpRequest&) { return HttpResponse{.body = json_.Get()}; };
    server_ = HttpServer::Start({}, {{"/status", answer}}).value();
  }

  void Say(const JobStatus& status) {
    status_ = status;
    json_.Set(ToJson(status));
  }
  JobStatus status() const { return status_; }
  std::string address() const { return server_->address(); }
  void End() { server_.reset(); }

 private:
  JobStatus status_;
  Published<std::string> json_;
  std::unique_ptr<HttpServer> server_;
};

// `shardmill top` of that page.
class Top final {
 public:
  explicit Top(const std::string& address) {
    int terminal = -1;
    pid_ = forkpty(&terminal, nullptr, nullptr, &kSmall);
    if (pid_ == 0) {
      execl("cli/shardmill", "shardmill", "top", address.c_str(), "--every", "0.1", nullptr);
      _exit(127);
    }
    terminal_ = FileDescriptor(terminal);
  }
  ~Top() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Top(const Top&) = delete;
  Top& operator=(const Top&) = delete;

  // Whether the text comes to be on the screen.
  bool Shows(const std::string& text) {
    return Await([&] {
      Read();
      return Page().find(text) != std::string::npos;
    });
  }

  void Press(char key) { EXPECT_EQ(write(terminal_.get(), &key, 1), 1); }

  // How it ends by itself.
  int ExitCode() {
    int status = 0;
    const bool ended = Await([&] {
      Read();
      return waitpid(pid_, &status, WNOHANG) == pid_;
    });
    EXPECT_TRUE(ended) << read_;
    if (!ended) return -1;
    pid_ = 0;
    Read();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // What it drew last, from the first line on.
  std::string Page() const {
    const size_t home = read_.rfind("\x1b[H");
    return home == std::string::npos ? "" : read_.substr(home);
  }
  // All that is there, the way it came.
  const std::string& read() const { return read_; }
  bool Echoes() const {
    termios now{};
    EXPECT_EQ(tcgetattr(terminal_.get(), &now), 0);
    return (now.c_lflag & ECHO) != 0;
  }

 private:
  void Read() {
    pollfd ready{terminal_.get(), POLLIN, 0};
    char some[4096];
    while (poll(&ready, 1, 0) > 0 && (ready.revents & POLLIN) != 0) {
      const ssize_t count = ::read(terminal_.get(), some, sizeof some);
      if (count <= 0) return;
      read_.append(some, static_cast<size_t>(count));
    }
  }

  pid_t pid_ = 0;
  FileDescriptor terminal_;
  std::string read_;
};

TEST(TopTest, ShowsWhatChangesAndGivesTheTerminalBackAtAKey) {
  Page page;
  Top top(page.address());
  EXPECT_TRUE(top.Shows("training")) << top.read();
  EXPECT_FALSE(top.Echoes());
  JobStatus status = page.status();
  status.workers[1].awaited_share = 0.9;
  page.Say(status);
  EXPECT_TRUE(top.Shows("rank 1 is slow: shards wait for it 90 %")) << top.read();
  top.Press('x');
  top.Press('q');
  EXPECT_EQ(top.ExitCode(), 0) << top.read();
  EXPECT_TRUE(top.Echoes());
  // Behind the page that was there before, once more, all of it.
  const size_t back = top.read().rfind("\x1b[?1049l");
  ASSERT_NE(back, std::string::npos);
  EXPECT_NE(top.read().find("rank 1 is slow", back), std::string::npos);
}

TEST(TopTest, DrawsNoMoreThanThereIsRoomFor) {
  Page page;
  Top top(page.address());
  EXPECT_TRUE(top.Shows("\x1b[J")) << top.read();
  std::istringstream lines(top.Page());
  size_t rows = 0;
  for (std::string line; std::getline(lines, line); ++rows) {
    const size_t escape = line.rfind("\x1b[K");
    const size_t begin = line.starts_with("\x1b[H") ? 3 : 0;
    ASSERT_NE(escape, std::string::npos) << line;
    EXPECT_LE(escape - begin, kSmall.ws_col) << line;
  }
  EXPECT_LE(rows, kSmall.ws_row);
}

TEST(TopTest, EndsWithTheCoordinatorOfAJobThatIsOver) {
  Page page;
  Top top(page.address());
  EXPECT_TRUE(top.Shows("training")) << top.read();
  JobStatus status = page.status();
  status.state = JobStatus::State::kDone;
  page.Say(status);
  EXPECT_TRUE(top.Shows("done")) << top.read();
  page.End();
  EXPECT_EQ(top.ExitCode(), 0) << top.read();
}

TEST(TopTest, SaysThatACoordinatorDoesNotAnswer) {
  Page page;
  Top top(page.address());
  EXPECT_TRUE(top.Shows("training")) << top.read();
  page.End();
  EXPECT_TRUE(top.Shows("does not answer for")) << top.read();
  EXPECT_EQ(top.ExitCode(), 4) << top.read();
}

}  // namespace
}  // namespace shardmill
