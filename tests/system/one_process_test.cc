// Synchronous training on real daemons against the same training in one process, in which each step
// is made on the batches of all ranks joined into one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/session.h"
#include "common/job/job.h"
#include "common/rng.h"
#include "nn/network_spec.h"
#include "optim/optimizer.h"
#include "optim/rate.h"
#include "tests/system/launch.h"
#include "tests/worker/data/data_set.h"
#include "worker/data/batches.h"
#include "worker/network_model.h"

namespace shardmill {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr uint64_t kSeed = 11;
constexpr uint32_t kWorkers = 2;
constexpr uint32_t kBatchRows = 10;
constexpr uint64_t kEpochs = 10;
constexpr uint32_t kClasses = 4;
constexpr uint32_t kSide = 6;
constexpr uint32_t kHiddenUnits = 40;  // So that its weights are cut into two units.

// The largest difference of two weights of a tensor, as a part of the tensor's largest weight. Both
// sides make the same sums of the same floats, in another order: the mean over all rows at once, or
// over each rank's rows and then over the ranks. A float is rounded by up to 6e-8 of itself, in
// each of sixty steps; 4e-7 to 6e-7 have been seen with each optimizer, and the rest is for other
// compilers and machines. Ranks that are not weighed by their rows are seen at 5e-2.
constexpr double kTolerance = 1e-5;

using Weights = std::vector<std::vector<float>>;  // One a parameter of the model.

struct Rule {
  OptimizerName name = OptimizerName::kSgd;
  double learning_rate = 0;
};
constexpr Rule kRules[] = {
    {OptimizerName::kSgd, 0.1}, {OptimizerName::kMomentum, 0.02}, {OptimizerName::kAdam, 0.01}};

// Class c lights row c of the picture, over noise.
std::shared_ptr<const SampleStore> MakeData(uint32_t rows) {
  std::vector<float> inputs;
  std::vector<uint32_t> labels;
  Rng rng(3);
  for (uint32_t row = 0; row < rows; ++row) {
    labels.push_back(static_cast<uint32_t>(rng.Below(kClasses)));
    for (uint32_t pixel = 0; pixel < kSide * kSide; ++pixel) {
      const double light = pixel / kSide == labels.back() ? 0.5 : 0;
      inputs.push_back(static_cast<float>(light + rng.Uniform() / 2));
    }
  }
  return MakeDataSet(inputs, labels, {kSide, kSide}, kClasses);
}

BatchPlan PlanOf(uint32_t rank) { return {kSeed, rank, kWorkers, kBatchRows, DataScheme::kRandom}; }

uint64_t StepsOf(const SampleStore& data) {
  return kEpochs * Batches(data, PlanOf(0)).steps_per_epoch();
}

std::unique_ptr<NetworkModel> MakeModel() {
  nn::NetworkSpec spec;
  const std::vector<uint64_t> picture{kSide, kSide};
  spec.input = nn::Shape::Make(picture).value();
  spec.layers = {{"flatten", 0}, {"affine", kHiddenUnits}, {"affine", kClasses}};
  spec.loss = "softmax_cross_entropy";
  auto model = NetworkModel::Make(spec, kClasses, kSeed);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return std::move(model).value();
}

std::vector<std::span<const float>> ReadFrom(const Weights& weights) {
  return {weights.begin(), weights.end()};
}
std::vector<std::span<float>> WriteTo(Weights& weights) { return {weights.begin(), weights.end()}; }

Weights SizedFor(const Model& model) {
  Weights weights;
  for (const ParameterSpec& spec : model.Parameters()) weights.emplace_back(spec.size);
  return weights;
}

// The training of all ranks in this thread, without any of the servers' code but the optimizer.
class OneProcess final {
 public:
  explicit OneProcess(const Rule& rule) : model_(MakeModel()), weights_(SizedFor(*model_)) {
    OptimizerOptions options;
    options.name = rule.name;
    options.learning_rate = rule.learning_rate;
    settings_ = options.ToUpdate();
    optimizer_ = MakeOptimizer(settings_).value();
    for (size_t i = 0; i < weights_.size(); ++i) {
      const ParameterSpec& spec = model_->Parameters()[i];
      FillInitial(SaltedBy(spec.initial, spec.name), 0, weights_[i]);
      state_.emplace_back(spec.size * optimizer_->slots());
    }
  }

  Weights Train(const SampleStore& data) {
    std::vector<Batches> ranks;
    for (uint32_t rank = 0; rank < kWorkers; ++rank) ranks.emplace_back(data, PlanOf(rank));
    const uint64_t steps_per_epoch = ranks[0].steps_per_epoch();
    for (uint64_t step = 0; step < kEpochs * steps_per_epoch; ++step) {
      std::vector<float> inputs;
      std::vector<uint32_t> labels;
      for (Batches& rank : ranks) {
        const Batch batch = rank.At(step / steps_per_epoch, step % steps_per_epoch);
        inputs.insert(inputs.end(), batch.inputs[0].floats.begin(), batch.inputs[0].floats.end());
        labels.insert(labels.end(), batch.labels.begin(), batch.labels.end());
      }
      const ColumnView input{.floats = inputs};
      const auto rows = static_cast<uint32_t>(labels.size());
      MakeStep({.inputs = {&input, 1}, .labels = labels, .rows = rows}, step + 1);
    }
    return weights_;
  }

 private:
  void MakeStep(const Batch& batch, uint64_t number) {
    Weights gradients = SizedFor(*model_);
    const auto loss = model_->Train(batch, ReadFrom(weights_), WriteTo(gradients));
    ASSERT_TRUE(loss.ok()) << loss.error().message;
    const auto rate = static_cast<float>(RateAt(settings_.rate, number, kWorkers));
    for (size_t i = 0; i < weights_.size(); ++i) {
      optimizer_->Step({rate, number}, gradients[i], weights_[i],
                       {state_[i].data(), weights_[i].size()});
    }
  }

  const std::unique_ptr<NetworkModel> model_;
  UpdateSettings settings_;
  std::unique_ptr<Optimizer> optimizer_;
  Weights weights_;
  Weights state_;  // The optimizer's, beside each parameter.
};

// A coordinator and a server of two shards; the ranks are threads of the test.
class Cluster final {
 public:
  Cluster(const Rule& rule, const std::string& aggregate) {
    const std::vector<std::string> settings{
        "policy.aggregate=" + aggregate, "optimizer.name=" + std::string(NameOf(rule.name)),
        "optimizer.learning_rate=" + std::to_string(rule.learning_rate)};
    const std::string job = WriteJob(1);
    const auto start = [&](const std::string& name, const std::string& program,
                           std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), job);
      for (const std::string& set : settings) arguments.insert(arguments.end(), {"--set", set});
      return LaunchDaemon(name, program, std::move(arguments));
    };
    coordinator_ =
        start("coordinator", "server/shardmill-coordinator", {"--listen", "127.0.0.1:0"});
    address_ = coordinator_.where.address.substr(std::string("tcp://").size());
    server_ = start("server", "server/shardmill-ps",
                    {"--index", "0", "--set", "cluster.coordinator=" + address_});
  }

  Weights Train(const SampleStore& data) const {
    Weights weights;
    std::thread other([&] { Play(1, data, nullptr); });
    Play(0, data, &weights);
    other.join();
    return weights;
  }

 private:
  // All steps of one rank. `last`: where to read what has become of the weights, or null.
  void Play(uint32_t rank, const SampleStore& data, Weights* last) const {
    SessionOptions options;
    options.coordinator = address_;
    options.rank = rank;
    options.unit_bytes = 4096;
    const auto session = Session::Open(options);
    ASSERT_TRUE(session.ok()) << session.error().message;
    const std::unique_ptr<NetworkModel> model = MakeModel();
    std::vector<DenseTable> tables;
    for (const ParameterSpec& spec : model->Parameters()) {
      const auto table =
          session.value()->Dense(spec.name, spec.size, {.initial = spec.initial, .update = {}});
      ASSERT_TRUE(table.ok()) << table.error().message;
      tables.push_back(table.value());
    }
    Weights weights = SizedFor(*model);
    Batches batches(data, PlanOf(rank));
    const uint64_t steps = StepsOf(data);
    for (uint64_t step = 0; step < steps; ++step) {
      const Batch batch =
          batches.At(step / batches.steps_per_epoch(), step % batches.steps_per_epoch());
      MakeStep(*session.value(), *model, tables, batch, weights);
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
    if (last != nullptr) {
      auto step = session.value()->Begin(kPatience);
      ASSERT_TRUE(step.ok()) << step.error().message;
      Pull(step.value(), tables, steps, weights);
      *last = weights;
    }
    const auto closed = session.value()->Close(true);
    EXPECT_TRUE(closed.ok()) << closed.error().message;
  }

  static void MakeStep(Session& session, Model& model, const std::vector<DenseTable>& tables,
                       const Batch& batch, Weights& weights) {
    auto step = session.Begin(kPatience);
    ASSERT_TRUE(step.ok()) << step.error().message;
    Pull(step.value(), tables, 0, weights);
    if (batch.rows > 0) {
      Weights gradients = SizedFor(model);
      const auto loss = model.Train(batch, ReadFrom(weights), WriteTo(gradients));
      ASSERT_TRUE(loss.ok()) << loss.error().message;
      for (size_t i = 0; i < tables.size(); ++i) {
        const auto push = step.value().Push(tables[i], 0, gradients[i]);
        ASSERT_TRUE(push.ok()) << push.error().message;
      }
    }
    const auto finished = step.value().Finish(batch.rows);
    ASSERT_TRUE(finished.ok()) << finished.error().message;
  }

  static void Pull(TrainingStep& step, const std::vector<DenseTable>& tables, uint64_t closed_min,
                   Weights& weights) {
    for (size_t i = 0; i < tables.size(); ++i) {
      const auto pull = step.Pull(tables[i], 0, weights[i], {.closed_min = closed_min});
      ASSERT_TRUE(pull.ok()) << pull.error().message;
      const auto served = step.Wait(pull.value());
      ASSERT_TRUE(served.ok()) << served.error().message;
    }
  }

  Daemon coordinator_;
  Daemon server_;
  std::string address_;
};

// The measure of kTolerance, of the tensor where it is largest. No number where there is none.
double Distance(const Weights& one, const Weights& other) {
  if (one.size() != other.size()) return NAN;
  double distance = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    if (one[i].size() != other[i].size()) return NAN;
    double difference = 0;
    double largest = 0;
    for (size_t k = 0; k < one[i].size(); ++k) {
      if (!std::isfinite(one[i][k]) || !std::isfinite(other[i][k])) return NAN;
      difference = std::max<double>(difference, std::abs(one[i][k] - other[i][k]));
      largest = std::max<double>(largest, std::abs(other[i][k]));
    }
    distance = std::max(distance, difference / largest);
  }
  return distance;
}

// Ends each epoch with batches of so many rows of each rank, and compares for every rule.
void ExpectThatItComesToTheSame(uint32_t rows, uint32_t last_of_first, uint32_t last_of_second) {
  const std::shared_ptr<const SampleStore> data = MakeData(rows);
  const uint64_t last = Batches(*data, PlanOf(0)).steps_per_epoch() - 1;
  ASSERT_EQ(Batches(*data, PlanOf(0)).At(0, last).rows, last_of_first);
  ASSERT_EQ(Batches(*data, PlanOf(1)).At(0, last).rows, last_of_second);
  for (const Rule& rule : kRules) {
    const std::string name(NameOf(rule.name));
    const Weights apart = Cluster(rule, "weighted").Train(*data);
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << name;
    const double distance = Distance(apart, OneProcess(rule).Train(*data));
    testing::Test::RecordProperty("distance_" + name, std::to_string(distance * 1e9) + "e-9");
    EXPECT_LT(distance, kTolerance) << name;
  }
}

TEST(OneProcessTest, JoinedBatchesComeToTheSameWhereALastBatchIsShorter) {
  ExpectThatItComesToTheSame(103, 1, 2);
}

TEST(OneProcessTest, JoinedBatchesComeToTheSameWhereALastBatchIsEmpty) {
  ExpectThatItComesToTheSame(101, 0, 1);
}

// What the tolerance can tell apart.
TEST(OneProcessTest, MeanThatDoesNotWeighTheRanksComesToSomethingElse) {
  const std::shared_ptr<const SampleStore> data = MakeData(103);
  const Weights mean = Cluster(kRules[0], "mean").Train(*data);
  const double distance = Distance(mean, OneProcess(kRules[0]).Train(*data));
  RecordProperty("distance", std::to_string(distance));
  EXPECT_GT(distance, 100 * kTolerance);
}

}  // namespace
}  // namespace shardmill
