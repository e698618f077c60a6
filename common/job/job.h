#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/load.h"
#include "common/config/schema.h"
#include "common/data_scheme.h"
#include "common/job_key.h"
#include "common/result.h"
#include "common/view.h"

// The job file: one struct a section, one declaration a key (in sections.cc). A struct's
// initializers are the defaults. Values that anybody may copy and read.
namespace shardmill {

// [job]: what the run is called, where it writes, and its seed.
struct GeneralOptions {
  std::string name = "job";
  uint64_t seed = 1;
  std::string runs = "runs";

  void Declare(config::Section& section);
};

// [cluster]: how many processes there are, where they meet, and how long they wait.
struct ClusterOptions {
  uint32_t servers = 1;
  uint32_t shards_per_server = 1;
  uint32_t workers = 1;
  std::string coordinator = "127.0.0.1:7700";  // See ParseAddress.
  std::string host = "127.0.0.1";
  uint32_t server_port = 0;
  std::chrono::milliseconds start_timeout = std::chrono::seconds(60);
  std::chrono::milliseconds lease = std::chrono::seconds(5);
  std::chrono::milliseconds leave_timeout = std::chrono::seconds(20);
  uint64_t table_bytes = uint64_t{64} << 30;
  std::string shard_cpus;  // See ParseCpus.
  std::string state;       // A folder; empty: none.
  bool elastic = false;
  uint32_t workers_max = 0;  // Read where elastic; 0: twice as many as workers.

  std::vector<uint32_t> ShardCpus() const;
  uint32_t Shards() const { return servers * shards_per_server; }
  // Ranks that there may be.
  uint32_t Ranks() const {
    return !elastic ? workers : workers_max > 0 ? workers_max : 2 * workers;
  }
  void Declare(config::Section& section);
};

enum class PolicyMode : uint8_t { kSync, kStale, kAsync };
std::string_view NameOf(PolicyMode mode);

enum class Exchange : uint8_t { kGradients, kParameters };

// [policy]: how far the fastest worker may be ahead of the slowest, what workers exchange, and what
// counts.
struct PolicyOptions {
  PolicyMode mode = PolicyMode::kSync;
  uint32_t staleness = 1;  // Read with kStale alone.
  Aggregate aggregate = Aggregate::kWeighted;
  uint32_t backups = 0;
  Exchange exchange = Exchange::kGradients;
  uint32_t average_every = 1;  // Batches; 0: once an epoch. Read with kParameters alone.
  OnNonfinite on_nonfinite = OnNonfinite::kReject;

  Policy ToPolicy() const;
  void Declare(config::Section& section);
};

enum class OptimizerName : uint8_t {
  kSgd,
  kMomentum,
  kNesterov,
  kAdagrad,
  kRmsprop,
  kAdam,
  kAdamw,
  kFtrl,
};
std::string_view NameOf(OptimizerName name);

// [optimizer]: how gradients change parameters, and how fast.
struct OptimizerOptions {
  OptimizerName name = OptimizerName::kSgd;
  double learning_rate = 0.1;
  double momentum = 0.9;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double beta = 1;
  double l1 = 0;
  double l2 = 0;
  double weight_decay = 0;
  double clip_value = 0;
  double clip_norm = 0;
  RateShape schedule = RateShape::kConstant;
  uint64_t warmup = 0;
  uint64_t decay_rounds = 0;
  double decay_factor = 0.1;
  double decay_power = 1;
  double end_rate = 0;
  bool scale_by_workers = false;

  UpdateSettings ToUpdate() const;
  // The same under the rule of that name.
  OptimizerOptions Under(std::string_view rule) const;
  void Declare(config::Section& section);

 private:
  void DeclareFormula(config::Section& section);
  void DeclareRate(config::Section& section);
};

enum class DataFormat : uint8_t { kIdx, kCsv, kLibsvm, kCriteoTsv, kMovieLens, kRData };
std::string_view NameOf(DataFormat format);

enum class TargetKind : uint8_t { kClass, kValue };

// [data]: what is read, from where, by which worker, and in batches of which size.
struct DataOptions {
  DataFormat format = DataFormat::kIdx;
  std::string folder;                              // Read with kIdx alone.
  std::vector<std::string> train, validate, test;  // Paths or patterns; not read with kIdx.
  std::vector<double> split;                       // Of train: its own part, validate, test.
  bool header = true;                              // Read with kCsv alone, and so is:
  std::string separator = ",";
  std::string label = "label";
  TargetKind target = TargetKind::kClass;
  std::vector<std::string> features;  // Empty: all other columns.
  std::vector<std::string> categories;
  std::string object;    // Read with kRData alone.
  uint64_t buckets = 0;  // Read with kCriteoTsv alone.
  uint64_t memory = uint64_t{1} << 30;
  std::string cache;  // A folder; empty: none.
  uint64_t bad_rows_max = 0;
  uint32_t batch_size = 64;
  uint32_t read_ahead = 2;
  DataScheme scheme = DataScheme::kRandom;
  uint64_t chunk = 0;  // Samples; 0: see docs/config.md. Read with kLeased alone.

  // Of train's rows to train, validate or test with: 0, 1, 2.
  double Share(size_t part) const { return part < split.size() ? split[part] : 0; }
  bool validates() const { return !validate.empty() || Share(1) > 0; }

  void Declare(config::Section& section);

 private:
  void DeclareSplit(config::Section& section);
  void DeclareColumns(config::Section& section);
  void DeclareMemory(config::Section& section);
};

// One of the layers that [model] lists. A number of 0 and an empty text are not said: the type's
// own default goes.
struct LayerOptions {
  std::string type = "flatten";
  std::string name;
  std::vector<std::string> inputs;
  uint64_t units = 0;
  uint64_t kernel = 0;
  uint64_t stride = 0;
  uint64_t padding = 0;
  uint64_t groups = 0;
  std::string shape;  // See IsShape.
  std::string cell_output;
  std::optional<double> rate;
  std::optional<double> slope;
  std::optional<double> epsilon;
  std::string initial;
  bool bias = true;
  std::optional<double> momentum;
  bool frozen = false;
  double learning_rate = 1;
  uint64_t rows = 0;
  std::string optimizer;

  void Declare(config::Section& section);

 private:
  void DeclareRows(config::Section& section);
  void DeclareRate(config::Section& section);
};

// [model]: the network that is trained.
struct ModelOptions {
  std::string loss = "softmax_cross_entropy";
  std::string library;                              // Of types of the user's own; empty: none.
  std::vector<std::string> metrics = {"accuracy"};  // "loss", and those of nn::MakeMetric.
  std::string target;                               // An input; empty: the label.
  double l1 = 0;
  double l2 = 0;
  std::vector<LayerOptions> layers;

  void Declare(config::Section& section);
};

enum class ComputeDevice : uint8_t { kCpu, kCuda, kAuto };
enum class ProductRounding : uint8_t { kFloat, kTf32, kBf16 };
enum class GradientWidth : uint8_t { kFloat, kBf16 };
enum class Recomputing : uint8_t { kNever, kAuto, kAlways };

// [compute]: on what workers compute.
struct ComputeOptions {
  ComputeDevice device = ComputeDevice::kCpu;
  // Read where there is a card.
  ProductRounding products = ProductRounding::kFloat;
  GradientWidth gradients = GradientWidth::kFloat;
  Recomputing recompute = Recomputing::kAuto;
  uint64_t memory = 0;  // 0: what there is.

  void Declare(config::Section& section);
};

// All metrics that a job can measure, and which way they are good.
const std::vector<std::string>& MetricNames();
bool GreaterIsBetter(std::string_view metric);

// Conditions under which training ends, all of which must hold. A number of 0 is not said.
struct StopOptions {
  std::string metric = {};
  std::optional<double> at_least = {};
  std::optional<double> at_most = {};
  uint64_t plateau = 0;  // Measures.
  uint64_t epochs = 0;
  uint64_t steps = 0;

  void Declare(config::Section& section);
};

// [train]: for how long, what is measured on the way and kept, and how often progress is told.
struct TrainOptions {
  uint32_t epochs = 1;
  uint64_t steps = 0;       // 0: no bound.
  uint32_t accumulate = 1;  // Batches a step.
  uint64_t validate_epochs = 1;
  uint64_t validate_steps = 0;
  std::vector<StopOptions> stop;        // Any of them.
  std::string best;                     // A metric; empty: the last model is kept.
  std::string model;                    // A file; empty: none.
  std::string weights;                  // Of another training, to begin with; empty: none.
  std::vector<std::string> weights_of;  // Layers and tables; empty: all.
  uint32_t report_every = 20;
  std::string track;  // A folder for how each worker got on; empty: nowhere.
  bool overlap = true;

  void Declare(config::Section& section);
};

enum class AckLevel : uint8_t { kAuto, kMemory, kReplica, kDisk };

// [replication]: copies of each shard beside its primary, and what an answer promises.
struct ReplicationOptions {
  uint32_t replicas = 0;
  AckLevel ack = AckLevel::kAuto;
  uint32_t min_in_sync = 1;  // Read where there are replicas.
  std::string log;           // A folder; empty: there are no logs.

  bool logs() const { return !log.empty(); }

  void Declare(config::Section& section);
};

// [network]: sizes and waits of what travels between processes.
struct NetworkOptions {
  uint32_t io_threads = 1;
  uint64_t unit_bytes = uint64_t{1} << 20;
  uint64_t window_bytes = uint64_t{64} << 20;
  uint64_t held_bytes = uint64_t{1} << 30;
  uint64_t queue_bytes = uint64_t{256} << 20;
  std::chrono::milliseconds retry_after{500};
  std::chrono::milliseconds step_timeout = std::chrono::minutes(5);
  uint64_t message_bytes = uint64_t{512} << 20;
  bool shared_memory = true;
  std::chrono::milliseconds spin{0};
  std::string congestion_control = "auto";  // See TcpTuning.
  uint64_t send_buffer = 0;
  uint64_t receive_buffer = 0;
  std::string io_cpus;  // See ParseCpus.

  std::vector<uint32_t> IoCpus() const;
  void Declare(config::Section& section);
};

// [security]: who may take part.
struct SecurityOptions {
  std::string keys;  // Empty: no keys.
  bool insecure = false;
  std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);

  void Declare(config::Section& section);
};

// [snapshot]: what is kept of a job on disk, and what it begins from.
struct SnapshotOptions {
  std::string to;  // A folder that every server reads; empty: none are taken.
  std::chrono::milliseconds every = std::chrono::minutes(10);  // 0: not by time.
  uint64_t every_rounds = 0;                                   // 0: not by rounds.
  uint64_t every_epochs = 0;                                   // 0: not by epochs.
  uint64_t keep = 3;                                           // 0: no bound.
  std::chrono::milliseconds keep_for{0};                       // 0: no bound.
  std::chrono::milliseconds timeout = std::chrono::minutes(30);
  std::string resume;  // "latest", or a number; empty: the job begins anew.

  void Declare(config::Section& section);
};

// [http]: each process's page of health and metrics.
struct HttpOptions {
  bool enabled = true;
  uint32_t port = 0;
  std::string bind = "127.0.0.1";

  void Declare(config::Section& section);
};

// [log]: how much is told.
struct LogOptions {
  std::string level = "info";  // "trace", "debug", "info", "warn", "error".

  void Declare(config::Section& section);
};

// [trace]: records of what a job did.
struct TraceOptions {
  std::string folder;    // Of the shards; empty: none is written.
  std::string timeline;  // Of all processes; the same.

  void Declare(config::Section& section);
};

// All sections of a job file.
struct JobOptions {
  GeneralOptions job;
  ClusterOptions cluster;
  PolicyOptions policy;
  OptimizerOptions optimizer;
  DataOptions data;
  ModelOptions model;
  ComputeOptions compute;
  TrainOptions train;
  ReplicationOptions replication;
  NetworkOptions network;
  SnapshotOptions snapshot;
  SecurityOptions security;
  HttpOptions http;
  LogOptions log;
  TraceOptions trace;

  // Samples of one worker in one step.
  uint32_t BatchRows() const { return data.batch_size * train.accumulate; }
  // How the servers change a table that says nothing of its own.
  UpdateSettings ServerUpdate() const;
  // Whether the same file gives the same weights, bit for bit, whatever is lost, killed and started
  // again. Not where chance says which push comes first or too late; not where workers step by
  // themselves with a rule that has state, which ends with their process; and not on cards, of
  // which another may compute in another order.
  bool Reproducible() const;
  // The fields must stay where they are for as long as the schema is used.
  void Declare(config::Schema& schema);
};

// The options of a job and, for people, each with where it came from.
struct Job {
  JobOptions options;
  config::Listing listing;
};

// Reads the job file at `path` under the overrides. An error has the code kBadUsage and names all
// that is wrong, a line each.
Result<Job> LoadJob(const std::string& path, const config::Overrides& overrides);

// The same for text that is here already; `name` stands for the path in messages and origins.
Result<Job> ParseJob(const std::string& name, std::string_view text,
                     const config::Overrides& overrides);

// What is wrong with a host that others can reach, where there are no keys; `key` or a flag names
// it.
std::string OpenDoorWords(const std::string& key, const std::string& host);

// What its keys say that makes a job what it is: with other values it is another one. Not where its
// files lie, how many processes it has, or how long they wait.
JobKeyList MeaningOf(JobOptions job);

// Whether a worker of ours can train this: it names data and a network. A job whose model is a
// program of the user's own does not.
Result<> CheckTrainable(const JobOptions& job);

// Whether it begins with the weights of another training, and not from a snapshot of its own.
bool BeginsWithWeights(const JobOptions& job);

// Words to warn with where rows that a model is tested with say when its training ends or which
// model is kept; else none.
std::string PeekingWords(const JobOptions& job);

// Every key of the job file, "section.key" and "section.key[].key".
std::vector<std::string> JobKeys();

// docs/config.md.
std::string JobReference();

}  // namespace shardmill
