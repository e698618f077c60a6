#include "tests/system/faults/hosts.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <thread>

#include "common/process/child.h"

namespace shardmill::chaos {
namespace {

constexpr std::chrono::milliseconds kCommandLimit{30'000};

// Scripts of the shell.
constexpr const char* kPath = "PATH=/usr/sbin:/sbin:/usr/bin:/bin; ";
constexpr const char* kMakeSwitch =
    "ip link set lo up; ip link add switch type bridge;"
    "ip address add 10.77.0.1/16 dev switch; ip link set switch up";

Result<> RunCommand(std::vector<std::string> argv, const std::string& log) {
  ChildOptions options;
  options.name = "a command for the network";
  options.argv = std::move(argv);
  options.log_path = log;
  const std::unique_ptr<Child> child = SM_TRY(Child::Spawn(options));
  const std::optional<ExitStatus> status = child->Wait(kCommandLimit);
  if (status && status->ok()) return {};
  std::ifstream file(log);
  const std::string words((std::istreambuf_iterator<char>(file)), {});
  return Error{ErrorCode::kFailed, options.argv.back() + ": " + words};
}

// The switch's end of a host's wire.
std::string PortOf(size_t host) { return "host" + std::to_string(host); }

// Has these lost on their way through the switch, and nothing else.
std::string LossScript(const std::vector<Hosts::Loss>& losses) {
  constexpr double kOf = 1000;
  std::string rules =
      "nft 'flush ruleset\ntable bridge wires {\nchain between {\n"
      "type filter hook forward priority 0\n";
  for (const Hosts::Loss& loss : losses) {
    if (loss.from) rules += "iifname " + PortOf(*loss.from) + " ";
    if (loss.to) rules += "oifname " + PortOf(*loss.to) + " ";
    if (loss.part < 1) {
      rules += "numgen random mod 1000 < " + std::to_string(std::lround(kOf * loss.part)) + " ";
    }
    rules += "drop\n";
  }
  return rules + "}\n}'";
}

// A namespace is of a thread, and stays as long as somebody has it open.
FileDescriptor MakeNetwork() {
  FileDescriptor made;
  std::thread([&made] {
    if (unshare(CLONE_NEWNET) != 0) return;
    made = FileDescriptor(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  return made;
}

}  // namespace

std::vector<std::string> Hosts::OwnNetwork() {
  return {"/usr/bin/unshare", "--user", "--map-root-user", "--net"};
}

std::string Hosts::Hindrance(const std::string& log) {
  std::vector<std::string> argv = OwnNetwork();
  argv.insert(argv.end(), {"/bin/sh", "-ec",
                           std::string(kPath) + kMakeSwitch +
                               "; ip link add one type veth peer name other;"
                               "unshare --net true; " +
                               LossScript({})});
  const Result<> made = RunCommand(std::move(argv), log);
  return made.ok() ? "" : "no hosts can be made here: " + made.error().message;
}

Result<std::unique_ptr<Hosts>> Hosts::Make(std::string log) {
  std::unique_ptr<Hosts> hosts(new Hosts(std::move(log)));
  SM_TRY(hosts->Run(kMakeSwitch));
  return hosts;
}

Hosts::~Hosts() {
  // The next ones have the same names.
  for (size_t host = 0; host < networks_.size(); ++host) {
    if (networks_[host].valid()) static_cast<void>(Remove(host));
  }
  static_cast<void>(Lose({}));
  static_cast<void>(Run("ip link delete switch"));
}

Result<> Hosts::Run(const std::string& script) const {
  return RunCommand({"/bin/sh", "-ec", kPath + script}, log_);
}

std::string Hosts::EnterOf(size_t host) const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(networks_[host].get());
}

std::string Hosts::AddressOf(size_t host) const {
  const size_t number = host + 2;  // None has the switch's.
  return "10.77." + std::to_string(number / 250) + "." + std::to_string(number % 250 + 1);
}

std::vector<std::string> Hosts::Inside(size_t host) const {
  return {"/usr/bin/nsenter", "--net=" + EnterOf(host), "--"};
}

Result<size_t> Hosts::Add() {
  const size_t host = networks_.size();
  networks_.push_back(MakeNetwork());
  if (!networks_.back().valid()) {
    return Error{ErrorCode::kFailed, "the system makes no network namespace for us"};
  }
  const std::string enter = "nsenter --net=" + EnterOf(host) + " -- ip ";
  SM_TRY(Run("ip link add " + PortOf(host) + " type veth peer name wire netns " + EnterOf(host) +
             "; ip link set " + PortOf(host) + " master switch up; " + enter + "address add " +
             AddressOf(host) + "/16 dev wire; " + enter + "link set wire up; " + enter +
             "link set lo up"));
  return host;
}

Result<> Hosts::Remove(size_t host) {
  const Result<> gone = Run("ip link delete " + PortOf(host));
  networks_[host].Close();
  return gone;
}

Result<> Hosts::Lose(const std::vector<Loss>& losses) { return Run(LossScript(losses)); }

Result<> Hosts::Reset(size_t host) {
  return Run("nsenter --net=" + EnterOf(host) + " -- ss --no-header --kill --tcp");
}

}  // namespace shardmill::chaos
