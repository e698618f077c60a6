#include "common/job/job.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "common/config/print.h"
#include "common/config/text.h"
#include "common/job/address.h"

namespace shardmill {
namespace {

constexpr std::string_view kReferenceIntroduction = R"(# The job file

One TOML file describes a job for every role. This page is printed from the declarations in
`common/job/sections.cc` (`bazel run //common/job:reference`); a test compares the two.

A value is looked for in four places, and the first that has it wins:

1. a flag, `--set policy.mode=stale`, as often as wanted;
2. the environment, `SHARDMILL__POLICY__MODE=stale`: the prefix, the section and the key, each
   followed by two underscores;
3. the file, `mode = "stale"` under `[policy]`;
4. the default.

`shardmill config print FILE --origin` shows every value and which place it came from. A key that
does not exist, a value of the wrong kind and a value out of range are errors in each of the places.
Durations are text such as `"250ms"`, `"10m"` or `"1h30m"` (`d`, `h`, `m`, `s`, `ms`). Sizes are
text such as `"64MiB"` (`B`, `KiB`, `MiB`, `GiB`, `TiB`).
)";

// The first of the keys that somebody gave, as a place; the file where nobody did.
std::string PlaceOf(const Job& job, const std::string& file,
                    std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    const auto found = std::ranges::find(job.listing, key, &config::Effective::key);
    if (found != job.listing.end() && found->origin != "default") return found->origin;
  }
  return file;
}

// Nobody listens where others can reach it unless keys keep strangers out, or it is said that they
// need not be.
Result<> CheckDoors(const Job& job, const std::string& file) {
  const JobOptions& options = job.options;
  if (!options.security.keys.empty() || options.security.insecure) return {};
  const auto check = [&](const std::string& key, const std::string& host) -> Result<> {
    if (IsLoopback(host)) return {};
    return Error{ErrorCode::kBadUsage, PlaceOf(job, file, {key}) + ": " + OpenDoorWords(key, host)};
  };
  SM_TRY(check("cluster.host", options.cluster.host));
  return check("cluster.coordinator", ParseAddress(options.cluster.coordinator)->host);
}

// Leased data is used once, by whoever comes: what needs fixed workers does not go with it.
Result<> CheckLeases(const Job& job, const std::string& file) {
  const JobOptions& options = job.options;
  const bool leased = options.data.scheme == DataScheme::kLeased;
  const auto bad = [&](std::initializer_list<std::string_view> keys, const std::string& words) {
    return Error{ErrorCode::kBadUsage, PlaceOf(job, file, keys) + ": " + words};
  };
  if (options.cluster.elastic && !leased) {
    return bad({"cluster.elastic", "data.scheme"},
               "\"cluster.elastic\" is true and \"data.scheme\" is not \"leased\"; where workers "
               "come and go, nobody can know beforehand which samples are whose");
  }
  if (!leased) return {};
  if (options.policy.backups > 0) {
    return bad({"policy.backups", "data.scheme"},
               "\"policy.backups\" is " + std::to_string(options.policy.backups) +
                   " and \"data.scheme\" \"leased\"; the samples of a step that comes too late "
                   "would be lost");
  }
  if (options.policy.exchange == Exchange::kParameters && options.policy.average_every == 0) {
    return bad({"policy.average_every", "data.scheme"},
               "\"policy.average_every\" is 0 and \"data.scheme\" \"leased\"; no worker knows "
               "where an epoch ends for the others; say after how many batches to average");
  }
  return {};
}

// What training is stopped by is looked at by the worker that measures, and all end in one step.
Result<> CheckTraining(const Job& job, const std::string& file) {
  const TrainOptions& train = job.options.train;
  const auto bad = [&](std::initializer_list<std::string_view> keys, const std::string& words) {
    return Error{ErrorCode::kBadUsage, PlaceOf(job, file, keys) + ": " + words};
  };
  const bool leased = job.options.data.scheme == DataScheme::kLeased;
  if (leased && (!train.stop.empty() || train.steps > 0)) {
    const std::string key = train.stop.empty() ? "train.steps" : "train.stop";
    return bad({key, "data.scheme"},
               "\"" + key +
                   "\" is given and \"data.scheme\" is \"leased\"; the samples of each epoch are "
                   "leased until all are used, whoever makes the steps: leave it out and say with "
                   "\"train.epochs\" how long, or take another scheme");
  }
  if (!train.stop.empty() && job.options.policy.backups > 0) {
    return bad({"train.stop", "policy.backups"},
               "\"train.stop\" is given and \"policy.backups\" is not 0; a round that closes "
               "without a worker may be the last");
  }
  if (train.accumulate > 1 && job.options.policy.exchange == Exchange::kParameters) {
    return bad(
        {"train.accumulate", "policy.exchange"},
        "\"train.accumulate\" is " + std::to_string(train.accumulate) +
            " and \"policy.exchange\" \"parameters\"; those workers step with each batch; say "
            "with \"policy.average_every\" how many they make");
  }
  return {};
}

// What is measured fits what is learnt, and what is stopped or chosen by is measured.
Result<> CheckMeasures(const Job& job, const std::string& file) {
  const TrainOptions& train = job.options.train;
  const auto bad = [&](std::initializer_list<std::string_view> keys, const std::string& words) {
    return Error{ErrorCode::kBadUsage, PlaceOf(job, file, keys) + ": " + words};
  };
  const ModelOptions& model = job.options.model;
  const bool distance = model.loss == "l1" || model.loss == "l2";
  if (distance && std::ranges::find(model.metrics, "accuracy") != model.metrics.end()) {
    return bad({"model.metrics", "model.loss"},
               "\"model.metrics\" has \"accuracy\" and \"model.loss\" is \"" + model.loss +
                   "\"; numbers that are near are not right or wrong: take \"rmse\" or \"mae\"");
  }
  const auto measured = [&](const std::string& metric) {
    return metric.empty() || std::ranges::find(model.metrics, metric) != model.metrics.end();
  };
  const bool looks = train.validate_epochs > 0 || train.validate_steps > 0;
  if (!looks && (!train.stop.empty() || !train.best.empty())) {
    return bad({"train.stop", "train.best", "train.validate_epochs"},
               "\"train.stop\" and \"train.best\" are looked at with each measure, and there is "
               "none: \"train.validate_epochs\" and \"train.validate_steps\" are 0");
  }
  if (!measured(train.best)) {
    return bad({"train.best"},
               "\"train.best\" is \"" + train.best + "\", which is not among \"model.metrics\"");
  }
  for (const StopOptions& stop : train.stop) {
    if (measured(stop.metric)) continue;
    return bad({"train.stop"}, "\"train.stop\" goes by \"" + stop.metric +
                                   "\", which is not among \"model.metrics\"");
  }
  return {};
}

// Copies of one shard are on servers of their own, which one process's trace cannot tell of.
Result<> CheckReplicas(const Job& job, const std::string& file) {
  const JobOptions& options = job.options;
  const ClusterOptions& cluster = options.cluster;
  const uint32_t replicas = options.replication.replicas;
  const auto bad = [&](std::initializer_list<std::string_view> keys, const std::string& words) {
    return Error{ErrorCode::kBadUsage, PlaceOf(job, file, keys) + ": \"replication.replicas\" is " +
                                           std::to_string(replicas) + " and " + words};
  };
  if (replicas == 0) return {};
  if (replicas >= cluster.servers) {
    return bad({"replication.replicas", "cluster.servers"},
               "\"cluster.servers\" " + std::to_string(cluster.servers) +
                   "; each copy of a shard is on a server of its own, so have at least " +
                   std::to_string(replicas + 1) + " servers");
  }
  if (!options.trace.folder.empty()) {
    return bad({"trace.folder", "replication.replicas"},
               "\"trace.folder\" is given; a trace is of one process, and a shard that has "
               "replicas goes on in another one");
  }
  const uint32_t ports = cluster.shards_per_server * (1 + replicas);
  if (cluster.server_port + ports <= 65536) return {};
  return bad({"cluster.server_port", "replication.replicas"},
             "\"cluster.server_port\" " + std::to_string(cluster.server_port) + "; a server has " +
                 std::to_string(ports) +
                 " shards and copies of others', and the last one's port is above 65535");
}

Result<> CheckLogs(const Job& job, const std::string& file) {
  const JobOptions& options = job.options;
  if (!options.replication.logs()) return {};
  if (options.replication.replicas > 0) {
    return Error{ErrorCode::kBadUsage,
                 PlaceOf(job, file, {"replication.log", "replication.replicas"}) +
                     ": \"replication.log\" and \"replication.replicas\" are given; a shard has "
                     "its copies in memory or on a disk, not both: leave one of them out"};
  }
  if (options.trace.folder.empty()) return {};
  return Error{ErrorCode::kBadUsage,
               PlaceOf(job, file, {"trace.folder", "replication.log"}) +
                   ": \"trace.folder\" and \"replication.log\" are given; a trace is of one "
                   "process, and a shard that has a log goes on in another one"};
}

// Layers have the job's settings of the rule that they name.
Result<> CheckLayerOptimizers(const Job& job, const std::string& file) {
  const bool adamw = std::ranges::any_of(job.options.model.layers, [](const LayerOptions& layer) {
    return layer.optimizer == "adamw";
  });
  if (!adamw || job.options.optimizer.weight_decay > 0) return {};
  return Error{ErrorCode::kBadUsage,
               PlaceOf(job, file, {"optimizer.weight_decay", "model.layers"}) +
                   ": a layer's \"optimizer\" is \"adamw\" and there is no weight decay, which "
                   "makes it \"adam\"; set optimizer.weight_decay (0.01 is usual)"};
}

// What sections say together and cannot mean.
Result<> CheckAcrossSections(const Job& job, const std::string& file) {
  SM_TRY(CheckDoors(job, file));
  SM_TRY(CheckLeases(job, file));
  SM_TRY(CheckTraining(job, file));
  SM_TRY(CheckLayerOptimizers(job, file));
  SM_TRY(CheckMeasures(job, file));
  SM_TRY(CheckReplicas(job, file));
  SM_TRY(CheckLogs(job, file));
  const JobOptions& options = job.options;
  if (options.policy.backups >= options.cluster.workers) {
    return Error{ErrorCode::kBadUsage,
                 PlaceOf(job, file, {"policy.backups", "cluster.workers"}) +
                     ": \"policy.backups\" is " + std::to_string(options.policy.backups) +
                     " and \"cluster.workers\" " + std::to_string(options.cluster.workers) +
                     "; the backups are some of the workers, and not all"};
  }
  if (options.policy.exchange == Exchange::kParameters &&
      options.compute.gradients == GradientWidth::kBf16) {
    return Error{ErrorCode::kBadUsage,
                 PlaceOf(job, file, {"compute.gradients", "policy.exchange"}) +
                     ": \"compute.gradients\" is \"bf16\" and \"policy.exchange\" "
                     "\"parameters\"; no gradients cross the bus where weights stay on the card; "
                     "leave compute.gradients out"};
  }
  // FTRL makes its parameters anew of two sums in each step, and the average would be forgotten.
  if (options.policy.exchange == Exchange::kParameters &&
      options.optimizer.name == OptimizerName::kFtrl) {
    return Error{ErrorCode::kBadUsage,
                 PlaceOf(job, file, {"optimizer.name", "policy.exchange"}) +
                     ": \"optimizer.name\" is \"ftrl\" and \"policy.exchange\" \"parameters\"; "
                     "ftrl makes parameters of sums that each worker keeps to itself, and would "
                     "undo each average; use another optimizer or exchange \"gradients\""};
  }
  return {};
}

}  // namespace

std::string OpenDoorWords(const std::string& key, const std::string& host) {
  return "\"" + key + "\" is " + config::QuoteForMessage(host) +
         ", which others can reach, and there are no keys; make some with `shardmill keys gen` and "
         "set security.keys to their folder, keep to loopback (\"127.0.0.1\"), or say --insecure "
         "on a network where everybody may read and change everything";
}

Policy PolicyOptions::ToPolicy() const {
  Policy policy;
  policy.apply = mode == PolicyMode::kSync ? ApplyRule::kPerStep : ApplyRule::kOnArrival;
  policy.bounded = mode != PolicyMode::kAsync;
  policy.staleness = mode == PolicyMode::kStale ? staleness : 0;
  policy.aggregate = aggregate;
  policy.nonfinite = on_nonfinite;
  policy.backups = backups;
  return policy;
}

OptimizerOptions OptimizerOptions::Under(std::string_view rule) const {
  OptimizerOptions other = *this;
  for (auto i = uint8_t{0}; i <= static_cast<uint8_t>(OptimizerName::kFtrl); ++i) {
    const auto one = static_cast<OptimizerName>(i);
    if (NameOf(one) == rule) other.name = one;
  }
  // It has none beside its l2.
  if (other.name == OptimizerName::kFtrl) other.weight_decay = 0;
  return other;
}

UpdateSettings OptimizerOptions::ToUpdate() const {
  UpdateSettings update;
  switch (name) {
    case OptimizerName::kSgd:
      update.rule = UpdateRule::kSgd;
      break;
    case OptimizerName::kMomentum:
      update.rule = UpdateRule::kMomentum;
      break;
    case OptimizerName::kNesterov:
      update.rule = UpdateRule::kNesterov;
      break;
    case OptimizerName::kAdagrad:
      update.rule = UpdateRule::kAdagrad;
      break;
    case OptimizerName::kRmsprop:
      update.rule = UpdateRule::kRmsprop;
      break;
    case OptimizerName::kAdam:
    case OptimizerName::kAdamw:  // Adam with a weight decay, which Declare demands.
      update.rule = UpdateRule::kAdam;
      break;
    case OptimizerName::kFtrl:
      update.rule = UpdateRule::kFtrl;
      break;
  }
  update.rate = {schedule,     learning_rate, warmup,   std::max<uint64_t>(decay_rounds, 1),
                 decay_factor, decay_power,   end_rate, scale_by_workers};
  update.momentum = momentum;
  update.beta1 = beta1;
  update.beta2 = beta2;
  update.epsilon = epsilon;
  update.beta = beta;
  update.l1 = l1;
  update.l2 = l2;
  update.weight_decay = weight_decay;
  update.clip_value = clip_value;
  return update;
}

// Where workers exchange parameters they step by themselves, and the servers only average.
UpdateSettings JobOptions::ServerUpdate() const {
  UpdateSettings update = optimizer.ToUpdate();
  if (policy.exchange == Exchange::kParameters) update.rule = UpdateRule::kAverage;
  return update;
}

bool JobOptions::Reproducible() const {
  const bool stateless =
      policy.exchange == Exchange::kGradients || optimizer.name == OptimizerName::kSgd;
  return policy.mode == PolicyMode::kSync && policy.backups == 0 && stateless &&
         data.scheme != DataScheme::kLeased && compute.device == ComputeDevice::kCpu;
}

void JobOptions::Declare(config::Schema& schema) {
  job.Declare(schema.Add("job", "The job as a whole."));
  cluster.Declare(schema.Add("cluster", "Which processes there are and how they meet."));
  policy.Declare(schema.Add("policy", "How workers keep together."));
  optimizer.Declare(schema.Add("optimizer", "How the servers change parameters."));
  data.Declare(schema.Add("data", "What is learnt from."));
  model.Declare(schema.Add("model", "What is trained."));
  compute.Declare(schema.Add("compute", "What workers compute on."));
  train.Declare(schema.Add("train", "How long, and how much is said about it."));
  replication.Declare(
      schema.Add("replication", "Copies of the tables, so that servers may be lost."));
  network.Declare(schema.Add("network", "Limits and waits of everything that is sent."));
  snapshot.Declare(schema.Add("snapshot", "What is kept on disk, and what a job begins from."));
  security.Declare(schema.Add("security", "Who may take part."));
  http.Declare(schema.Add("http", "The page of each daemon for monitors."));
  log.Declare(schema.Add("log", "What daemons write to stderr."));
  trace.Declare(
      schema.Add("trace", "Records of what a job did: for proofs and replays, and to look at."));
}

Result<Job> ParseJob(const std::string& name, std::string_view text,
                     const config::Overrides& overrides) {
  Job job;
  config::Schema schema;
  job.options.Declare(schema);
  job.listing = SM_TRY(config::Load(schema, name, text, overrides));
  SM_TRY(CheckAcrossSections(job, name));
  return job;
}

JobKeyList MeaningOf(JobOptions job) {
  constexpr std::array kSections = {"policy", "optimizer", "data", "model"};
  constexpr std::array kOthers = {"job.seed",    "cluster.elastic",  "train.epochs",
                                  "train.steps", "train.accumulate", "train.stop"};
  constexpr std::array kPlaces = {"data.folder",       "data.train",     "data.validate",
                                  "data.test",         "data.memory",    "data.cache",
                                  "data.bad_rows_max", "data.read_ahead"};
  config::Schema schema;
  job.Declare(schema);
  JobKeyList keys;
  for (const config::Section& section : schema.sections()) {
    const bool whole = std::ranges::find(kSections, section.name()) != kSections.end();
    for (const config::Option& option : section.options()) {
      const std::string key = section.name() + "." + option.key;
      const bool one = std::ranges::find(kOthers, key) != kOthers.end();
      const bool place = std::ranges::find(kPlaces, key) != kPlaces.end();
      if ((whole || one) && !place && option.Applies()) keys.push_back({key, option.show()});
    }
  }
  return keys;
}

Result<> CheckTrainable(const JobOptions& job) {
  const DataOptions& data = job.data;
  const bool idx = data.format == DataFormat::kIdx;
  // MovieLens has a place of its own.
  const bool placed = data.format == DataFormat::kMovieLens;
  if (idx ? data.folder.empty() : data.train.empty() && !placed) {
    return Error{ErrorCode::kBadUsage, std::string("\"data.") + (idx ? "folder" : "train") +
                                           "\" is missing: it says where the samples lie"};
  }
  if (job.model.layers.empty()) {
    return Error{ErrorCode::kBadUsage, "\"model.layers\" is missing: it says what is trained"};
  }
  return {};
}

Result<Job> LoadJob(const std::string& path, const config::Overrides& overrides) {
  const std::string text = SM_TRY(config::ReadFile(path));
  return ParseJob(path, text, overrides);
}

std::vector<std::string> JobKeys() {
  JobOptions options;
  config::Schema schema;
  options.Declare(schema);
  return schema.Keys();
}

std::string JobReference() {
  JobOptions options;
  config::Schema schema;
  options.Declare(schema);
  return config::PrintReference(schema, kReferenceIntroduction);
}

}  // namespace shardmill
