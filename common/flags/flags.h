#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// What the command lines of the four programs say, as plain values.
namespace shardmill {

// The job file and what overrides it.
struct JobFlags {
  std::string file = {};
  std::vector<std::string> sets = {};  // Each "section.key=value".
};

struct CoordinatorFlags {
  JobFlags job = {};
  std::string listen = {};  // An endpoint that a transport binds; empty: what the job file says.
  bool stay = false;        // Once the job has failed, until it is told to stop.
  int announce_fd = -1;
  int stopped_code = 0;
};

struct ServerFlags {
  JobFlags job = {};
  uint32_t index = 0;
  int announce_fd = -1;
  int stopped_code = 0;
};

struct WorkerFlags {
  JobFlags job = {};
  uint32_t rank = 0;
  bool any_rank = false;  // Or else that one.
  int announce_fd = -1;
  int stopped_code = 0;
};

struct TrainFlags {
  JobFlags job = {};
  bool json = false;
  bool quiet = false;
  bool single = false;  // In one process, without servers.
  bool record = false;
  std::string trace = {};  // Where the timeline goes; empty: none is made.
};

struct EvalFlags {
  JobFlags job = {};
  std::string model = {};  // A file or a run's folder; empty: of the newest run.
  std::string part = {};   // "train", "validate" or "test"; empty: what the job is measured with.
  bool json = false;
};

struct PredictFlags {
  JobFlags job = {};
  std::string model = {};  // These two as in EvalFlags.
  std::string part = {};
  std::string out = {};  // A file; empty: stdout.
};

struct AuditFlags {
  std::vector<std::string> traces = {};  // Files and folders.
  bool json = false;
};

struct ReplayFlags {
  std::string folder = {};  // Of the run.
  bool json = false;
};

struct BenchFlags {
  std::vector<std::string> names = {};  // Empty: all.
  bool json = false;
  bool list = false;
  double seconds = 4;  // Of each benchmark.
  uint32_t runs = 0;   // Exactly so many of each side; 0: as many as fit.
  bool check = false;  // Count instructions instead.
  bool update = false;
  std::string baseline = "bench/baseline.json";
};

// Of which job: all empty, the newest run under `runs` whose coordinator answers.
struct JobPlace {
  std::string job = {};  // HOST:PORT of the coordinator's page, a job file, or a job's name.
  std::string http = {};
  std::string runs = "runs";
};

struct StatusFlags {
  JobPlace where = {};
  bool json = false;
};

struct TopFlags {
  JobPlace where = {};
  double every = 1;  // Seconds.
};

struct DoctorFlags {
  std::string job = {};  // A file; empty: the machine alone.
  std::vector<std::string> sets = {};
  bool json = false;
};

struct RebalanceFlags {
  JobFlags job = {};
  std::vector<uint32_t> drained = {};  // Servers that are to hold nothing.
  bool dry_run = false;
};

struct PlotFlags {
  std::vector<std::string> runs = {};     // Their folders.
  std::vector<std::string> metrics = {};  // None: all.
  std::string out = "curves.svg";
  bool json = false;
};

struct ConfigCheckFlags {
  JobFlags job = {};
};

struct ConfigPrintFlags {
  JobFlags job = {};
  bool origin = false;
};

struct KeysGenFlags {
  std::string folder = "keys";
  std::string role = {};  // Empty: one key for each role.
  std::optional<uint32_t> rank = {};
  std::string name = {};  // Empty: the role, and the rank.
  bool replace = false;
};

struct KeysListFlags {
  std::string folder = "keys";
  bool json = false;
};

struct KeysRevokeFlags {
  std::string folder = "keys";
  std::string name = {};
};

struct SnapshotLsFlags {
  std::string folder = {};
  bool json = false;
};

struct SnapshotShowFlags {
  std::string snapshot = {};
  bool json = false;
};

struct SnapshotVerifyFlags {
  std::string snapshot = {};
  bool json = false;
};

struct SnapshotExportFlags {
  std::string snapshot = {};
  std::string file = {};
  bool state = false;
};

struct SnapshotBeginFlags {
  JobFlags job = {};
};

struct VersionFlags {};

using CommandFlags =
    std::variant<TrainFlags, EvalFlags, PredictFlags, StatusFlags, TopFlags, DoctorFlags,
                 RebalanceFlags, PlotFlags, AuditFlags, ReplayFlags, BenchFlags, SnapshotLsFlags,
                 SnapshotShowFlags, SnapshotVerifyFlags, SnapshotExportFlags, SnapshotBeginFlags,
                 ConfigCheckFlags, ConfigPrintFlags, KeysGenFlags, KeysListFlags, KeysRevokeFlags,
                 VersionFlags>;

// There is nothing to run: --help, --version (code 0, for stdout) or a mistake (code 2, for
// stderr).
struct FlagsEnd {
  int code = 0;
  std::string text;
};

template <class T>
using FlagsOr = std::variant<T, FlagsEnd>;

// `arguments` are those of main without the program's name.
FlagsOr<CoordinatorFlags> ParseCoordinatorFlags(const std::vector<std::string>& arguments);
FlagsOr<ServerFlags> ParseServerFlags(const std::vector<std::string>& arguments);
FlagsOr<WorkerFlags> ParseWorkerFlags(const std::vector<std::string>& arguments);
FlagsOr<CommandFlags> ParseCommandFlags(const std::vector<std::string>& arguments);

std::vector<std::string> ArgumentsOf(int argc, char** argv);

// Writes the text where it belongs. Returns the exit code.
int PrintFlagsEnd(const FlagsEnd& end);

// "HOST:PORT" or "tcp://HOST:PORT" as an endpoint to bind; port 0 or * takes a free one. Nothing
// where it is neither.
std::optional<std::string> ParseListen(const std::string& text);

}  // namespace shardmill
