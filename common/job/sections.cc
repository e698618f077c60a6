// The keys of each section of a job file: default, range and reason, declared once.
#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "common/config/text.h"
#include "common/job/address.h"
#include "common/job/job.h"
#include "common/job/paths.h"
#include "common/process/cpu_set.h"

namespace shardmill {
namespace {

using config::Named;
using config::Section;
using std::chrono::hours;
using std::chrono::milliseconds;

constexpr uint64_t kKiB = uint64_t{1} << 10;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

constexpr std::array<Named<PolicyMode>, 3> kPolicyModes = {{
    {PolicyMode::kSync, "sync"},
    {PolicyMode::kStale, "stale"},
    {PolicyMode::kAsync, "async"},
}};
constexpr std::array<Named<Aggregate>, 3> kAggregates = {{
    {Aggregate::kWeighted, "weighted"},
    {Aggregate::kMean, "mean"},
    {Aggregate::kSum, "sum"},
}};
constexpr std::array<Named<Exchange>, 2> kExchanges = {{
    {Exchange::kGradients, "gradients"},
    {Exchange::kParameters, "parameters"},
}};
constexpr std::array<Named<OnNonfinite>, 3> kOnNonfinite = {{
    {OnNonfinite::kReject, "reject"},
    {OnNonfinite::kSkip, "skip"},
    {OnNonfinite::kAccept, "accept"},
}};
constexpr std::array<Named<OptimizerName>, 8> kOptimizers = {{
    {OptimizerName::kSgd, "sgd"},
    {OptimizerName::kMomentum, "momentum"},
    {OptimizerName::kNesterov, "nesterov"},
    {OptimizerName::kAdagrad, "adagrad"},
    {OptimizerName::kRmsprop, "rmsprop"},
    {OptimizerName::kAdam, "adam"},
    {OptimizerName::kAdamw, "adamw"},
    {OptimizerName::kFtrl, "ftrl"},
}};
constexpr std::array<Named<RateShape>, 4> kSchedules = {{
    {RateShape::kConstant, "constant"},
    {RateShape::kStep, "step"},
    {RateShape::kPolynomial, "polynomial"},
    {RateShape::kCosine, "cosine"},
}};

template <class E, size_t kCount>
std::string_view Lookup(const std::array<Named<E>, kCount>& names, E value) {
  for (const Named<E>& named : names) {
    if (named.value == value) return named.name;
  }
  SM_ASSERT(false);
}

bool IsResume(std::string_view text) {
  constexpr size_t kDigitsMax = 18;
  return text.empty() || text == "latest" ||
         (text.size() <= kDigitsMax &&
          std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }));
}

bool IsJobName(std::string_view name) {
  constexpr size_t kLengthMax = 64;  // It becomes part of a folder's name.
  return !name.empty() && name.size() <= kLengthMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_';
         });
}

bool IsAddress(std::string_view text) { return ParseAddress(text).has_value(); }

bool IsCpus(std::string_view text) { return ParseCpus(text).has_value(); }

// A name as the kernel has them.
bool IsControl(std::string_view name) {
  return !name.empty() && name.size() < 16 && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

constexpr std::string_view kCpusForm = "processors as taskset takes them, such as \"0-3,6\"";
constexpr std::string_view kHostForm = "a host name or number, without a port";

}  // namespace

std::string_view NameOf(PolicyMode mode) { return Lookup(kPolicyModes, mode); }
std::string_view NameOf(OptimizerName name) { return Lookup(kOptimizers, name); }

void GeneralOptions::Declare(Section& section) {
  section.Text("name", &name, {.form = "1 to 64 letters, digits, - and _", .accepts = IsJobName},
               "What the job is called; results go to a folder of this name and the time.");
  section.Number("seed", &seed, {},
                 "Start of all chance in the job: first weights and the order of samples.");
  section.Text("runs", &runs, {.form = kPathForm, .accepts = IsPath},
               "Folder in which each run of a job makes its own folder.");
}

void ClusterOptions::Declare(Section& section) {
  section.Number("servers", &servers, {.at_least = 1, .at_most = 1024}, "Server processes.");
  section.Number("shards_per_server", &shards_per_server, {.at_least = 1, .at_most = 64},
                 "Shards in each server process, a thread each.");
  section.Number("workers", &workers, {.at_least = 1, .at_most = 4096},
                 "Worker processes; ranks go from 0 to one less.");
  section.Text("coordinator", &coordinator,
               {.form = "HOST:PORT or tcp://HOST:PORT", .accepts = IsAddress},
               "Where the coordinator listens and all others find it.");
  section.Text("host", &host, {.form = kHostForm, .accepts = IsHost},
               "The address that servers and the coordinator listen at.");
  section.Number("server_port", &server_port, {.at_most = 65535},
                 "Shard i of a server listens at this port plus i, copies of other servers' shards "
                 "behind them; 0 takes any free port.");
  section.Duration("start_timeout", &start_timeout,
                   {.at_least = milliseconds(100), .at_most = hours(24)},
                   "How long a process waits for the others before it gives up with exit code 4.");
  section.Duration("lease", &lease, {.at_least = milliseconds(100), .at_most = hours(1)},
                   "How long a silent worker keeps its rank.");
  section.Duration("leave_timeout", &leave_timeout,
                   {.at_least = milliseconds(0), .at_most = hours(1)},
                   "How long a server that is told to stop (SIGTERM) waits for others to take over "
                   "what it has of shards.");
  section.Size(
      "table_bytes", &table_bytes, {.at_least = 4 * kKiB, .at_most = 1024 * kGiB},
      "All dense tables of the job together, without optimizer state; and beside them all rows of "
      "sparse tables, each with its state and 64 bytes for its key, of which a shard holds its "
      "even "
      "share. A table or a push beyond it is refused.");
  section.Text("state", &state, {.form = kPathForm, .accepts = IsPathOrNone},
               "Folder where the coordinator writes down what it decides: started again there, it "
               "goes on with the job; empty: a coordinator that ends takes the job with it.");
  section.Flag("elastic", &elastic,
               "Workers may join and leave while the job runs, and who is lost is not awaited; "
               "wants data.scheme = \"leased\".");
  section.Number("workers_max", &workers_max, {.at_most = 4096},
                 "The most workers at a time; ranks go from 0 to one less. 0: twice as many as "
                 "cluster.workers, which is how many the job begins with.");
  section.OnlyWith("workers_max", "elastic", "true", [this] { return elastic; });
  section.Require({"workers_max", "workers"}, [this]() -> std::string {
    if (workers_max == 0 || workers_max >= workers) return "";
    return "\"cluster.workers_max\" is " + std::to_string(workers_max) +
           ", and the job begins with " + std::to_string(workers) + " (cluster.workers)";
  });
  section.Text("shard_cpus", &shard_cpus, {.form = kCpusForm, .accepts = IsCpus},
               "Processors for the threads of a server's shards, one each, in turn; empty: "
               "wherever the kernel puts them.");
  section.Require({"server_port", "shards_per_server"}, [this]() -> std::string {
    if (server_port + shards_per_server <= 65536) return "";
    return "\"cluster.server_port\" is " + std::to_string(server_port) + " and a server has " +
           std::to_string(shards_per_server) + " shards; the last one's port is above 65535";
  });
}

void PolicyOptions::Declare(Section& section) {
  section.Choice("mode", &mode, kPolicyModes,
                 "How far workers may run apart: not at all, by some steps, or freely.");
  section.Number("staleness", &staleness, {.at_most = 1000, .unit = "steps"},
                 "How many steps a worker may be ahead of the slowest.");
  section.OnlyWith("staleness", "mode", "\"stale\"", [this] { return mode == PolicyMode::kStale; });
  section.Choice("aggregate", &aggregate, kAggregates,
                 "What the pushes of a round come to: their mean by samples, by workers, or "
                 "their sum.");
  const auto sync = [this] { return mode == PolicyMode::kSync; };
  // Elsewhere pushes are applied one by one, and of one push all three are the same.
  section.OnlyWith("aggregate", "mode", "\"sync\"", sync);
  section.Number("backups", &backups, {.at_most = 4095, .unit = "workers"},
                 "So many of the workers are spare: a round closes without the slowest, whose "
                 "pushes are discarded and counted.");
  section.OnlyWith("backups", "mode", "\"sync\"", sync);
  section.Choice("exchange", &exchange, kExchanges,
                 "What workers push: the gradient of each batch, or the parameters that they "
                 "have stepped by themselves, to be averaged (with mode = \"sync\").");
  section.Number("average_every", &average_every, {.at_most = 1'000'000, .unit = "batches"},
                 "Batches between two averages; 0 averages once an epoch.");
  section.OnlyWith("average_every", "exchange", "\"parameters\"",
                   [this] { return exchange == Exchange::kParameters; });
  section.Choice("on_nonfinite", &on_nonfinite, kOnNonfinite,
                 "What becomes of a gradient with a NaN or an infinity in it: its worker ends, "
                 "its step counts for nothing, or it is applied. Where parameters are "
                 "exchanged, each batch is a step of the worker's own.");
  section.Require({"mode", "exchange"}, [this, sync]() -> std::string {
    if (exchange == Exchange::kGradients || sync()) return "";
    return "\"policy.exchange\" is \"parameters\", which can be averaged only where rounds are "
           "closed; set policy.mode = \"sync\"";
  });
  section.Require({"exchange", "aggregate"}, [this]() -> std::string {
    if (exchange == Exchange::kGradients || aggregate != Aggregate::kSum) return "";
    return "\"policy.aggregate\" is \"sum\", and a sum of parameters is no set of parameters; set "
           "it to \"weighted\" or \"mean\"";
  });
}

void OptimizerOptions::Declare(Section& section) {
  section.Choice("name", &name, kOptimizers, "The rule by which gradients change parameters.");
  DeclareFormula(section);
  DeclareRate(section);
}

void OptimizerOptions::DeclareFormula(Section& section) {
  using enum OptimizerName;
  const auto only = [&](const char* key, const char* with, std::vector<OptimizerName> names) {
    section.OnlyWith(key, "name", with, [this, names = std::move(names)] {
      return std::ranges::find(names, name) != names.end();
    });
  };
  section.Number("momentum", &momentum, {.at_least = 0, .at_most = 0.999999},
                 "How much of its velocity a parameter keeps.");
  only("momentum", "\"momentum\" or \"nesterov\"", {kMomentum, kNesterov});
  section.Number("beta1", &beta1, {.at_least = 0, .at_most = 0.999999},
                 "How much of the mean of gradients is kept.");
  only("beta1", "\"adam\" or \"adamw\"", {kAdam, kAdamw});
  section.Number("beta2", &beta2, {.at_least = 0, .at_most = 0.99999999},
                 "How much of the mean of squared gradients is kept.");
  only("beta2", "\"rmsprop\", \"adam\" or \"adamw\"", {kRmsprop, kAdam, kAdamw});
  section.Number("epsilon", &epsilon, {.at_least = 0, .at_most = 1},
                 "Keeps the division by small squares small.");
  only("epsilon", "\"adagrad\", \"rmsprop\", \"adam\" or \"adamw\"",
       {kAdagrad, kRmsprop, kAdam, kAdamw});
  section.Number("beta", &beta, {.at_least = 0, .at_most = 1e6},
                 "Keeps the first steps of ftrl small.");
  only("beta", "\"ftrl\"", {kFtrl});
  section.Number("l1", &l1, {.at_least = 0, .at_most = 1e6},
                 "Pulls each parameter towards zero by so much; in ftrl, makes small ones zero.");
  section.Number("l2", &l2, {.at_least = 0, .at_most = 1e6},
                 "Pulls each parameter towards zero by so much of itself, as a part of the "
                 "gradient.");
  section.Number("weight_decay", &weight_decay, {.at_least = 0, .at_most = 1e6},
                 "The same, beside the gradient: taken off in each step, times the rate.");
  section.Number("clip_value", &clip_value, {.at_least = 0, .at_most = 1e30},
                 "Bounds each element of the gradient that a round comes to; 0 does not.");
  section.Number("clip_norm", &clip_norm, {.at_least = 0, .at_most = 1e30},
                 "Bounds the length of each worker's own gradient over all parameters; 0 does "
                 "not.");
  section.Require({"name", "weight_decay"}, [this]() -> std::string {
    if (name == kAdamw && weight_decay == 0) {
      return "\"optimizer.name\" is \"adamw\" without a weight decay, which is \"adam\"; set "
             "optimizer.weight_decay (0.01 is usual)";
    }
    if (name != kFtrl || weight_decay == 0) return "";
    return "\"optimizer.weight_decay\" means nothing with optimizer.name = \"ftrl\"; use "
           "optimizer.l2";
  });
}

void OptimizerOptions::DeclareRate(Section& section) {
  section.Number("learning_rate", &learning_rate, {.above = 0, .at_most = 1e6},
                 "What a gradient is multiplied with before it is taken off.");
  section.Choice("schedule", &schedule, kSchedules,
                 "How the learning rate falls: not at all, in steps, by a power, or as a cosine.");
  section.Number("warmup", &warmup, {.at_most = 1'000'000'000, .unit = "rounds"},
                 "Rounds in which the rate first grows evenly from zero.");
  const auto falls = [this] { return schedule != RateShape::kConstant; };
  const char* const kFalling = "\"step\", \"polynomial\" or \"cosine\"";
  section.Number("decay_rounds", &decay_rounds, {.at_most = 1'000'000'000'000, .unit = "rounds"},
                 "Rounds between two steps of the fall, or of the whole fall.");
  section.OnlyWith("decay_rounds", "schedule", kFalling, falls);
  section.Number("decay_factor", &decay_factor, {.at_least = 0, .at_most = 1},
                 "What is left of the rate after one step.");
  section.OnlyWith("decay_factor", "schedule", "\"step\"",
                   [this] { return schedule == RateShape::kStep; });
  section.Number("decay_power", &decay_power, {.at_least = 0, .at_most = 100},
                 "1 falls evenly; more falls faster at first.");
  section.OnlyWith("decay_power", "schedule", "\"polynomial\"",
                   [this] { return schedule == RateShape::kPolynomial; });
  section.Number("end_rate", &end_rate, {.at_least = 0, .at_most = 1e6}, "Where the fall ends.");
  section.OnlyWith("end_rate", "schedule", "\"polynomial\" or \"cosine\"", [this] {
    return schedule == RateShape::kPolynomial || schedule == RateShape::kCosine;
  });
  section.Flag("scale_by_workers", &scale_by_workers,
               "Multiplies the rate with the number of workers.");
  section.Require({"schedule", "decay_rounds"}, [this, falls]() -> std::string {
    if (!falls() || decay_rounds > 0) return "";
    return "\"optimizer.decay_rounds\" is missing: it says over how many rounds the rate falls";
  });
}

std::vector<uint32_t> ClusterOptions::ShardCpus() const { return *ParseCpus(shard_cpus); }
std::vector<uint32_t> NetworkOptions::IoCpus() const { return *ParseCpus(io_cpus); }

void NetworkOptions::Declare(Section& section) {
  constexpr milliseconds kShortest{10};
  section.Number("io_threads", &io_threads, {.at_least = 1, .at_most = 16},
                 "Threads of a process that only move bytes.");
  section.Size("unit_bytes", &unit_bytes,
               {.at_least = 4 * kKiB, .at_most = 256 * kMiB, .multiple_of = 4},
               "Largest payload of one message; longer vectors are cut.");
  section.Size("window_bytes", &window_bytes, {.at_least = 4 * kKiB, .at_most = 64 * kGiB},
               "What a worker may have sent to a shard without an answer yet.");
  section.Size("held_bytes", &held_bytes, {.at_least = 4 * kKiB, .at_most = 1024 * kGiB},
               "Gradient that a shard holds for steps that have not ended, shared by the ranks.");
  section.Size("queue_bytes", &queue_bytes, {.at_least = kMiB, .at_most = 64 * kGiB},
               "What may be on its way to one peer; who does not read is not sent more.");
  section.Duration("retry_after", &retry_after, {.at_least = kShortest, .at_most = hours(1)},
                   "A request without an answer for so long is sent again.");
  section.Duration("step_timeout", &step_timeout, {.at_least = kShortest, .at_most = hours(24)},
                   "A step that has not ended by then fails and names whom it waited for.");
  section.Size("message_bytes", &message_bytes, {.at_least = 64 * kKiB, .at_most = 16 * kGiB},
               "A larger message from a peer is refused.");
  section.Flag("shared_memory", &shared_memory,
               "Whether peers on one host exchange messages in memory, if both can.");
  section.Duration("spin", &spin, {.at_most = std::chrono::seconds(1)},
                   "How long each wait for a peer in shared memory looks for messages before it "
                   "sleeps; costs a processor, saves the time to wake up.");
  section.Text("congestion_control", &congestion_control,
               {.form = "auto, system, or a name that the kernel has", .accepts = IsControl},
               "What TCP connections do against congestion: a name that the kernel has "
               "(\"cubic\"), \"system\" for the system's default, or \"auto\", which is the "
               "system's but between processes of one host, where it is one that does not pace.");
  constexpr uint64_t kBufferMax = kGiB;
  section.Size("send_buffer", &send_buffer, {.at_most = kBufferMax},
               "The kernel's buffer for what a connection sends; 0: as the system does.");
  section.Size("receive_buffer", &receive_buffer, {.at_most = kBufferMax},
               "The kernel's buffer for what a connection receives; 0: as the system does.");
  section.Text("io_cpus", &io_cpus, {.form = kCpusForm, .accepts = IsCpus},
               "Processors that the threads which move bytes keep to; empty: wherever the kernel "
               "puts them.");
  // One unit must fit wherever units go, or no step would ever end.
  const auto fits = [this](std::string key, const uint64_t* limit) {
    return [this, key = std::move(key), limit]() -> std::string {
      if (unit_bytes <= *limit) return "";
      return "\"network.unit_bytes\" is " + config::FormatSize(unit_bytes) + " and \"network." +
             key + "\" " + config::FormatSize(*limit) +
             "; one unit must fit, so make the first smaller or the second larger";
    };
  };
  section.Require({"unit_bytes", "window_bytes"}, fits("window_bytes", &window_bytes));
  section.Require({"unit_bytes", "held_bytes"}, fits("held_bytes", &held_bytes));
  section.Require({"unit_bytes", "message_bytes"}, fits("message_bytes", &message_bytes));
  section.Require({"retry_after", "step_timeout"}, [this]() -> std::string {
    if (retry_after <= step_timeout) return "";
    return "\"network.retry_after\" is " + config::FormatDuration(retry_after) +
           " and \"network.step_timeout\" " + config::FormatDuration(step_timeout) +
           "; nothing would ever be sent again";
  });
}

void SecurityOptions::Declare(Section& section) {
  section.Text("keys", &keys, {.form = kPathForm, .accepts = IsPathOrNone},
               "Folder of keys as `shardmill keys gen` makes it: all that processes send each "
               "other is encrypted, and only those are let in whose certificates are in it. "
               "Empty: no keys.");
  section.Flag("insecure", &insecure,
               "Allows addresses other than loopback without keys: anybody who reaches them can "
               "read and change everything. --insecure sets it.");
  section.Duration("handshake_timeout", &handshake_timeout,
                   {.at_least = milliseconds(100), .at_most = std::chrono::minutes(5)},
                   "How long whoever connects has to prove who it is; with keys alone.");
}

void SnapshotOptions::Declare(Section& section) {
  const auto taken = [this] { return !to.empty(); };
  const char* const kFolder = "a folder";
  section.Text("to", &to, {.form = kPathForm, .accepts = IsPathOrNone},
               "Where the job's snapshots go, in a folder named after it; every server and the "
               "coordinator must see the same one. There is one when the job is done, too. Empty: "
               "none are taken.");
  section.Duration("every", &every, {.at_most = hours(24 * 365)},
                   "Time between two snapshots; 0 does not go by time.");
  section.OnlyWith("every", "to", kFolder, taken);
  section.Number("every_rounds", &every_rounds, {.at_most = 1'000'000'000, .unit = "rounds"},
                 "Rounds that all workers finish between two snapshots; 0 does not go by rounds.");
  section.OnlyWith("every_rounds", "to", kFolder, taken);
  section.Number(
      "every_epochs", &every_epochs, {.at_most = 1'000'000, .unit = "epochs"},
      "Takes one each time all workers have finished so many epochs more; 0 does not go "
      "by epochs. (What others call checkpointing NONE, EPOCH and EPOCH10 is 0, 1 and 10 with "
      "every = \"0s\"; NONE without any is to = \"\".)");
  section.OnlyWith("every_epochs", "to", kFolder, taken);
  section.Number("keep", &keep, {.at_most = 1'000'000, .unit = "snapshots"},
                 "How many of the newest are kept; 0 keeps all.");
  section.OnlyWith("keep", "to", kFolder, taken);
  section.Duration("keep_for", &keep_for, {.at_most = hours(24 * 3650)},
                   "How long one is kept; the newest always is. 0: for ever.");
  section.OnlyWith("keep_for", "to", kFolder, taken);
  section.Duration("timeout", &timeout, {.at_least = milliseconds(100), .at_most = hours(24)},
                   "How long one may take, from its cut until it is on disk. One that takes longer "
                   "is given up; a job whose last it is, is over without, and says so.");
  section.OnlyWith("timeout", "to", kFolder, taken);
  section.Text("resume", &resume,
               {.form = "\"latest\" or the number of a snapshot", .accepts = IsResume},
               "The snapshot of this job's name in that folder that a new job begins from; the "
               "number of shards may be another. Where the latest cannot be read, it is the one "
               "before; a number means that one and no other. Empty: it begins anew.");
  section.OnlyWith("resume", "to", kFolder, taken);
}

void HttpOptions::Declare(Section& section) {
  section.Flag("enabled", &enabled, "Whether a daemon serves /livez, /readyz and /metrics.");
  section.Number("port", &port, {.at_most = 65535}, "Its port; 0 takes any free port.");
  section.Text("bind", &bind, {.form = kHostForm, .accepts = IsHost},
               "The address it listens at. Whoever reaches it may read the job's state and nothing "
               "else: there are no keys, and nothing but GET and HEAD is answered.");
}

void LogOptions::Declare(Section& section) {
  section.Choice("level", &level, {"trace", "debug", "info", "warn", "error"},
                 "The least important lines that are still written.");
}

void TraceOptions::Declare(Section& section) {
  section.Text("folder", &folder, {.form = kPathForm, .accepts = IsPathOrNone},
               "Where each shard writes what it applied and served, for `shardmill audit`; empty: "
               "nowhere.");
  section.Text(
      "timeline", &timeline, {.form = kPathForm, .accepts = IsPathOrNone},
      "Where each worker and server writes what it did when, for viewers of Chrome's trace "
      "events; empty: nowhere.");
}

}  // namespace shardmill
