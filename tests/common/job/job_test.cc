#include "common/job/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/print.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kSmallest =
    "[data]\nfolder = \"/data\"\n[model]\nlayers = [{ type = \"affine\", units = 3 }]\n";

Result<Job> Parse(const std::vector<std::string>& sets) {
  return ParseJob("j.toml", kSmallest, {.sets = sets});
}

std::string ErrorOf(const std::vector<std::string>& sets) {
  const Result<Job> job = Parse(sets);
  if (job.ok()) return "";
  EXPECT_EQ(job.error().code, ErrorCode::kBadUsage);
  return job.error().message;
}

bool Says(const std::vector<std::string>& sets, const std::string& words) {
  return ErrorOf(sets).find(words) != std::string::npos;
}

JobOptions Options(const std::vector<std::string>& sets) {
  const Result<Job> job = Parse(sets);
  EXPECT_TRUE(job.ok()) << job.error().message;
  return job.ok() ? job.value().options : JobOptions{};
}

TEST(JobTest, HasDefaultsForAllButDataAndLayers) {
  const JobOptions options = Options({});
  EXPECT_EQ(options.job.name, "job");
  EXPECT_EQ(options.job.seed, 1U);
  EXPECT_EQ(options.cluster.Shards(), 1U);
  EXPECT_EQ(options.cluster.start_timeout, seconds(60));
  EXPECT_EQ(options.policy.mode, PolicyMode::kSync);
  EXPECT_EQ(options.data.scheme, DataScheme::kRandom);
  EXPECT_EQ(options.network.unit_bytes, uint64_t{1} << 20);
  EXPECT_EQ(options.network.step_timeout, std::chrono::minutes(5));
  EXPECT_EQ(options.model.metrics, std::vector<std::string>{"accuracy"});
  EXPECT_TRUE(options.http.enabled);
}

TEST(JobTest, NamesWhatAWorkerNeedsAndAModelOfOnesOwnDoesNot) {
  const Result<Job> nothing = ParseJob("j.toml", "", {});
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(CheckTrainable(nothing.value().options).error().message,
            "\"data.folder\" is missing: it says where the samples lie");
  const Result<Job> data = ParseJob("j.toml", "data.folder = \"d\"", {});
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(CheckTrainable(data.value().options).error().message,
            "\"model.layers\" is missing: it says what is trained");
}

TEST(JobTest, ReadsEachKeyIntoItsOwnField) {
  const JobOptions options = Options(
      {"job.name=a", "job.seed=2", "job.runs=b", "cluster.servers=3", "cluster.shards_per_server=4",
       "cluster.workers=5", "cluster.coordinator=localhost:6", "cluster.host=127.0.0.7",
       "security.insecure=true", "cluster.server_port=8", "cluster.start_timeout=9s",
       "cluster.lease=10s", "optimizer.learning_rate=0.25", "data.folder=c", "data.batch_size=11",
       "data.scheme=overlap", "model.metrics=[\"loss\"]", "train.epochs=12",
       "train.report_every=13"});
  EXPECT_EQ(options.job.name, "a");
  EXPECT_EQ(options.job.seed, 2U);
  EXPECT_EQ(options.job.runs, "b");
  EXPECT_EQ(options.cluster.servers, 3U);
  EXPECT_EQ(options.cluster.shards_per_server, 4U);
  EXPECT_EQ(options.cluster.Shards(), 12U);
  EXPECT_EQ(options.cluster.workers, 5U);
  EXPECT_EQ(options.cluster.coordinator, "localhost:6");
  EXPECT_EQ(options.cluster.host, "127.0.0.7");
  EXPECT_TRUE(options.security.insecure);
  EXPECT_EQ(options.cluster.server_port, 8U);
  EXPECT_EQ(options.cluster.start_timeout, seconds(9));
  EXPECT_EQ(options.cluster.lease, seconds(10));
  EXPECT_EQ(options.optimizer.learning_rate, 0.25);
  EXPECT_EQ(options.data.folder, "c");
  EXPECT_EQ(options.data.batch_size, 11U);
  EXPECT_EQ(options.data.scheme, DataScheme::kOverlap);
  EXPECT_EQ(options.model.metrics, std::vector<std::string>{"loss"});
  EXPECT_EQ(options.train.epochs, 12U);
  EXPECT_EQ(options.train.report_every, 13U);
}

TEST(JobTest, ReadsLimitsAndWaitsIntoTheirOwnFields) {
  const JobOptions options =
      Options({"network.io_threads=2", "network.unit_bytes=8KiB", "network.window_bytes=16KiB",
               "network.held_bytes=32KiB", "network.retry_after=20ms", "network.step_timeout=30ms",
               "network.message_bytes=64KiB", "network.shared_memory=false", "network.spin=2ms",
               "http.enabled=false", "http.port=81", "http.bind=0.0.0.0", "log.level=debug"});
  EXPECT_EQ(options.network.io_threads, 2U);
  EXPECT_EQ(options.network.unit_bytes, 8192U);
  EXPECT_EQ(options.network.window_bytes, 16384U);
  EXPECT_EQ(options.network.held_bytes, 32768U);
  EXPECT_EQ(options.network.retry_after, milliseconds(20));
  EXPECT_EQ(options.network.step_timeout, milliseconds(30));
  EXPECT_EQ(options.network.message_bytes, 65536U);
  EXPECT_FALSE(options.network.shared_memory);
  EXPECT_EQ(options.network.spin, milliseconds(2));
  EXPECT_FALSE(options.http.enabled);
  EXPECT_EQ(options.http.port, 81U);
  EXPECT_EQ(options.http.bind, "0.0.0.0");
  EXPECT_EQ(options.log.level, "debug");
}

TEST(JobTest, ReplicasAreOnServersOfTheirOwnAndAreWaitedFor) {
  const ReplicationOptions none = Options({}).replication;
  EXPECT_EQ(none.replicas, 0U);
  EXPECT_EQ(none.min_in_sync, 1U);
  const ReplicationOptions two = Options({"cluster.servers=3", "replication.replicas=2",
                                          "replication.ack=replica", "replication.min_in_sync=2"})
                                     .replication;
  EXPECT_EQ(two.replicas, 2U);
  EXPECT_EQ(two.min_in_sync, 2U);
  EXPECT_TRUE(Says({"replication.replicas=1"}, "have at least 2 servers"));
  EXPECT_TRUE(Says({"cluster.servers=2", "replication.replicas=1", "replication.min_in_sync=2"},
                   "a shard has 1 replicas"));
  EXPECT_TRUE(Says({"cluster.servers=2", "replication.replicas=1", "trace.folder=t"},
                   "a trace is of one process"));
  EXPECT_TRUE(Says({"cluster.servers=2", "replication.replicas=1", "cluster.server_port=65534",
                    "cluster.shards_per_server=2"},
                   "above 65535"));
  EXPECT_TRUE(Says({"replication.min_in_sync=1"}, "replication.replicas"));
}

TEST(JobTest, AckIsWhatReplicasAndLogsCanKeep) {
  EXPECT_EQ(Options({"replication.ack=memory"}).replication.ack, AckLevel::kMemory);
  EXPECT_TRUE(Says({"replication.ack=replica"}, "there are none"));
  EXPECT_TRUE(Says({"replication.ack=disk"}, "there are no logs"));
  EXPECT_FALSE(Options({}).replication.logs());
  EXPECT_TRUE(Options({"replication.log=l"}).replication.logs());
  EXPECT_TRUE(Options({"replication.log=l", "replication.ack=disk"}).replication.logs());
  EXPECT_TRUE(Says({"replication.log=l", "replication.ack=memory"}, "does not wait for it"));
  EXPECT_TRUE(Says({"replication.log=l", "replication.replicas=1", "cluster.servers=2"},
                   "in memory or on a disk, not both"));
  EXPECT_TRUE(Says({"replication.log=l", "trace.folder=t"}, "goes on in another one"));
  EXPECT_TRUE(Says({"cluster.servers=2", "replication.replicas=1", "replication.ack=memory"},
                   "would lose what was answered"));
}

TEST(JobTest, TurnsTheModeIntoAPolicy) {
  EXPECT_EQ(Options({}).policy.ToPolicy(),
            (Policy{.apply = ApplyRule::kPerStep, .bounded = true, .staleness = 0}));
  EXPECT_EQ(Options({"policy.mode=stale"}).policy.ToPolicy(),
            (Policy{.apply = ApplyRule::kOnArrival, .bounded = true, .staleness = 1}));
  EXPECT_EQ(Options({"policy.mode=stale", "policy.staleness=3"}).policy.ToPolicy().staleness, 3U);
  EXPECT_FALSE(Options({"policy.mode=async"}).policy.ToPolicy().bounded);
  EXPECT_EQ(NameOf(PolicyMode::kStale), "stale");
  EXPECT_EQ(NameOf(OptimizerName::kSgd), "sgd");
}

TEST(JobTest, TurnsPolicyKeysIntoAPolicy) {
  const PolicyOptions options = Options({"cluster.workers=3", "policy.aggregate=sum",
                                         "policy.backups=2", "policy.on_nonfinite=skip"})
                                    .policy;
  EXPECT_EQ(options.ToPolicy(), (Policy{.apply = ApplyRule::kPerStep,
                                        .aggregate = Aggregate::kSum,
                                        .nonfinite = OnNonfinite::kSkip,
                                        .backups = 2}));
}

TEST(JobTest, TurnsTheOptimizerIntoAnUpdate) {
  const auto update = [](const std::vector<std::string>& sets) {
    return Options(sets).optimizer.ToUpdate();
  };
  UpdateSettings want;
  EXPECT_EQ(update({}), want);
  want.rule = UpdateRule::kNesterov;
  want.momentum = 0.5;
  want.l1 = 0.25;
  want.l2 = 0.125;
  want.clip_value = 3;
  EXPECT_EQ(update({"optimizer.name=nesterov", "optimizer.momentum=0.5", "optimizer.l1=0.25",
                    "optimizer.l2=0.125", "optimizer.clip_value=3"}),
            want);
  want = {};
  want.rule = UpdateRule::kAdam;
  want.beta1 = 0.5;
  want.beta2 = 0.75;
  want.epsilon = 0.001;
  want.weight_decay = 0.01;
  EXPECT_EQ(update({"optimizer.name=adamw", "optimizer.beta1=0.5", "optimizer.beta2=0.75",
                    "optimizer.epsilon=0.001", "optimizer.weight_decay=0.01"}),
            want);
  want = {};
  want.rule = UpdateRule::kFtrl;
  want.beta = 2;
  EXPECT_EQ(update({"optimizer.name=ftrl", "optimizer.beta=2"}), want);
}

TEST(JobTest, TurnsTheScheduleIntoARate) {
  const auto rate = [](const std::vector<std::string>& sets) {
    return Options(sets).optimizer.ToUpdate().rate;
  };
  RateSchedule want;
  want.shape = RateShape::kStep;
  want.base = 0.5;
  want.warmup = 4;
  want.length = 30;
  want.factor = 0.25;
  want.scale_by_workers = true;
  EXPECT_EQ(rate({"optimizer.learning_rate=0.5", "optimizer.schedule=step", "optimizer.warmup=4",
                  "optimizer.decay_rounds=30", "optimizer.decay_factor=0.25",
                  "optimizer.scale_by_workers=true"}),
            want);
  want = {};
  want.shape = RateShape::kPolynomial;
  want.length = 30;
  want.power = 2;
  want.end = 0.01;
  EXPECT_EQ(rate({"optimizer.schedule=polynomial", "optimizer.decay_rounds=30",
                  "optimizer.decay_power=2", "optimizer.end_rate=0.01"}),
            want);
}

TEST(JobTest, AveragesOnTheServersWhereParametersAreExchanged) {
  EXPECT_EQ(Options({"optimizer.name=adam"}).ServerUpdate().rule, UpdateRule::kAdam);
  EXPECT_EQ(Options({"optimizer.name=adam", "policy.exchange=parameters"}).ServerUpdate().rule,
            UpdateRule::kAverage);
}

TEST(JobTest, RefusesCombinationsThatMeanNothing) {
  const auto says = [](const std::vector<std::string>& sets, const char* words) {
    const std::string error = ErrorOf(sets);
    EXPECT_NE(error.find(words), std::string::npos) << error;
  };
  says({"policy.mode=async", "policy.backups=1"}, "policy.mode = \"sync\"");
  says({"policy.mode=stale", "policy.exchange=parameters"}, "set policy.mode = \"sync\"");
  says({"policy.exchange=parameters", "policy.aggregate=sum"}, "no set of parameters");
  says({"policy.mode=async", "policy.aggregate=mean"}, "set policy.mode = \"sync\"");
  says({"policy.mode=stale", "policy.aggregate=sum"}, "set policy.mode = \"sync\"");
  says({"policy.average_every=3"}, "policy.exchange = \"parameters\"");
  says({"policy.backups=1"}, "cluster.workers");
  says({"optimizer.momentum=0.5"}, "optimizer.name = \"momentum\" or \"nesterov\"");
  says({"optimizer.name=adamw"}, "set optimizer.weight_decay");
  says({"optimizer.name=ftrl", "optimizer.weight_decay=0.1"}, "use optimizer.l2");
  says({"optimizer.schedule=cosine"}, "\"optimizer.decay_rounds\" is missing");
  says({"optimizer.decay_factor=0.5"}, "optimizer.schedule = \"step\"");
  says({"optimizer.clip_norm=-1"}, "at least 0");
  says({"model.loss=l2"}, "\"model.metrics\" has \"accuracy\" and \"model.loss\" is \"l2\"");
  says({"train.validate_epochs=0", "train.stop=[{epochs=2}]"}, "there is none");
  says({"train.validate_epochs=0", "train.best=accuracy"}, "there is none");
  EXPECT_EQ(ErrorOf({"train.validate_epochs=0", "train.validate_steps=9", "train.best=accuracy"}),
            "");
  EXPECT_EQ(ErrorOf({"model.metrics=[\"loss\"]", "train.stop=[{metric='loss',at_most=0.0}]"}), "");
  says({"train.stop=[{metric='accuracy'}]"}, "wants \"at_least\", \"at_most\" or");
}

TEST(JobTest, RefusesToRoundGradientsThatDoNotLeaveTheCard) {
  const std::string said =
      ErrorOf({"compute.device=auto", "compute.gradients=bf16", "policy.exchange=parameters"});
  EXPECT_NE(said.find("\"compute.gradients\" is \"bf16\" and \"policy.exchange\" \"parameters\""),
            std::string::npos)
      << said;
  EXPECT_EQ(ErrorOf({"compute.device=auto", "compute.gradients=bf16"}), "");
}

TEST(JobTest, RefusesAnAverageOfWhatFtrlMakesAnewAndSaysWhere) {
  const char* const kWords =
      "\"optimizer.name\" is \"ftrl\" and \"policy.exchange\" \"parameters\"; ftrl makes";
  EXPECT_TRUE(ErrorOf({"policy.exchange=parameters", "optimizer.name=ftrl"})
                  .starts_with(std::string("--set: ") + kWords));
  const std::string text = std::string(kSmallest) +
                           "[optimizer]\nname = \"ftrl\"\n[policy]\nexchange = \"parameters\"\n";
  const Result<Job> job = ParseJob("x.toml", text, {});
  ASSERT_FALSE(job.ok());
  EXPECT_TRUE(job.error().message.starts_with(std::string("x.toml:6:1: ") + kWords))
      << job.error().message;
}

TEST(JobTest, SaysWhereMoreBackupsThanWorkersAreAskedFor) {
  const Result<Job> job = ParseJob("x.toml", "[policy]\nbackups = 3\n", {});
  ASSERT_FALSE(job.ok());
  EXPECT_TRUE(job.error().message.starts_with("x.toml:2:1: \"policy.backups\" is 3"))
      << job.error().message;
}

TEST(JobTest, RefusesRoundingThatTheProcessorDoesNotDo) {
  EXPECT_FALSE(ParseJob("job.toml", "[compute]\nproducts = \"tf32\"\n", {}).ok());
  EXPECT_TRUE(ParseJob("job.toml", "[compute]\nproducts = \"tf32\"\ndevice = \"auto\"\n", {}).ok());
}

TEST(JobTest, IsReproducibleWhereNoChanceAndNoProcessDecidesWhatIsLost) {
  EXPECT_TRUE(Options({}).Reproducible());
  EXPECT_TRUE(Options({"optimizer.name=adam"}).Reproducible());
  EXPECT_TRUE(Options({"policy.exchange=parameters"}).Reproducible());
  EXPECT_FALSE(Options({"policy.mode=stale"}).Reproducible());
  EXPECT_FALSE(Options({"policy.mode=async"}).Reproducible());
  EXPECT_FALSE(Options({"compute.device=auto"}).Reproducible());
  EXPECT_FALSE(Options({"cluster.workers=2", "policy.backups=1"}).Reproducible());
  for (const char* rule : {"momentum", "nesterov", "adagrad", "rmsprop", "adam"}) {
    EXPECT_FALSE(Options({"policy.exchange=parameters", std::string("optimizer.name=") + rule})
                     .Reproducible())
        << rule;
  }
}

TEST(JobTest, RefusesStalenessWithAnotherMode) {
  EXPECT_EQ(ErrorOf({"policy.staleness=3"}),
            "--set: \"policy.staleness\" means nothing with policy.mode = \"sync\"; remove it or "
            "set policy.mode = \"stale\"");
  EXPECT_EQ(ErrorOf({"policy.staleness=3", "policy.mode=async"}),
            "--set: \"policy.staleness\" means nothing with policy.mode = \"async\"; remove it or "
            "set policy.mode = \"stale\"");
}

TEST(JobTest, RefusesMisspeltKeysWithFileLineAndColumn) {
  const std::string text = std::string(kSmallest) + "[polcy]\n  mode = \"stale\"\n";
  const Result<Job> job = ParseJob("configs/x.toml", text, {});
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.error().message,
            "configs/x.toml:6:3: unknown key \"polcy.mode\"; did you mean \"policy.mode\"?");
}

TEST(JobTest, RefusesLayersThatCannotBe) {
  const std::string type = ErrorOf({"model.layers=[{type=\"afine\"}]"});
  EXPECT_TRUE(
      type.starts_with("--set: \"model.layers[0].type\" is \"afine\"; it must be one of "
                       "\"flatten\", \"reshape\", \"affine\", "))
      << type;
  EXPECT_TRUE(type.ends_with("; did you mean \"affine\"?")) << type;
  EXPECT_EQ(ErrorOf({"model.layers=[{type=\"add\", inputs=[\"a\", \"\"]}]"}),
            "--set: \"model.layers[0].inputs[1]\" is \"\"; it must be a name");
  EXPECT_EQ(ErrorOf({"model.layers=[{type=\"reshape\", shape=\"3x\"}]"}),
            "--set: \"model.layers[0].shape\" is \"3x\"; it must be extents such as "
            "\"28x28x1\"");
  EXPECT_THAT(ErrorOf({"model.layers=[{type=\"elu\", slope=0.0}]"}),
              testing::HasSubstr("\"model.layers[0].slope\" is 0.0; it must be "));
  for (const std::string key : {"learning_rate=0.5", "optimizer=\"adam\""}) {
    EXPECT_THAT(ErrorOf({"model.layers=[{type=\"affine\", units=3, frozen=true, " + key + "}]"}),
                testing::HasSubstr("a layer that is \"frozen\" does not change"));
  }
  EXPECT_EQ(ErrorOf({"model.layers=[{type=\"affine\"}]"}),
            "--set: \"model.layers[0].units\" is missing: How many outputs; the inputs are "
            "inferred.");
  EXPECT_EQ(ErrorOf({"model.layers=[{type=\"flatten\", units=1}]"}),
            "--set: \"model.layers[0].units\" means nothing with model.layers[0].type = "
            "\"flatten\"; remove it or set model.layers[0].type = \"affine\"");
  EXPECT_EQ(ErrorOf({"model.layers=[{type=\"affine\", unit=1, units=2}]"}),
            "--set: unknown key \"model.layers[0].unit\"; did you mean \"model.layers[0].units\"?");
}

TEST(JobTest, LayersHaveTheJobsWeightDecayWithAdamwAndNeverWithFtrl) {
  const std::string adamw = "model.layers=[{type=\"affine\", units=3, optimizer=\"adamw\"}]";
  EXPECT_TRUE(Says({adamw}, "a layer's \"optimizer\" is \"adamw\" and there is no weight decay"));
  const OptimizerOptions optimizer = Options({adamw, "optimizer.weight_decay=0.25"}).optimizer;
  EXPECT_EQ(optimizer.Under("adamw").ToUpdate().rule, UpdateRule::kAdam);
  EXPECT_EQ(optimizer.Under("adamw").ToUpdate().weight_decay, 0.25);
  EXPECT_EQ(optimizer.Under("ftrl").ToUpdate().rule, UpdateRule::kFtrl);
  EXPECT_EQ(optimizer.Under("ftrl").ToUpdate().weight_decay, 0);
}

TEST(JobTest, LeasedDataAreUsedUpHoweverManyStepsThatTakes) {
  EXPECT_TRUE(Says({"data.scheme=leased", "train.steps=5"},
                   "\"train.steps\" is given and \"data.scheme\" is \"leased\"; the samples"));
  EXPECT_TRUE(Says({"data.scheme=leased", "train.stop=[{epochs=2}]"},
                   "\"train.stop\" is given and \"data.scheme\" is \"leased\"; the samples"));
}

TEST(JobTest, RefusesAHostThatOthersReachUnlessToldTo) {
  const std::string words =
      ", which others can reach, and there are no keys; make some with `shardmill keys gen` and "
      "set "
      "security.keys to their folder, keep to loopback (\"127.0.0.1\"), or say --insecure on a "
      "network where everybody may read and change everything";
  EXPECT_EQ(ErrorOf({"cluster.host=0.0.0.0"}), "--set: \"cluster.host\" is \"0.0.0.0\"" + words);
  EXPECT_EQ(ErrorOf({"cluster.coordinator=10.0.0.7:7700"}),
            "--set: \"cluster.coordinator\" is \"10.0.0.7\"" + words);
  EXPECT_EQ(Options({"cluster.host=0.0.0.0", "security.insecure=true"}).cluster.host, "0.0.0.0");
  EXPECT_EQ(Options({"cluster.host=0.0.0.0", "security.keys=keys"}).security.keys, "keys");
}

TEST(JobTest, RefusesLimitsThatNoUnitFits) {
  EXPECT_EQ(ErrorOf({"network.window_bytes=512KiB"}),
            "--set: \"network.unit_bytes\" is 1MiB and \"network.window_bytes\" 512KiB; one unit "
            "must fit, so make the first smaller or the second larger");
  EXPECT_EQ(ErrorOf({"network.held_bytes=512KiB"}),
            "--set: \"network.unit_bytes\" is 1MiB and \"network.held_bytes\" 512KiB; one unit "
            "must fit, so make the first smaller or the second larger");
  EXPECT_EQ(ErrorOf({"network.message_bytes=512KiB"}),
            "--set: \"network.unit_bytes\" is 1MiB and \"network.message_bytes\" 512KiB; one unit "
            "must fit, so make the first smaller or the second larger");
  EXPECT_EQ(ErrorOf({"network.unit_bytes=4097B"}),
            "--set: \"network.unit_bytes\" is \"4097B\"; it must be from 4KiB to 256MiB, a "
            "multiple of 4B");
  EXPECT_EQ(ErrorOf({"network.retry_after=1m", "network.step_timeout=1s"}),
            "--set: \"network.retry_after\" is 1m and \"network.step_timeout\" 1s; nothing would "
            "ever be sent again");
}

TEST(JobTest, RefusesPortsAboveTheLast) {
  EXPECT_EQ(ErrorOf({"cluster.server_port=65535", "cluster.shards_per_server=2"}),
            "--set: \"cluster.server_port\" is 65535 and a server has 2 shards; the last one's "
            "port is above 65535");
  EXPECT_EQ(ErrorOf({"cluster.server_port=65535"}), "");
}

TEST(JobTest, RefusesNamesAndAddressesThatCannotBe) {
  EXPECT_EQ(ErrorOf({"job.name=../up"}),
            "--set: \"job.name\" is \"../up\"; it must be 1 to 64 letters, digits, - and _");
  EXPECT_EQ(ErrorOf({"job.name="}),
            "--set: \"job.name\" is \"\"; it must be 1 to 64 letters, digits, - and _");
  EXPECT_EQ(ErrorOf({"cluster.coordinator=nowhere"}),
            "--set: \"cluster.coordinator\" is \"nowhere\"; it must be HOST:PORT or "
            "tcp://HOST:PORT");
  EXPECT_EQ(ErrorOf({"http.bind=a b"}),
            "--set: \"http.bind\" is \"a b\"; it must be a host name or number, without a port");
  EXPECT_EQ(ErrorOf({"job.runs="}), "--set: \"job.runs\" is \"\"; it must be a path");
  EXPECT_NE(ErrorOf({"optimizer.name=adma"}).find("did you mean \"adam\"?"), std::string::npos);
  EXPECT_EQ(ErrorOf({"data.format=png"}),
            "--set: \"data.format\" is \"png\"; it must be one of \"idx\", \"csv\", "
            "\"libsvm\", \"criteo_tsv\", \"movielens\", \"r_data\"");
  EXPECT_EQ(ErrorOf({"model.loss=hinge"}),
            "--set: \"model.loss\" is \"hinge\"; it must be one of \"softmax_cross_entropy\", "
            "\"log_loss\", \"l1\", \"l2\"");
}

TEST(JobTest, RefusesASplitThatLeavesAPartTwoSources) {
  const std::vector<std::string> csv{"data.format=csv", "data.train=a"};
  const auto words = [&csv](std::vector<std::string> sets) {
    sets.insert(sets.end(), csv.begin(), csv.end());
    return ErrorOf(sets);
  };
  EXPECT_NE(words({"data.split=[0.5, 0.4]"}).find("that add up to 1"), std::string::npos);
  EXPECT_NE(words({"data.split=[0.5, 0.5]", "data.validate=b"}).find("to validate with, and there"),
            std::string::npos);
  EXPECT_NE(words({"data.split=[0.5, 0, 0.5]", "data.test=b"}).find("to test with, and there"),
            std::string::npos);
  EXPECT_NE(ErrorOf({"data.split=[0.5, 0.3, 0.2]"}).find("to test with, and there"),
            std::string::npos);
}

TEST(JobTest, WarnsWhereRowsToTestWithEndTheTrainingOrChooseTheModel) {
  const std::string stop = "train.stop=[{metric='accuracy',at_least=0.9}]";
  EXPECT_EQ(PeekingWords(Options({})), "");
  EXPECT_EQ(PeekingWords(Options({"train.stop=[{epochs=2}]"})), "");
  EXPECT_NE(PeekingWords(Options({"train.best=accuracy"})).find("\"train.best\" goes by"),
            std::string::npos);
  EXPECT_NE(PeekingWords(Options({stop})).find("\"train.stop\" goes by"), std::string::npos);
  EXPECT_EQ(PeekingWords(Options({stop, "data.split=[0.9, 0.1]"})), "");
  JobOptions files;
  files.train.best = "loss";
  EXPECT_NE(PeekingWords(files), "");
  files.data.validate = {"rows.csv"};
  EXPECT_EQ(PeekingWords(files), "");
}

TEST(JobTest, SaysThatAFileIsNotThere) {
  const Result<Job> job = LoadJob("no/such.toml", {});
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.error().code, ErrorCode::kBadUsage);
  EXPECT_EQ(job.error().message, "no/such.toml: cannot be read: No such file or directory");
}

TEST(JobTest, LoadsTheQuickstart) {
  const Result<Job> job = LoadJob("configs/quickstart.toml", {});
  ASSERT_TRUE(job.ok()) << job.error().message;
  const JobOptions& options = job.value().options;
  EXPECT_EQ(options.job.name, "quickstart");
  EXPECT_EQ(options.job.seed, 7U);
  EXPECT_EQ(options.cluster.Shards(), 2U);
  EXPECT_EQ(options.cluster.workers, 2U);
  ASSERT_EQ(options.model.layers.size(), 2U);
  EXPECT_EQ(options.model.layers[1].units, 10U);
  EXPECT_EQ(options.train.epochs, 10U);
}

TEST(JobTest, PrintsEveryModeAsAFileThatLoadsToTheSame) {
  for (const char* mode : {"sync", "stale", "async"}) {
    const Result<Job> before = Parse({std::string("policy.mode=") + mode});
    ASSERT_TRUE(before.ok());
    const std::string text = config::PrintToml(before.value().listing, true);
    const Result<Job> after = ParseJob("printed.toml", text, {});
    ASSERT_TRUE(after.ok()) << after.error().message;
    EXPECT_EQ(config::PrintToml(after.value().listing, false),
              config::PrintToml(before.value().listing, false));
  }
}

}  // namespace
}  // namespace shardmill
