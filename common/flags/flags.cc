// The one file that sees the flag parser: it takes long to compile.
#include "common/flags/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <sstream>
#include <utility>

#include "common/config/text.h"
#include "common/job/address.h"
#include "common/process/exit_code.h"
#include "common/process/version.h"

namespace shardmill {
namespace {

constexpr uint32_t kIndexMax = 1U << 20;

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 fenced (another process holds\n"
    "this rank), 4 a peer or a file was not there in time, 5 done but the last snapshot is lost,\n"
    "130 stopped by the user.";

// "shardmill train": the program and the subcommands that were given.
std::string CommandOf(const CLI::App* app) {
  std::string words = app->get_name();
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    words += " " + app->get_name();
  }
  return words;
}

// The library only says that some command is missing, not that the first word is none.
std::optional<FlagsEnd> UnknownCommand(const CLI::App& app,
                                       const std::vector<std::string>& arguments) {
  const CLI::App* at = &app;
  std::string command = app.get_name();
  for (const std::string& word : arguments) {
    std::vector<std::string> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* one : at->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(one->get_name());
      if (one->get_name() == word) next = one;
    }
    if (names.empty() || word.starts_with("-")) return {};
    if (!next) {
      const std::string near = config::Nearest(word, names);
      return FlagsEnd{static_cast<int>(ExitCode::kBadUsage),
                      command + ": there is no command " + config::QuoteForMessage(word) +
                          (near.empty() ? "" : "; did you mean \"" + near + "\"?") + "\nsee " +
                          command + " --help\n"};
    }
    at = next;
    command += " " + word;
  }
  return {};
}

void Describe(CLI::App* app, const char* program) {
  app->name(program);
  app->set_version_flag("--version", VersionText(program), "Print the version and exit");
  app->footer(kExitCodes);
  // A mistake shows its own line alone; the page of help is for those who ask.
  app->failure_message([](const CLI::App* from, const CLI::Error& error) {
    const std::string command = CommandOf(from);
    return command + ": " + error.what() + "\nsee " + command + " --help\n";
  });
}

void AddJob(CLI::App* app, JobFlags* job) {
  app->add_option("FILE", job->file, "The job file")->required();
  app->add_option("--set", job->sets, "Override a key of the job file, as often as wanted")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  app->add_flag_callback(
      "--insecure", [job] { job->sets.emplace_back("security.insecure=true"); },
      "Let processes listen where others can reach them, without keys");
}

void AddPlace(CLI::App* app, JobPlace* place) {
  CLI::Option* job =
      app->add_option("JOB", place->job,
                      "HOST:PORT of its coordinator's page, its file or its name; without, the "
                      "newest that runs");
  CLI::Option* http = app->add_option("--http", place->http, "The coordinator's page for monitors")
                          ->type_name("HOST:PORT")
                          ->excludes(job);
  app->add_option("--runs", place->runs, "Where to look for the newest run")
      ->type_name("FOLDER")
      ->capture_default_str()
      ->excludes(http);
}

struct StatusCommands {
  StatusFlags status;
  TopFlags top;
  DoctorFlags doctor;
};

void AddStatusCommands(CLI::App* app, StatusCommands* commands, CommandFlags* flags) {
  constexpr double kEveryMin = 0.1;
  constexpr double kEveryMax = 3600;
  CLI::App* status = app->add_subcommand("status", "Say what a running job is doing");
  AddPlace(status, &commands->status.where);
  status->add_flag("--json", commands->status.json, "Print what the coordinator says, as JSON");
  status->callback([=] { *flags = commands->status; });

  CLI::App* top = app->add_subcommand("top", "Show what a running job is doing, live");
  AddPlace(top, &commands->top.where);
  top->add_option("--every", commands->top.every, "How often it is asked, in seconds")
      ->type_name("SECONDS")
      ->capture_default_str()
      ->check(CLI::Range(kEveryMin, kEveryMax));
  top->callback([=] { *flags = commands->top; });

  CLI::App* doctor =
      app->add_subcommand("doctor", "Say what this machine lacks, and how to mend it");
  doctor->add_option("FILE", commands->doctor.job, "A job file: whether that job can run here");
  doctor->add_option("--set", commands->doctor.sets, "Override a key of the job file")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  doctor->add_flag("--json", commands->doctor.json, "Print what was found, as JSON");
  doctor->callback([=] { *flags = commands->doctor; });
}

// What all daemons take.
template <class Flags>
void AddDaemon(CLI::App* app, Flags* flags) {
  app->add_option("--announce-fd", flags->announce_fd,
                  "Write where this process listens, as a line of JSON, to this open descriptor")
      ->type_name("N")
      ->check(CLI::Range(3, 1 << 20));
  app->add_option("--stopped-code", flags->stopped_code,
                  "The exit code after SIGTERM, for whoever takes 0 for the end of the work")
      ->type_name("CODE")
      ->capture_default_str()
      ->check(CLI::Range(0, 255));
}

// Runs the parser over the arguments. What it throws ends here.
template <class T>
FlagsOr<T> Parse(CLI::App* app, std::vector<std::string> arguments, T* flags) try {
  std::reverse(arguments.begin(), arguments.end());  // The library takes them from the back.
  app->parse(std::move(arguments));
  return std::move(*flags);
} catch (const CLI::ParseError& end) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = app->exit(end, out, err);
  if (code == 0) return FlagsEnd{0, out.str()};
  return FlagsEnd{static_cast<int>(ExitCode::kBadUsage), out.str() + err.str()};
}

void AddTraceCommands(CLI::App* app, AuditFlags* audit, ReplayFlags* replay, CommandFlags* flags) {
  CLI::App* audit_app =
      app->add_subcommand("audit", "Prove from a recorded run's traces that it kept its policy");
  audit_app->add_option("TRACE", audit->traces, "A run's folder, a folder of traces, or traces")
      ->required();
  audit_app->add_flag("--json", audit->json, "Print what was found as JSON");
  audit_app->callback([=] { *flags = *audit; });

  CLI::App* replay_app =
      app->add_subcommand("replay", "Make a recorded run again in one thread, to the same weights");
  replay_app->add_option("FOLDER", replay->folder, "The run's folder")->required();
  replay_app->add_flag("--json", replay->json, "Print what came of it as JSON");
  replay_app->callback([=] { *flags = *replay; });
}

void AddBenchCommand(CLI::App* app, BenchFlags* bench, CommandFlags* flags) {
  constexpr double kSecondsMax = 3600;
  constexpr uint32_t kRunsMax = 1'000'000;
  CLI::App* bench_app =
      app->add_subcommand("bench", "Measure this machine beside baselines, in one run");
  bench_app->add_option("NAME", bench->names, "What to measure: a name, or the part before a dot");
  bench_app->add_flag("--json", bench->json, "Print a list of JSON objects");
  bench_app->add_flag("--list", bench->list, "Say what there is");
  CLI::Option* seconds =
      bench_app->add_option("--seconds", bench->seconds, "How long each benchmark runs")
          ->type_name("S")
          ->check(CLI::Range(0.0, kSecondsMax))
          ->capture_default_str();
  bench_app->add_option("--runs", bench->runs, "Run each side exactly so often")
      ->type_name("N")
      ->check(CLI::Range(1U, kRunsMax))
      ->excludes(seconds);
  CLI::Option* check = bench_app->add_flag(
      "--check", bench->check, "Count the instructions of the hot paths; fail where they grew");
  bench_app->add_flag("--update", bench->update, "Write what was counted as the new baseline")
      ->needs(check);
  bench_app->add_option("--baseline", bench->baseline, "The file with the counts so far")
      ->type_name("FILE")
      ->capture_default_str()
      ->needs(check);
  bench_app->callback([=] { *flags = *bench; });
}

struct KeysFlags {
  KeysGenFlags gen = {};
  KeysListFlags list = {};
  KeysRevokeFlags revoke = {};
};

void AddKeysCommand(CLI::App* app, KeysFlags* keys, CommandFlags* flags) {
  CLI::App* keys_app = app->add_subcommand("keys", "Make, list and take back the keys of a job");
  keys_app->require_subcommand(1);
  const auto add_folder = [](CLI::App* to, std::string* folder) {
    to->add_option("--folder", *folder, "The folder of keys, as security.keys names it")
        ->type_name("FOLDER")
        ->capture_default_str();
  };
  CLI::App* gen = keys_app->add_subcommand("gen", "Make a key for each role, or one");
  add_folder(gen, &keys->gen.folder);
  CLI::Option* role = gen->add_option("--role", keys->gen.role, "Make one key, for this role")
                          ->check(CLI::IsMember({"coordinator", "server", "worker", "operator"}));
  gen->add_option("--rank", keys->gen.rank, "The worker's rank that is bound to the key")
      ->type_name("R")
      ->check(CLI::Range(0U, kIndexMax))
      ->needs(role);
  gen->add_option("--name", keys->gen.name, "What to call it, instead of its role and rank")
      ->needs(role);
  gen->add_flag("--replace", keys->gen.replace, "Write over a key that is there");
  gen->callback([=] { *flags = keys->gen; });

  CLI::App* list = keys_app->add_subcommand("ls", "Say who is let in, and who was");
  add_folder(list, &keys->list.folder);
  list->add_flag("--json", keys->list.json, "Print it as JSON");
  list->callback([=] { *flags = keys->list; });

  CLI::App* revoke = keys_app->add_subcommand("revoke", "Let a key in no more");
  add_folder(revoke, &keys->revoke.folder);
  revoke->add_option("NAME", keys->revoke.name, "Of the key, as ls has it")->required();
  revoke->callback([=] { *flags = keys->revoke; });
}

struct SnapshotCommands {
  SnapshotLsFlags ls;
  SnapshotShowFlags show;
  SnapshotVerifyFlags verify;
  SnapshotExportFlags save;
  SnapshotBeginFlags begin;
};

void AddSnapshotCommands(CLI::App* app, SnapshotCommands* to, CommandFlags* flags) {
  constexpr const char* kSnapshot = "The snapshot, FOLDER/JOB/NUMBER, or FOLDER/JOB for its newest";
  CLI::App* snapshot = app->add_subcommand("snapshot", "List, check or export snapshots");
  snapshot->require_subcommand(1);
  CLI::App* ls = snapshot->add_subcommand("ls", "List the complete snapshots in a folder");
  ls->add_option("FOLDER", to->ls.folder, "Where jobs keep their snapshots")->required();
  ls->add_flag("--json", to->ls.json, "Print a list of JSON objects");
  ls->callback([=] { *flags = to->ls; });
  CLI::App* show = snapshot->add_subcommand("show", "Say what is in a snapshot");
  show->add_option("SNAPSHOT", to->show.snapshot, kSnapshot)->required();
  show->add_flag("--json", to->show.json, "Print it as JSON");
  show->callback([=] { *flags = to->show; });
  CLI::App* verify = snapshot->add_subcommand("verify", "Read all of a snapshot and check it");
  verify->add_option("SNAPSHOT", to->verify.snapshot, kSnapshot)->required();
  verify->add_flag("--json", to->verify.json, "Print what was found as JSON");
  verify->callback([=] { *flags = to->verify; });
  CLI::App* save = snapshot->add_subcommand("export", "Write a snapshot to one safetensors file");
  save->add_option("SNAPSHOT", to->save.snapshot, kSnapshot)->required();
  save->add_option("FILE", to->save.file, "The file to write")->required();
  save->add_flag("--state", to->save.state, "With the optimizers' state");
  save->callback([=] { *flags = to->save; });
  CLI::App* begin = snapshot->add_subcommand(
      "begin", "Make the snapshot that a job with train.weights begins from, and print its number");
  AddJob(begin, &to->begin.job);
  begin->callback([=] { *flags = to->begin; });
}

void AddRebalanceCommand(CLI::App* app, RebalanceFlags* to, CommandFlags* flags) {
  CLI::App* rebalance =
      app->add_subcommand("rebalance", "Even out the shards over a running job's servers");
  AddJob(rebalance, &to->job);
  rebalance->add_option("--drain", to->drained, "Leave nothing on this server; may be given again")
      ->type_name("I")
      ->check(CLI::Range(0U, kIndexMax));
  rebalance->add_flag("--dry-run", to->dry_run, "Say what would be done, and do nothing");
  rebalance->callback([=] { *flags = *to; });
}

void AddPlotCommand(CLI::App* app, PlotFlags* to, CommandFlags* flags) {
  CLI::App* plot = app->add_subcommand("plot", "Draw how runs got on, and compare them in a table");
  plot->add_option("RUN", to->runs, "Folders of runs")->required();
  plot->add_option("--metric", to->metrics, "Show this alone; may be given again")
      ->type_name("NAME");
  plot->add_option("--out", to->out, "The SVG file to write")
      ->type_name("FILE")
      ->capture_default_str();
  plot->add_flag("--json", to->json, "Print the table as a list of JSON objects");
  plot->callback([=] { *flags = *to; });
}

std::string CheckListen(std::string& text) {
  const std::optional<std::string> endpoint = ParseListen(text);
  if (!endpoint) return "must be HOST:PORT; port 0 takes any free one";
  text = *endpoint;
  return "";
}

void AddModelCommands(CLI::App* app, EvalFlags* eval, PredictFlags* predict, CommandFlags* flags) {
  const auto add = [](CLI::App* command, auto* of) {
    AddJob(command, &of->job);
    command->add_option("--model", of->model, "Its file, or a run's folder; else the newest run's")
        ->type_name("PATH");
    command->add_option("--part", of->part, "Rows of the data; else what the job is measured with")
        ->check(CLI::IsMember({"train", "validate", "test"}));
  };
  CLI::App* eval_app = app->add_subcommand("eval", "Measure a trained model");
  add(eval_app, eval);
  eval_app->add_flag("--json", eval->json, "Print the figures as JSON");
  eval_app->callback([eval, flags] { *flags = *eval; });
  CLI::App* predict_app =
      app->add_subcommand("predict", "Write what a trained model makes of rows");
  add(predict_app, predict);
  predict_app->add_option("--out", predict->out, "Write the CSV here, not to stdout")
      ->type_name("FILE");
  predict_app->callback([predict, flags] { *flags = *predict; });
}

}  // namespace

std::optional<std::string> ParseListen(const std::string& text) {
  if (const std::optional<Address> address = ParseAddress(text)) return address->Endpoint();
  const std::string scheme = "tcp://";
  const std::string bare = text.starts_with(scheme) ? text.substr(scheme.size()) : text;
  if (!bare.ends_with(":0") && !bare.ends_with(":*")) return {};
  const std::string host = bare.substr(0, bare.size() - 2);
  if (host.empty() || !IsHost(host)) return {};
  return scheme + host + ":*";
}

FlagsOr<CoordinatorFlags> ParseCoordinatorFlags(const std::vector<std::string>& arguments) {
  CoordinatorFlags flags;
  CLI::App app(
      "Runs a job's coordinator: who takes part, where the parameters are, and when it ends.");
  Describe(&app, "shardmill-coordinator");
  AddJob(&app, &flags.job);
  app.add_option("--listen", flags.listen, "Where to listen, instead of cluster.coordinator")
      ->type_name("HOST:PORT")
      ->transform(CLI::Validator(CheckListen, ""));
  app.add_flag("--stay", flags.stay, "When the job has failed, say so until told to stop");
  AddDaemon(&app, &flags);
  return Parse(&app, arguments, &flags);
}

FlagsOr<ServerFlags> ParseServerFlags(const std::vector<std::string>& arguments) {
  ServerFlags flags;
  CLI::App app("Runs one of a job's servers, which hold the parameters.");
  Describe(&app, "shardmill-ps");
  AddJob(&app, &flags.job);
  app.add_option("--index", flags.index, "Which of the job's servers this is, counted from 0")
      ->type_name("I")
      ->required()
      ->check(CLI::Range(0U, kIndexMax));
  AddDaemon(&app, &flags);
  return Parse(&app, arguments, &flags);
}

FlagsOr<WorkerFlags> ParseWorkerFlags(const std::vector<std::string>& arguments) {
  WorkerFlags flags;
  CLI::App app("Runs one of a job's workers, which compute gradients.");
  Describe(&app, "shardmill-worker");
  AddJob(&app, &flags.job);
  std::string rank;
  app.add_option(
         "--rank", rank,
         "Which of the job's workers this is, counted from 0; \"any\" takes one that is free")
      ->type_name("R")
      ->required()
      ->check(CLI::Range(0U, kIndexMax) | CLI::IsMember({"any"}));
  app.callback([&] {
    flags.any_rank = rank == "any";
    if (!flags.any_rank) flags.rank = static_cast<uint32_t>(std::stoul(rank));
  });
  AddDaemon(&app, &flags);
  return Parse(&app, arguments, &flags);
}

FlagsOr<CommandFlags> ParseCommandFlags(const std::vector<std::string>& arguments) {
  TrainFlags train;
  AuditFlags audit;
  ReplayFlags replay;
  ConfigCheckFlags check;
  ConfigPrintFlags print;
  BenchFlags bench;
  SnapshotCommands snapshot;
  CommandFlags flags;
  CLI::App app("Trains models over several processes that share their parameters.");
  Describe(&app, "shardmill");
  app.require_subcommand(1);

  CLI::App* train_app = app.add_subcommand("train", "Run a whole job on this machine");
  AddJob(train_app, &train.job);
  train_app->add_flag("--json", train.json, "End stdout with one line of JSON, the result");
  train_app->add_flag("--quiet", train.quiet, "Show no progress");
  train_app->add_flag("--record", train.record,
                      "Write what each shard did to the run's folder, for audit and replay");
  train_app
      ->add_option("--trace", train.trace,
                   "Write a timeline of all processes here, for Perfetto and Chrome")
      ->type_name("OUT");
  train_app->add_flag("--single", train.single, "Train in this process, without servers");
  train_app->callback([&] { flags = train; });
  EvalFlags eval;
  PredictFlags predict;
  AddModelCommands(&app, &eval, &predict, &flags);

  StatusCommands status;
  AddStatusCommands(&app, &status, &flags);
  AddTraceCommands(&app, &audit, &replay, &flags);
  AddBenchCommand(&app, &bench, &flags);
  KeysFlags keys;
  AddKeysCommand(&app, &keys, &flags);
  AddSnapshotCommands(&app, &snapshot, &flags);
  PlotFlags plot;
  AddPlotCommand(&app, &plot, &flags);
  RebalanceFlags rebalance;
  AddRebalanceCommand(&app, &rebalance, &flags);

  CLI::App* config_app = app.add_subcommand("config", "Check or print a job file");
  config_app->require_subcommand(1);
  CLI::App* check_app =
      config_app->add_subcommand("check", "Say all that is wrong with a job file");
  AddJob(check_app, &check.job);
  check_app->callback([&] { flags = check; });
  CLI::App* print_app = config_app->add_subcommand("print", "Print every key and its value");
  AddJob(print_app, &print.job);
  print_app->add_flag("--origin", print.origin, "Say for each value where it came from");
  print_app->callback([&] { flags = print; });

  app.add_subcommand("version", "Print the version")->callback([&] { flags = VersionFlags{}; });
  if (const std::optional<FlagsEnd> unknown = UnknownCommand(app, arguments)) return *unknown;
  return Parse(&app, arguments, &flags);
}

std::vector<std::string> ArgumentsOf(int argc, char** argv) {
  return argc > 1 ? std::vector<std::string>(argv + 1, argv + argc) : std::vector<std::string>();
}

int PrintFlagsEnd(const FlagsEnd& end) {
  std::FILE* to = end.code == 0 ? stdout : stderr;
  if (std::fputs(end.text.c_str(), to) >= 0 && std::fflush(to) == 0) return end.code;
  return end.code == 0 ? static_cast<int>(ExitCode::kFailed) : end.code;
}

}  // namespace shardmill
