#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/programs.h"
#include "common/config/load.h"
#include "common/flags/flags.h"
#include "common/process/announce.h"
#include "common/process/child.h"
#include "common/process/signals.h"
#include "common/result.h"

namespace shardmill {

// One line about the keys of a job that a LocalCluster sets otherwise; empty where nobody set them.
std::string OverriddenWords(const config::Listing& listing);

struct LocalClusterOptions {
  Programs programs;
  JobFlags job;
  uint32_t servers = 1;
  uint32_t workers = 1;
  bool elastic = false;           // It goes on without a worker that is killed.
  bool replaces_servers = false;  // The job can do without one for a while, or go back.
  std::string folder;             // Takes a log a process.
};

// All processes of a job on this machine, as children of this one. Owned by the train command, on
// one thread; when it goes, whatever still runs is killed. What can fail is said with the name of
// the process that did, the end of its log, and an error code that gives its exit code.
class LocalCluster final {
 public:
  explicit LocalCluster(LocalClusterOptions options) : options_(std::move(options)) {}

  // Starts the coordinator and waits until it listens; then all others. kStopped where `stop` says
  // so.
  Result<> Start(const StopSource& stop);
  // Gets words about what was mended on the way.
  void TellTo(std::function<void(const std::string&)> tell) { tell_ = std::move(tell); }
  const Announcement& coordinator() const { return announcement_; }

  // An error where a process ended that should not have. A worker that is done is none; and a
  // coordinator that was killed is started again, as is a server where the job keeps snapshots or
  // replicas.
  Result<> Check();

  // Waits until all workers have ended by themselves, `timeout` at most.
  Result<> AwaitWorkers(std::chrono::milliseconds timeout, const StopSource& stop);

  // Asks every process to end, waits for `grace`, kills what is left. With an error where one did
  // not end well. `tell_slow` gets words about each that takes its time.
  Result<> Stop(std::chrono::milliseconds grace,
                const std::function<void(const std::string&)>& tell_slow = nullptr);

 private:
  Result<> Spawn(const std::string& name, const std::string& program,
                 std::vector<std::string> arguments, std::vector<std::unique_ptr<Child>>* into);
  Result<> StartCoordinator(std::vector<std::string> arguments, const std::string& listen,
                            const StopSource& stop);
  Result<> AwaitCoordinator(const StopSource& stop);
  Result<> CheckCoordinator();
  Result<> CheckServer(size_t index);
  // Whether a process that was killed may be started again; tells so.
  bool MayRestart(const std::string& name, const ExitStatus& status);
  std::vector<std::string> ServerArguments(size_t index) const;
  std::string LogOf(const Child& child) const;
  Error Culprit(const Child& child, const ExitStatus& status) const;

  LocalClusterOptions options_;
  std::function<void(const std::string&)> tell_;
  Announcement announcement_;
  std::vector<std::unique_ptr<Child>> coordinators_;  // One, once it is started.
  std::vector<std::string> coordinator_again_;        // Its arguments when it is started again.
  std::vector<std::string> others_;                   // Arguments of all but the coordinator.
  int restarts_ = 0;                                  // Of any process.
  const StopSource* stop_ = nullptr;                  // Start's, which lives as long as this.
  std::vector<std::unique_ptr<Child>> servers_;
  std::vector<std::unique_ptr<Child>> workers_;
  size_t told_killed_ = 0;  // Workers that are gone, and of which it was told.
};

}  // namespace shardmill
