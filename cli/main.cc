// shardmill: the command for people.
#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>
#include <variant>

#include "cli/audit_command.h"
#include "cli/bench_command.h"
#include "cli/config_command.h"
#include "cli/console.h"
#include "cli/doctor_command.h"
#include "cli/eval_command.h"
#include "cli/job_weights.h"
#include "cli/keys_command.h"
#include "cli/plot_command.h"
#include "cli/predict_command.h"
#include "cli/rebalance_command.h"
#include "cli/replay_command.h"
#include "cli/snapshot_command.h"
#include "cli/status_command.h"
#include "cli/top_command.h"
#include "cli/train_command.h"
#include "common/flags/flags.h"
#include "common/process/exit_code.h"
#include "common/process/signals.h"
#include "common/process/version.h"

namespace shardmill {
namespace {

Console MakeConsole() {
  Console console{.out = std::cout, .err = std::cerr, .environment = config::ProcessEnvironment()};
  console.animate =
      isatty(STDERR_FILENO) == 1 && config::ValueOf(console.environment, "TERM") != "dumb";
  console.color = console.animate && config::ValueOf(console.environment, "NO_COLOR").empty();
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    console.columns = size.ws_col;
  }
  return console;
}

Result<> Train(const TrainFlags& flags, const Console& console) {
  StopSource stop;
  const std::unique_ptr<SignalWatcher> signals = SM_TRY(SignalWatcher::Start(&stop));
  return RunTrain(flags, console, stop);
}

Result<> Rebalance(const RebalanceFlags& flags, const Console& console) {
  StopSource stop;
  const std::unique_ptr<SignalWatcher> signals = SM_TRY(SignalWatcher::Start(&stop));
  return RunRebalance(flags, console, stop);
}

Result<> Top(const TopFlags& flags, const Console& console) {
  StopSource stop;
  const std::unique_ptr<SignalWatcher> signals = SM_TRY(SignalWatcher::Start(&stop));
  return RunTop(flags, console, stop);
}

// One overload a command.
struct Runner {
  const Console& console;

  Result<> operator()(const TrainFlags& flags) const { return Train(flags, console); }
  Result<> operator()(const EvalFlags& flags) const { return RunEval(flags, console); }
  Result<> operator()(const PredictFlags& flags) const { return RunPredict(flags, console); }
  Result<> operator()(const AuditFlags& flags) const { return RunAudit(flags, console); }
  Result<> operator()(const ReplayFlags& flags) const { return RunReplay(flags, console); }
  Result<> operator()(const BenchFlags& flags) const { return RunBench(flags, console); }
  Result<> operator()(const StatusFlags& flags) const { return RunStatus(flags, console); }
  Result<> operator()(const RebalanceFlags& flags) const { return Rebalance(flags, console); }
  Result<> operator()(const TopFlags& flags) const { return Top(flags, console); }
  Result<> operator()(const DoctorFlags& flags) const { return RunDoctor(flags, console); }
  Result<> operator()(const PlotFlags& flags) const { return RunPlot(flags, console); }
  Result<> operator()(const SnapshotLsFlags& flags) const { return RunSnapshotLs(flags, console); }
  Result<> operator()(const SnapshotShowFlags& flags) const {
    return RunSnapshotShow(flags, console);
  }
  Result<> operator()(const SnapshotVerifyFlags& flags) const {
    return RunSnapshotVerify(flags, console);
  }
  Result<> operator()(const SnapshotExportFlags& flags) const {
    return RunSnapshotExport(flags, console);
  }
  Result<> operator()(const SnapshotBeginFlags& flags) const {
    return RunSnapshotBegin(flags, console);
  }
  Result<> operator()(const ConfigCheckFlags& flags) const {
    return RunConfigCheck(flags, console);
  }
  Result<> operator()(const ConfigPrintFlags& flags) const {
    return RunConfigPrint(flags, console);
  }
  Result<> operator()(const KeysGenFlags& flags) const { return RunKeysGen(flags, console); }
  Result<> operator()(const KeysListFlags& flags) const { return RunKeysList(flags, console); }
  Result<> operator()(const KeysRevokeFlags& flags) const { return RunKeysRevoke(flags, console); }
  Result<> operator()(const VersionFlags&) const {
    console.out << VersionText("shardmill") << std::flush;
    return {};
  }
};

int Main(int argc, char** argv) {
  const FlagsOr<CommandFlags> parsed = ParseCommandFlags(ArgumentsOf(argc, argv));
  if (const auto* end = std::get_if<FlagsEnd>(&parsed)) return PrintFlagsEnd(*end);
  const Console console = MakeConsole();
  const Result<> ran = std::visit(Runner{console}, std::get<CommandFlags>(parsed));
  const Result<> told = ran.ok() ? FlushResult(console) : ran;
  if (told.ok()) return static_cast<int>(ExitCode::kDone);
  console.err << "shardmill: " << told.error().message << "\n";
  return static_cast<int>(ExitCodeOf(told.error().code));
}

}  // namespace
}  // namespace shardmill

int main(int argc, char** argv) { return shardmill::Main(argc, argv); }
