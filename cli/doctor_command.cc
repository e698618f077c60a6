#include "cli/doctor_command.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <ostream>
#include <system_error>

#include "cli/control_groups.h"
#include "cli/job_memory.h"
#include "cli/programs.h"
#include "cli/table.h"
#include "cli/train_result.h"
#include "common/blob/posix_files.h"
#include "common/clock.h"
#include "common/config/text.h"
#include "common/http/http_server.h"
#include "common/job/address.h"
#include "common/json/json.h"
#include "common/keys/key_ring.h"
#include "common/net/zmq_transport.h"
#include "common/process/file_descriptor.h"
#include "worker/data/read_data.h"
#include "worker/device.h"
#include "worker/within_memory.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;
using Grade = Finding::Grade;

// Of all that one process listens to and speaks with, and the files that it reads.
constexpr uint64_t kFilesOfAProcess = 128;
constexpr uint64_t kFilesOfAPeer = 8;
constexpr uint64_t kMemoryMin = uint64_t{1} << 30;
constexpr uint64_t kRoomMin = uint64_t{1} << 30;
constexpr uint64_t kReadMax = uint64_t{256} << 20;  // Of data, which takes some seconds.
constexpr std::chrono::milliseconds kSyncMax{10};

std::string_view WordOf(Grade grade) {
  constexpr std::array<std::string_view, 3> kWords = {"good", "poor", "missing"};
  return kWords.at(static_cast<size_t>(grade));
}

// To the whole MiB.
std::string Size(uint64_t bytes) { return config::FormatSize(bytes >> 20 << 20); }

uint64_t ProcessesOf(const JobOptions& job) {
  return uint64_t{job.cluster.Shards()} * (1 + job.replication.replicas) + job.cluster.workers;
}

Finding Processors(const JobOptions* job) {
  cpu_set_t set;
  const int all = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const double usable = std::min<double>(all, ReadGroupLimits().processors.value_or(all));
  Finding finding{Grade::kGood, "processors", FormatCount(usable) + " to use"};
  const uint64_t wanted = job != nullptr ? ProcessesOf(*job) : 2;
  if (usable >= static_cast<double>(wanted)) return finding;
  finding.grade = Grade::kPoor;
  finding.found += ", and " + std::to_string(wanted) + " threads want one each";
  finding.mend = job != nullptr
                     ? "fewer cluster.workers or shards, or more machines: they take turns"
                     : "a server and a worker take turns: use a machine with more";
  return finding;
}

Finding Memory(const std::optional<JobMemory>& job) {
  const uint64_t free = NumberIn("/proc/meminfo", "MemAvailable:").value_or(0) << 10;
  const uint64_t available = std::min(free, ReadGroupLimits().memory_left.value_or(free));
  Finding finding{Grade::kGood, "memory", Size(available) + " available"};
  if (job) {
    constexpr uint64_t kUp = (uint64_t{1} << 20) - 1;
    finding.found += "; the job wants " + Size(job->servers + kUp) + " for servers and " +
                     Size(job->workers + kUp) + " for workers, and room for batches";
  }
  if (available >= std::max(kMemoryMin, job ? job->servers + job->workers : 0)) return finding;
  finding.grade = Grade::kPoor;
  finding.mend = "end what else runs here, raise the container's limit, or have more machines";
  return finding;
}

Finding OpenFiles(const JobOptions* job) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const uint64_t wanted = kFilesOfAProcess + kFilesOfAPeer * (job ? ProcessesOf(*job) : 4);
  Finding finding{Grade::kGood, "open files", std::to_string(limit.rlim_cur) + " at a time"};
  if (limit.rlim_cur >= wanted) return finding;
  finding.grade = Grade::kMissing;
  finding.found += ", and a process may need " + std::to_string(wanted);
  finding.mend = "ulimit -n " + std::to_string(wanted) + ", or LimitNOFILE= of the unit";
  return finding;
}

Finding SharedMemory() {
  Finding finding{Grade::kGood, "shared memory", "can be made"};
  const FileDescriptor file(memfd_create("shardmill-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file.valid() && ftruncate(file.get(), 4096) == 0) return finding;
  finding.grade = Grade::kPoor;
  finding.found = "cannot be made: " + std::generic_category().message(errno);
  finding.mend = "allow memfd_create, or set network.shared_memory = false: it is slower";
  return finding;
}

Finding ClockSource() {
  std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  std::string source;
  if (!(file >> source)) source = "unknown";
  Finding finding{Grade::kGood, "clock", source};
  if (source != "hpet" && source != "acpi_pm" && source != "jiffies") return finding;
  finding.grade = Grade::kPoor;
  finding.found += " takes a microsecond to read";
  finding.mend = "boot with clocksource=tsc where the processor's counter is steady";
  return finding;
}

Finding DaemonPrograms() {
  const Result<Programs> programs = FindPrograms();
  if (programs.ok()) return {Grade::kGood, "programs", programs.value().server};
  return {Grade::kMissing, "programs", programs.error().message,
          "install or build all of shardmill's programs together"};
}

Finding Loopback() {
  const auto server = HttpServer::Start({}, {});
  if (server.ok()) return {Grade::kGood, "loopback", "listens at " + server.value()->address()};
  return {Grade::kMissing, "loopback", server.error().message, "ip link set lo up"};
}

Finding Card(const JobOptions* job) {
  DeviceRequest request;
  request.compute.device = job != nullptr ? job->compute.device : ComputeDevice::kAuto;
  request.library = CardLibrary();
  const Result<Device> device = OpenDevice(request);
  if (device.ok()) return {Grade::kGood, "computes on", device.value().words};
  return {Grade::kMissing, "computes on", device.error().message,
          "compute.device = \"auto\" takes the processor where there is no card"};
}

// Whether a file can be written there and is on disk soon, and how much room there is. A folder
// that is not there yet is made by the job: its nearest parent counts.
Finding Folder(const std::string& key, const std::string& path) {
  std::error_code why;
  fs::path at = fs::absolute(path, why);
  while (!fs::exists(at, why) && at != at.parent_path()) at = at.parent_path();
  Finding finding{Grade::kGood, key, path};
  PosixFiles files;
  const std::string probe = (at / ".shardmill-doctor").string();
  static_cast<void>(files.RemoveFile(probe).ok());  // Of one that was killed.
  const SteadyClock clock;
  Result<std::unique_ptr<File>> file = files.CreateNew(probe);
  Result<> written = file.ok() ? Result<>() : file.error();
  const std::array<std::byte, 4096> page{};
  if (written.ok()) written = file.value()->Append(page);
  const TimePoint begin = clock.Now();
  if (written.ok()) written = file.value()->Sync();
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock.Now() - begin);
  static_cast<void>(files.RemoveFile(probe).ok());
  if (!written.ok()) {
    return {Grade::kMissing, key, written.error().message, "name a folder that can be written"};
  }
  const fs::space_info space = fs::space(at, why);
  finding.found +=
      ": " + Size(space.available) + " free, on disk after " + std::to_string(took.count()) + " us";
  if (space.available < kRoomMin) {
    finding.grade = Grade::kPoor;
    finding.mend = "make room";
  } else if (took > kSyncMax) {
    finding.grade = Grade::kPoor;
    finding.mend =
        "another disk: each answer waits so long with a log, each snapshot for each file";
  }
  return finding;
}

Finding Page(const JobOptions& job) {
  const auto server = HttpServer::Start({job.http.bind, static_cast<uint16_t>(job.http.port)}, {});
  if (server.ok()) return {Grade::kGood, "http.port", server.value()->address() + " is free"};
  return {Grade::kMissing, "http.port", server.error().message,
          "http.port = 0 takes any, or end what listens there"};
}

// The ports of one server: how many of a job's run here is not known.
Finding ServerPorts(const JobOptions& job) {
  const uint32_t first = job.cluster.server_port;
  const uint32_t end = first + job.cluster.shards_per_server * (1 + job.replication.replicas);
  ZmqContext context(1);
  for (uint32_t port = first; port < end; ++port) {
    ZmqTransport transport(context, {});
    const std::string at = "tcp://" + job.cluster.host + ":" + std::to_string(port);
    const auto bound = transport.Bind(at);
    if (!bound.ok()) {
      return {Grade::kMissing, "cluster.server_port", bound.error().message,
              "cluster.server_port = 0 takes any, or end what listens there"};
    }
  }
  return {Grade::kGood, "cluster.server_port",
          std::to_string(first) + " to " + std::to_string(end - 1) + " are free"};
}

// Whether the files are there, and where they are read in a moment, whether they can be, and what
// the job wants of memory. What is wrong with its model is no lack of this machine's.
Finding Data(const JobOptions& job, std::optional<JobMemory>* memory) {
  const auto missing = [](const Error& why) {
    return Finding{Grade::kMissing, "data", why.message, "put it there, or mend [data]"};
  };
  if (job.model.layers.empty() && job.data.folder.empty() && job.data.train.empty()) {
    return {Grade::kGood, "data", "none is named: it is for a program of one's own"};
  }
  const Result<> there = CheckDataFiles(job.data);
  if (!there.ok()) return missing(there.error());
  const uint64_t bytes = FileBytes(job.data);
  if (bytes > kReadMax) {
    return {Grade::kGood, "data", "its files are there; at " + Size(bytes) + " they were not read"};
  }
  const Result<> read = WithinMemory(
      [&]() -> Result<> {
        const DataParts data = SM_TRY(ReadData(job.data, job.job.seed, [] { return false; }));
        const Result<JobMemory> size = SizeOf(job, data);
        if (size.ok()) *memory = size.value();
        return {};
      },
      DataMemoryWords(job));
  if (!read.ok()) return missing(read.error());
  return {Grade::kGood, "data", "its files are there and can be read"};
}

// A machine needs the keys of those alone who run there: one of the job's is enough.
Finding Keys(const JobOptions& job) {
  const std::string& folder = job.security.keys;
  Result<std::unique_ptr<KeyRing>> keys = KeyRing::Open(folder, Role::kCoordinator);
  if (!keys.ok()) keys = KeyRing::Open(folder, Role::kServer);
  for (uint32_t rank = 0; !keys.ok() && rank < job.cluster.Ranks(); ++rank) {
    keys = KeyRing::Open(folder, Role::kWorker, WorkerId{rank});
  }
  if (keys.ok()) return {Grade::kGood, "security.keys", folder};
  return {Grade::kMissing, "security.keys", keys.error().message,
          "shardmill keys gen makes keys; copy public/ and this machine's part of secret/"};
}

void ExamineJob(const JobOptions& job, std::vector<Finding>* findings) {
  findings->push_back(Folder("job.runs", job.job.runs));
  if (!job.security.keys.empty()) findings->push_back(Keys(job));
  if (!job.snapshot.to.empty()) findings->push_back(Folder("snapshot.to", job.snapshot.to));
  if (job.replication.logs()) findings->push_back(Folder("replication.log", job.replication.log));
  if (!job.cluster.state.empty()) findings->push_back(Folder("cluster.state", job.cluster.state));
  if (job.http.enabled && job.http.port != 0) findings->push_back(Page(job));
  if (job.cluster.server_port != 0) findings->push_back(ServerPorts(job));
}

std::string ToJson(const std::vector<Finding>& findings) {
  JsonWriter json;
  json.BeginList();
  for (const Finding& finding : findings) {
    json.BeginObject().Key("grade").Text(WordOf(finding.grade)).Key("what").Text(finding.what);
    json.Key("found").Text(finding.found).Key("mend").Text(finding.mend).EndObject();
  }
  return json.EndList().Take() + "\n";
}

std::string Describe(const std::vector<Finding>& findings) {
  std::vector<TableRow> rows;
  for (const Finding& finding : findings) {
    rows.push_back({std::string(WordOf(finding.grade)), finding.what, finding.found});
    if (!finding.mend.empty()) rows.push_back({"", "", "mend: " + finding.mend});
  }
  return AlignTable(rows);
}

}  // namespace

std::vector<Finding> ExamineMachine(const JobOptions* job) {
  std::optional<JobMemory> memory;
  const Finding data = job != nullptr ? Data(*job, &memory) : Finding{};
  std::vector<Finding> findings = {Processors(job), Memory(memory), OpenFiles(job),
                                   SharedMemory(),  ClockSource(),  DaemonPrograms(),
                                   Loopback(),      Card(job)};
  if (job == nullptr) return findings;
  findings.push_back(data);
  ExamineJob(*job, &findings);
  return findings;
}

Result<> RunDoctor(const DoctorFlags& flags, const Console& console) {
  std::optional<Job> job;
  if (!flags.job.empty()) job = SM_TRY(LoadJob(flags.job, {flags.sets, console.environment}));
  const std::vector<Finding> findings = ExamineMachine(job ? &job->options : nullptr);
  console.out << (flags.json ? ToJson(findings) : Describe(findings)) << std::flush;
  const auto missing = std::ranges::count(findings, Grade::kMissing, &Finding::grade);
  if (missing == 0) return {};
  return Error{ErrorCode::kBadUsage,
               "this machine lacks " + std::to_string(missing) + " of what is needed, see above"};
}

}  // namespace shardmill
