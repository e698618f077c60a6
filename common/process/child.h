#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/process/file_descriptor.h"
#include "common/result.h"

namespace shardmill {

// How a process ended.
struct ExitStatus {
  int code = 0;    // Where it exited by itself.
  int signal = 0;  // Where a signal ended it; else 0.

  bool operator==(const ExitStatus&) const = default;
  bool ok() const { return code == 0 && signal == 0; }
};

// "exit code 4 (a peer or a file was not there in time)", "signal 9 (Killed)".
std::string ExitWords(const ExitStatus& status);

struct ChildOptions {
  std::string name;               // For messages: "worker 1".
  std::vector<std::string> argv;  // The first is the path of the program.
  std::string log_path;           // Takes what the child writes to stdout and stderr; made anew.
  bool announces = false;         // Adds `--announce-fd N` and keeps the other end of that pipe.
};

// A process that we started: it has our environment, no input, and a process group of its own, so
// that a Ctrl-C at the terminal reaches us alone. Owned by whoever started it and used on the
// thread that did, which must stay for as long as the child should: the kernel kills the child when
// that thread ends, however it ends. A child that still runs when its Child goes is killed.
class Child final {
 public:
  // The error names the program and says why it cannot run.
  static Result<std::unique_ptr<Child>> Spawn(const ChildOptions& options);
  Child(std::string name, pid_t pid, FileDescriptor announce);  // For Spawn.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  int announce_fd() const { return announce_.get(); }

  // How it ended, or nothing while it runs; waits up to `timeout` for the end.
  std::optional<ExitStatus> Wait(std::chrono::milliseconds timeout);
  std::optional<ExitStatus> Poll() { return Wait(std::chrono::milliseconds(0)); }

  void Terminate();  // Asks: SIGTERM.
  void Interrupt();  // As Ctrl-C does: SIGINT.
  void Kill();       // Does not ask: SIGKILL.

 private:
  std::string name_;
  pid_t pid_;
  FileDescriptor announce_;
  std::optional<ExitStatus> status_;
};

}  // namespace shardmill
