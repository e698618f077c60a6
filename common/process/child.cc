#include "common/process/child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

#include "common/process/exit_code.h"
#include "common/process/signals.h"

namespace shardmill {
namespace {

struct Pipe {
  FileDescriptor read;
  FileDescriptor write;
};

Error CannotStart(const ChildOptions& options, int why) {
  const std::string program = options.argv.empty() ? "" : options.argv[0];
  return {ErrorCode::kFailed, "cannot start " + options.name + " (" + program +
                                  "): " + std::generic_category().message(why)};
}

bool MakePipe(Pipe* made) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  made->read = FileDescriptor(ends[0]);
  made->write = FileDescriptor(ends[1]);
  return true;
}

// All that the child needs between fork and exec, where it may allocate nothing.
struct Launch {
  char* const* argv;
  pid_t parent;
  int log;
  int input;
  int announce;
  int failure;
};

[[noreturn]] void RunChild(const Launch& launch) {
  const auto fail = [&] {
    const int why = errno;
    const ssize_t written = write(launch.failure, &why, sizeof why);
    _exit(written == sizeof why ? 127 : 126);
  };
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
  // The parent may have gone before the line above: then nobody else would end this process.
  if (getppid() != launch.parent) _exit(127);
  if (setpgid(0, 0) != 0) fail();
  RestoreSignals();
  if (dup2(launch.input, STDIN_FILENO) < 0 || dup2(launch.log, STDOUT_FILENO) < 0 ||
      dup2(launch.log, STDERR_FILENO) < 0) {
    fail();
  }
  if (launch.announce >= 0 && fcntl(launch.announce, F_SETFD, 0) != 0) fail();
  execv(launch.argv[0], launch.argv);
  fail();
  _exit(127);
}

// Reads what RunChild wrote where it failed; 0 where the program runs.
int ExecFailure(int fd) {
  int why = 0;
  ssize_t got = 0;
  do {
    got = read(fd, &why, sizeof why);
  } while (got < 0 && errno == EINTR);
  return got == sizeof why ? why : 0;
}

}  // namespace

std::string ExitWords(const ExitStatus& status) {
  if (status.signal != 0) {
    return "signal " + std::to_string(status.signal) + " (" + strsignal(status.signal) + ")";
  }
  const std::string words = ExitCodeWords(status.code);
  return "exit code " + std::to_string(status.code) + (words.empty() ? "" : " (" + words + ")");
}

Result<std::unique_ptr<Child>> Child::Spawn(const ChildOptions& options) {
  SM_ASSERT(!options.argv.empty());
  Pipe announce;
  Pipe failure;
  const FileDescriptor input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const FileDescriptor log(
      open(options.log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644));
  if (!log.valid()) {
    return Error{ErrorCode::kFailed, options.log_path + ": cannot be written: " +
                                         std::generic_category().message(errno)};
  }
  if (!input.valid() || !MakePipe(&failure) || (options.announces && !MakePipe(&announce))) {
    return CannotStart(options, errno);
  }
  std::vector<std::string> argv = options.argv;
  if (options.announces) {
    argv.emplace_back("--announce-fd");
    argv.push_back(std::to_string(announce.write.get()));
  }
  std::vector<char*> pointers;
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const Launch launch{pointers.data(),      getpid(),           log.get(), input.get(),
                      announce.write.get(), failure.write.get()};
  const pid_t pid = fork();
  if (pid < 0) return CannotStart(options, errno);
  if (pid == 0) RunChild(launch);
  failure.write.Close();
  auto child = std::make_unique<Child>(options.name, pid, std::move(announce.read));
  if (const int why = ExecFailure(failure.read.get()); why != 0) return CannotStart(options, why);
  return child;
}

Child::Child(std::string name, pid_t pid, FileDescriptor announce)
    : name_(std::move(name)), pid_(pid), announce_(std::move(announce)) {}

Child::~Child() {
  if (Poll()) return;
  Kill();
  int ignored = 0;
  while (waitpid(pid_, &ignored, 0) < 0 && errno == EINTR) {
  }
}

std::optional<ExitStatus> Child::Wait(std::chrono::milliseconds timeout) {
  constexpr std::chrono::milliseconds kSlice{5};
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!status_) {
    int status = 0;
    const pid_t pid = waitpid(pid_, &status, WNOHANG);
    if (pid == pid_) {
      status_ = WIFSIGNALED(status) ? ExitStatus{.code = 0, .signal = WTERMSIG(status)}
                                    : ExitStatus{.code = WEXITSTATUS(status), .signal = 0};
    } else if (pid < 0 && errno != EINTR) {
      status_ = ExitStatus{.code = static_cast<int>(ExitCode::kFailed), .signal = 0};
    } else if (std::chrono::steady_clock::now() >= end) {
      break;
    } else {
      poll(nullptr, 0, static_cast<int>(kSlice.count()));
    }
  }
  return status_;
}

void Child::Interrupt() {
  if (!Poll()) kill(pid_, SIGINT);
}

void Child::Terminate() {
  if (!Poll()) kill(pid_, SIGTERM);
}

void Child::Kill() {
  if (!Poll()) kill(pid_, SIGKILL);
}

}  // namespace shardmill
