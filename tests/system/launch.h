#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/process/announce.h"
#include "common/process/child.h"
#include "common/status/job_status.h"

// Real processes for tests: the programs as built, on a small data set made up on the spot.
namespace shardmill {

// A folder of the running test's own.
std::string TestFolder();

// Writes a data set of random pictures that are easy to tell apart, and a job file that trains on
// it for so many epochs with 2 shards and 2 workers. Returns the job file's path.
std::string WriteJob(uint32_t epochs);

// Starts a program of this build, "cli/shardmill"; what it writes goes to OutputPath(name).
std::unique_ptr<Child> Launch(const std::string& name, const std::string& program,
                              std::vector<std::string> arguments);

// Launch as another user (see AsNobody).
std::unique_ptr<Child> LaunchAsNobody(const std::string& name, const std::string& program,
                                      std::vector<std::string> arguments);

// A daemon that was started by itself, as an operator does, and where it says that it can be found.
struct Daemon {
  std::unique_ptr<Child> process;
  Announcement where;
};

// Launch, and then waits for its announcement.
Daemon LaunchDaemon(const std::string& name, const std::string& program,
                    std::vector<std::string> arguments);

// What a program wrote, stdout and stderr in the order in which they came.
std::string OutputOf(const std::string& name);
std::string LastLineOf(const std::string& name);

// `shardmill train` of the job, with its runs in the test's folder.
std::unique_ptr<Child> LaunchTrain(const std::string& job, std::vector<std::string> arguments = {});

// Waits until the newest run under the test's folder is in that state. Returns the status.
JobStatus AwaitState(JobStatus::State state);

// Asks until it is true; says whether it became so in time.
bool Await(const std::function<bool()>& is_true);

// The processes whose parent is that one.
std::vector<int> ChildrenOf(int pid);

// The program and its arguments, each with a blank behind it; empty where the process is gone.
std::string CommandOf(int pid);

// Whether the process runs; one that has ended and waits to be noticed does not.
bool Runs(int pid);

}  // namespace shardmill
