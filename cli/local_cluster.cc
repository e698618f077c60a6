#include "cli/local_cluster.h"

#include <algorithm>
#include <array>
#include <utility>

#include "cli/run_folder.h"
#include "common/process/exit_code.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;
using Children = std::vector<std::unique_ptr<Child>>;

constexpr milliseconds kAnnounceTimeout{30'000};
constexpr milliseconds kSlice{50};
constexpr milliseconds kSlow{1'000};  // An end that takes longer is told of.
constexpr size_t kLogLinesShown = 4;
constexpr int kRestartsMax = 10;  // Of all processes, in one run.

ErrorCode CodeOf(const ExitStatus& status) {
  switch (static_cast<ExitCode>(status.code)) {
    case ExitCode::kBadUsage:
      return ErrorCode::kBadUsage;
    case ExitCode::kFenced:
      return ErrorCode::kFenced;
    case ExitCode::kUnavailable:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kFailed;
  }
}

// The keys that Start sets, whatever the job file says.
constexpr std::array<std::string_view, 5> kSetForAll = {"cluster.coordinator", "cluster.host",
                                                        "cluster.server_port", "cluster.state",
                                                        "replication.log"};

}  // namespace

std::string OverriddenWords(const config::Listing& listing) {
  std::string keys;
  std::string more;
  for (const config::Effective& one : listing) {
    if (one.value == one.default_value) continue;
    if (std::find(kSetForAll.begin(), kSetForAll.end(), one.key) != kSetForAll.end()) {
      keys += (keys.empty() ? "" : ", ") + one.key + " = " + one.value;
    }
    if (one.key == "http.port") more += "; http.port is the coordinator's alone";
    if (one.key == "http.enabled")
      more += "; the coordinator's page is on in spite of http.enabled";
  }
  if (keys.empty() && more.empty()) return "";
  return "train runs every process on this machine, at addresses of its own choice" +
         (keys.empty() ? more : ": not used: " + keys + more);
}

std::string LocalCluster::LogOf(const Child& child) const {
  return options_.folder + "/" + child.name() + ".log";
}

Error LocalCluster::Culprit(const Child& child, const ExitStatus& status) const {
  const std::string end = LastLines(LogOf(child), kLogLinesShown, kOptionsEnd);
  std::string words = child.name() + " ended with " + ExitWords(status);
  words += end.empty() ? "; it said nothing" : "; the end of " + LogOf(child) + ":\n" + end;
  if (words.back() == '\n') words.pop_back();
  return {CodeOf(status), std::move(words)};
}

Result<> LocalCluster::Spawn(const std::string& name, const std::string& program,
                             std::vector<std::string> arguments, Children* into) {
  ChildOptions child;
  child.name = name;
  child.argv = {program, options_.job.file};
  child.argv.insert(child.argv.end(), arguments.begin(), arguments.end());
  child.log_path = options_.folder + "/" + name + ".log";
  child.announces = into == &coordinators_;
  into->push_back(SM_TRY(Child::Spawn(child)));
  return {};
}

Result<> LocalCluster::AwaitCoordinator(const StopSource& stop) {
  Child& child = *coordinators_.front();
  AnnouncementReader reader(child.announce_fd());
  for (milliseconds waited{0}; waited < kAnnounceTimeout; waited += kSlice) {
    if (stop.requested()) return Error{ErrorCode::kStopped, "stopped"};
    Result<std::optional<Announcement>> read = reader.Read(kSlice);
    if (!read.ok()) {
      // It closed the pipe, so it has ended or is about to; its log says more than the pipe.
      const std::optional<ExitStatus> status = child.Wait(std::chrono::seconds(2));
      return status ? Culprit(child, *status)
                    : Error{read.error().code, child.name() + ": " + read.error().message};
    }
    if (read.value()) {
      announcement_ = std::move(*read.value());
      return {};
    }
  }
  return Error{ErrorCode::kUnavailable,
               "the coordinator did not say within " +
                   std::to_string(kAnnounceTimeout / std::chrono::seconds(1)) +
                   " s where it listens; see " + LogOf(child)};
}

Result<> LocalCluster::Start(const StopSource& stop) {
  std::vector<std::string> sets;
  const auto set = [](std::vector<std::string>* arguments, const std::string& value) {
    arguments->insert(arguments->end(), {"--set", value});
  };
  for (const std::string& one : options_.job.sets) set(&sets, one);
  // Later ones win. All processes share this machine, so none may insist on a port of its own, and
  // the coordinator's page is where this command learns how the job goes.
  std::vector<std::string> arguments = sets;
  set(&arguments, "http.enabled=true");
  set(&arguments, "cluster.host=127.0.0.1");
  set(&arguments, "cluster.state=" + options_.folder + "/coordinator");
  SM_TRY(StartCoordinator(arguments, "127.0.0.1:0", stop));
  // Where everybody knows it, it can be started again.
  coordinator_again_ = arguments;
  set(&coordinator_again_,
      "http.port=" + announcement_.http.substr(announcement_.http.rfind(':') + 1));
  stop_ = &stop;

  arguments = sets;
  set(&arguments, "http.port=0");
  set(&arguments, "cluster.host=127.0.0.1");
  set(&arguments, "cluster.server_port=0");
  set(&arguments, "cluster.coordinator=" + announcement_.address);
  others_ = arguments;
  for (uint32_t i = 0; i < options_.servers; ++i) {
    SM_TRY(Spawn("server-" + std::to_string(i), options_.programs.server, ServerArguments(i),
                 &servers_));
  }
  for (uint32_t i = 0; i < options_.workers; ++i) {
    std::vector<std::string> own = others_;
    own.insert(own.end(), {"--rank", std::to_string(i)});
    SM_TRY(Spawn("worker-" + std::to_string(i), options_.programs.worker, own, &workers_));
  }
  return {};
}

std::vector<std::string> LocalCluster::ServerArguments(size_t index) const {
  std::vector<std::string> arguments = others_;
  arguments.insert(arguments.end(), {"--index", std::to_string(index)});
  return arguments;
}

Result<> LocalCluster::StartCoordinator(std::vector<std::string> arguments,
                                        const std::string& listen, const StopSource& stop) {
  arguments.insert(arguments.end(), {"--listen", listen});
  const std::string name =
      restarts_ == 0 ? "coordinator" : "coordinator-" + std::to_string(restarts_ + 1);
  coordinators_.clear();
  SM_TRY(Spawn(name, options_.programs.coordinator, std::move(arguments), &coordinators_));
  return AwaitCoordinator(stop);
}

// Training goes on while it is away, and it goes on where it was. It may be killed while it starts.
Result<> LocalCluster::CheckCoordinator() {
  while (const std::optional<ExitStatus> status = coordinators_.front()->Poll()) {
    if (status->signal == 0 || !MayRestart("coordinator", *status))
      return Culprit(*coordinators_.front(), *status);
    Result<> started = StartCoordinator(coordinator_again_, announcement_.address, *stop_);
    if (!started.ok() && !coordinators_.front()->Poll()) return started;
  }
  return {};
}

bool LocalCluster::MayRestart(const std::string& name, const ExitStatus& status) {
  if (restarts_ == kRestartsMax) return false;
  ++restarts_;
  if (tell_) {
    tell_(name + " ended with " + ExitWords(status) + "; started again (" +
          std::to_string(restarts_) + " of at most " + std::to_string(kRestartsMax) + ")");
  }
  return true;
}

// With replicas the job has gone on, and its new process follows; else it goes back to the last
// snapshot when that is there.
Result<> LocalCluster::CheckServer(size_t index) {
  const std::optional<ExitStatus> status = servers_[index]->Poll();
  if (!status) return {};
  const std::string name = "server-" + std::to_string(index);
  const bool asked = status->signal != 0 || status->ok();  // By somebody else, to stop.
  if (!options_.replaces_servers || !asked || !MayRestart(name, *status)) {
    return Culprit(*servers_[index], *status);
  }
  Children started;
  SM_TRY(Spawn(name + "-" + std::to_string(restarts_ + 1), options_.programs.server,
               ServerArguments(index), &started));
  servers_[index] = std::move(started.front());
  return {};
}

Result<> LocalCluster::Check() {
  // Workers first: where several have ended, the others are more likely to have followed.
  size_t killed = 0;
  for (const auto& worker : workers_) {
    const std::optional<ExitStatus> status = worker->Poll();
    if (!status || status->ok()) continue;
    ++killed;
    const bool missed = !options_.elastic || status->signal == 0 || killed == workers_.size();
    if (missed) return Culprit(*worker, *status);
    if (tell_ && killed > told_killed_) {
      tell_(worker->name() + " ended with " + ExitWords(*status) + "; the job goes on without it");
    }
  }
  told_killed_ = killed;
  for (size_t i = 0; i < servers_.size(); ++i) SM_TRY(CheckServer(i));
  return CheckCoordinator();
}

Result<> LocalCluster::AwaitWorkers(milliseconds timeout, const StopSource& stop) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  for (const auto& worker : workers_) {
    while (!worker->Wait(kSlice)) {
      if (stop.requested()) return Error{ErrorCode::kStopped, "stopped"};
      if (std::chrono::steady_clock::now() < end) continue;
      return Error{
          ErrorCode::kUnavailable,
          worker->name() + " does not end although the job is done; see " + LogOf(*worker)};
    }
  }
  return Check();
}

Result<> LocalCluster::Stop(milliseconds grace,
                            const std::function<void(const std::string&)>& tell_slow) {
  const auto end = std::chrono::steady_clock::now() + grace;
  const auto left = [&end] {
    return std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
  };
  std::optional<Error> wrong;
  // Workers leave while there is still somebody to say goodbye to. Of the servers none has another
  // to hand its shards over to.
  for (const Children* children : {&workers_, &servers_, &coordinators_}) {
    for (const auto& child : *children) {
      children == &servers_ ? child->Interrupt() : child->Terminate();
    }
    for (const auto& child : *children) {
      std::optional<ExitStatus> status = child->Wait(std::min(left(), kSlow));
      if (!status && tell_slow && left() > kSlow) {
        tell_slow(child->name() + " does not end and will be killed in " +
                  std::to_string(std::chrono::ceil<std::chrono::seconds>(left()).count()) + " s");
      }
      if (!status) status = child->Wait(left());
      if (!status) {
        child->Kill();
        status = child->Wait(std::chrono::seconds(1));
      }
      const bool missed = !options_.elastic || children != &workers_ || !status || !status->signal;
      const bool stopped = status && status->code == static_cast<int>(ExitCode::kStopped);
      if (!wrong && status && !status->ok() && !stopped && missed) wrong = Culprit(*child, *status);
    }
  }
  if (wrong) return *wrong;
  return {};
}

}  // namespace shardmill
