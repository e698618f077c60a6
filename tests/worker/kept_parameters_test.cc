// Parameters that a process steps by itself where its device keeps them: the same as in the host's
// memory, and nothing of them crosses the bus in between.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/rng.h"
#include "nn/ops/cpu/backend.h"
#include "tests/nn/soft_card/open.h"
#include "worker/local_steps.h"
#include "worker/local_tables.h"
#include "worker/network_model.h"

namespace shardmill {
namespace {

constexpr uint32_t kRows = 6;
constexpr uint32_t kClasses = 3;

// The processor, told that its memory is not the host's.
Device Apart() {
  const auto destroy = [](nn::Backend* backend) { std::unique_ptr<nn::Backend> gone(backend); };
  auto backend = std::make_unique<nn::CpuBackend>(false);
  return {nn::LoadedPlugin::BackendPointer(backend.release(), {destroy}), "apart"};
}

Device Card(const soft::Settings& card = {}) {
  return {std::move(nn::OpenSoftCard(card)).value(), "a card"};
}

// With averages, a layer that is frozen, one with a rule of its own, and penalties.
nn::NetworkSpec Spec() {
  return {.input = {4, 4},
          .layers = {{.type = "conv2d", .units = 2, .kernel = 3},
                     {.type = "batch_norm2d"},
                     {.type = "relu"},
                     {.type = "flatten"},
                     {.type = "affine", .units = 5, .name = "frozen", .frozen = true},
                     {.type = "affine", .units = 4, .name = "own"},
                     {.type = "affine", .units = kClasses}},
          .loss = "softmax_cross_entropy",
          .l1 = 0.001,
          .l2 = 0.002};
}

UpdateSettings Rule(UpdateRule rule) {
  UpdateSettings settings;
  settings.rule = rule;
  settings.rate.base = 0.05;
  settings.rate.warmup = 3;
  settings.momentum = 0.5;
  settings.weight_decay = 0.01;
  settings.clip_value = 0.3;
  return settings;
}

std::unique_ptr<NetworkModel> ModelOn(Device device, const nn::NetworkSpec& spec = Spec()) {
  NetworkSettings settings{.update = Rule(UpdateRule::kAdam)};
  settings.updates.emplace_back("own", Rule(UpdateRule::kMomentum));
  return NetworkModel::Make(spec, kClasses, 7, settings, std::move(device)).value();
}

// The same rows for each number.
class Rows {
 public:
  Batch At(uint64_t number) {
    Rng rng(number);
    pictures_.resize(size_t{kRows} * 16);
    labels_.resize(kRows);
    for (float& value : pictures_) value = static_cast<float>(2 * rng.Uniform() - 1);
    for (uint32_t& label : labels_) label = static_cast<uint32_t>(rng.Below(kClasses));
    input_ = {.floats = pictures_};
    return {.inputs = {&input_, 1}, .labels = labels_, .rows = kRows};
  }
  // With a number that is none.
  Batch Bad() {
    Batch batch = At(1);
    pictures_[0] = NAN;
    return batch;
  }

 private:
  std::vector<float> pictures_;
  std::vector<uint32_t> labels_;
  ColumnView input_;
};

using Weights = std::vector<std::vector<float>>;

// A training without servers, by hand.
class Training {
 public:
  explicit Training(Device device, bool keeps = true, UpdateRule rule = UpdateRule::kAdam)
      : model_(ModelOn(std::move(device))),
        tables_(LocalTables::Make(model_->Parameters(), Rule(rule)).value()) {
    if (keeps) Keep();
  }

  std::string Keep() { return tables_->StepOn(model_->network()); }

  void Step(uint64_t round, double length_max = 0.4) {
    const Batch batch = rows_.At(round);
    const auto values = tables_->ForStep(batch).value();
    losses_.push_back(
        static_cast<float>(model_->Train(batch, values, tables_->gradients()).value()));
    tables_->Bound(length_max);
    lengths_.push_back(static_cast<float>(tables_->Length()));
    ASSERT_EQ(tables_->FirstNonfinite(), std::nullopt);
    tables_->Step(round);
  }

  void Measure() {
    const Batch batch = rows_.At(1000);
    const auto values = tables_->For(batch).value();
    losses_.push_back(static_cast<float>(model_->Evaluate(batch, values).value().loss));
  }

  // Of gradients, bounded: what stays on a device is not measured again after that.
  const std::vector<float>& lengths() const { return lengths_; }

  // All else that was ever seen of it.
  Weights Seen() {
    Weights seen{losses_};
    for (size_t i = 0; i < model_->Parameters().size(); ++i) {
      const DenseImage image = tables_->Image(i).value();
      for (const Frame& frame :
           {image.values.front(),
            image.states.empty() ? image.values.front() : image.states.front()}) {
        seen.emplace_back(frame.floats().begin(), frame.floats().end());
      }
    }
    return seen;
  }

  NetworkModel& model() { return *model_; }
  LocalTables& tables() { return *tables_; }
  Rows& rows() { return rows_; }

 private:
  std::unique_ptr<NetworkModel> model_;
  std::unique_ptr<LocalTables> tables_;
  Rows rows_;
  std::vector<float> losses_;
  std::vector<float> lengths_;
};

void TrainSome(Training& training) {
  for (uint64_t round = 1; round <= 8; ++round) {
    training.Step(round);
    if (round == 3 || round == 6) training.Measure();
  }
}

double Farthest(const Weights& one, const Weights& other) {
  EXPECT_EQ(one.size(), other.size());
  double farthest = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].size(), other[i].size());
    for (size_t k = 0; k < one[i].size(); ++k) {
      farthest = std::max(farthest, std::abs(static_cast<double>(one[i][k]) - other[i][k]));
    }
  }
  return farthest;
}

TEST(KeptParametersTest, ComeToTheBitsOfThoseOnTheHost) {
  for (const UpdateRule rule : {UpdateRule::kSgd, UpdateRule::kMomentum, UpdateRule::kAdam}) {
    Training here(Processor(), true, rule), there(Apart(), true, rule);
    TrainSome(here);
    TrainSome(there);
    EXPECT_EQ(here.model().steps_on_device(), 0U);
    EXPECT_GT(there.model().steps_on_device(), 0U);
    EXPECT_TRUE(there.Seen() == here.Seen());
    EXPECT_LT(Farthest({there.lengths()}, {here.lengths()}), 1e-6);
  }
}

// Sums are taken in another order there, of which adam would make much where gradients are small.
TEST(KeptParametersTest, ComeCloseToThoseOnTheHostOnACard) {
  Training here(Processor(), true, UpdateRule::kMomentum);
  TrainSome(here);
  const Weights want = here.Seen();
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Training there(Card({.seed = seed}), true, UpdateRule::kMomentum);
    TrainSome(there);
    EXPECT_LT(Farthest(there.Seen(), want), 2e-4);
  }
}

TEST(KeptParametersTest, AreTheSameWhetherACardStepsThemOrTheHost) {
  Weights want;
  {
    Training fetched(Card(), false);
    TrainSome(fetched);
    want = fetched.Seen();
  }
  Training kept(Card());
  TrainSome(kept);
  EXPECT_LT(Farthest(kept.Seen(), want), 1e-5);
}

TEST(KeptParametersTest, GoOnFromASnapshotAsIfNothingHadBeen) {
  Weights want, values, states;
  std::vector<uint64_t> steps;
  {
    Training training(Card());
    for (uint64_t round = 1; round <= 4; ++round) training.Step(round);
    for (size_t i = 0; i < training.model().Parameters().size(); ++i) {
      const DenseImage image = training.tables().Image(i).value();
      values.emplace_back(image.values[0].floats().begin(), image.values[0].floats().end());
      states.emplace_back();
      if (!image.states.empty()) {
        states.back().assign(image.states[0].floats().begin(), image.states[0].floats().end());
      }
      steps.push_back(image.head.updates.empty() ? 0 : image.head.updates[0].updates);
    }
    training.Step(5);
    want = training.Seen();
  }
  Training next(Card(), false);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto size = static_cast<uint64_t>(values[i].size());
    ASSERT_TRUE(
        next.tables().Restore(i, DensePiece{0, 0, Frame::CopyOf(std::span(values[i]))}).ok());
    for (uint32_t slot = 0; slot * size < states[i].size(); ++slot) {
      const std::span<const float> state = std::span(states[i]).subspan(slot * size, size);
      ASSERT_TRUE(next.tables().Restore(i, DensePiece{slot + 1, 0, Frame::CopyOf(state)}).ok());
    }
    const UpdateRuns runs{{0, size, steps[i]}};
    ASSERT_TRUE(steps[i] == 0 || next.tables().Restore(i, runs).ok());
  }
  EXPECT_EQ(next.Keep(), "");
  next.Step(5);
  Weights got = next.Seen();
  got[0] = want[0] = {};  // Of the steps before it has seen nothing.
  EXPECT_TRUE(got == want);
}

TEST(KeptParametersTest, NothingOfThemCrossesTheBusBetweenMeasures) {
  Training training(Card());
  training.Step(1);
  uint64_t weights = 0;
  for (const ParameterSpec& parameter : training.model().Parameters()) weights += parameter.size;
  uint64_t before = nn::SoftCard().crossed();
  for (uint64_t round = 2; round <= 6; ++round) training.Step(round);
  // A batch in, its losses, penalties and the lengths of gradients out.
  const uint64_t batch = kRows * (16 + 1) * sizeof(float), slack = 512;
  EXPECT_LT((nn::SoftCard().crossed() - before) / 5, batch + slack);
  before = nn::SoftCard().crossed();
  training.Measure();
  EXPECT_GE(nn::SoftCard().crossed() - before, weights * sizeof(float));
}

// Between two averages, as a worker does it.
class Rounds {
 public:
  explicit Rounds(Device device, const nn::NetworkSpec& spec = Spec())
      : model_(ModelOn(std::move(device), spec)),
        steps_(LocalSteps::Make(Rule(UpdateRule::kMomentum), 2, model_->Parameters()).value()) {
    why_ = steps_->StepOn(model_->network());
    for (const ParameterSpec& parameter : model_->Parameters()) {
      values_.emplace_back(parameter.size, 0.1F);
      gradients_.emplace_back(parameter.size);
    }
  }

  // Three batches and steps from the values that came.
  Result<> Make(uint64_t round) {
    const std::vector<std::span<const float>> lent(values_.begin(), values_.end());
    const std::vector<std::span<float>> own(values_.begin(), values_.end());
    const std::vector<std::span<float>> gradients(gradients_.begin(), gradients_.end());
    steps_->Renew();
    for (uint64_t i = 0; i < 3; ++i) {
      SM_TRY(model_->Train(rows_.At(3 * round + i), lent, gradients));
      steps_->Step(3 * round + i + 1, gradients, own);
    }
    return steps_->Fetch(own);
  }

  Weights GradientsOfBadRows() {
    const std::vector<std::span<const float>> lent(values_.begin(), values_.end());
    const std::vector<std::span<float>> gradients(gradients_.begin(), gradients_.end());
    EXPECT_TRUE(model_->Train(rows_.Bad(), lent, gradients).ok());
    steps_->Bound(gradients, 0.1);
    EXPECT_EQ(steps_->FirstNonfinite(gradients), 0U);
    EXPECT_TRUE(steps_->FetchGradients(gradients).ok());
    return gradients_;
  }

  // What a server makes of them.
  void Average() {
    for (auto& numbers : values_) {
      for (float& value : numbers) value *= 0.5F;
    }
  }

  NetworkModel& model() { return *model_; }
  const Weights& values() const { return values_; }
  const std::string& why() const { return why_; }

 private:
  std::unique_ptr<NetworkModel> model_;
  std::unique_ptr<LocalSteps> steps_;
  std::string why_;
  Rows rows_;
  Weights values_, gradients_;
};

TEST(KeptParametersTest, BeginEachRoundFromTheAverage) {
  Weights want;
  for (const int device : {0, 1, 2}) {
    Rounds rounds(device == 0 ? Processor() : device == 1 ? Apart() : Card());
    for (uint64_t round = 0; round < 4; ++round) {
      ASSERT_TRUE(rounds.Make(round).ok());
      rounds.Average();
    }
    if (device == 0) want = rounds.values();
    EXPECT_LT(Farthest(rounds.values(), want), device < 2 ? 1e-9 : 1e-4);
  }
}

TEST(KeptParametersTest, AGradientThatIsNoNumberIsNamedAndComesToWhoeverAsks) {
  for (const bool card : {false, true}) {
    Rounds rounds(card ? Card() : Apart());
    ASSERT_TRUE(rounds.Make(0).ok());
    const Weights gradients = rounds.GradientsOfBadRows();
    EXPECT_TRUE(std::ranges::any_of(gradients[0], [](float number) { return std::isnan(number); }));
  }
}

TEST(KeptParametersTest, LeaveACardThatHasNoRoomForThem) {
  Rounds rounds(Card({.memory_bytes = 2000}));
  EXPECT_EQ(rounds.why(), nn::Network::kNotKept);
}

// Weights with their state may fit, and a step with them not.
TEST(KeptParametersTest, LeaveACardThatHasNoRoomForAStepBesideThem) {
  const nn::NetworkSpec spec{.input = {4, 4},
                             .layers = {{.type = "flatten"}, {"affine", 200}, {"affine", kClasses}},
                             .loss = "softmax_cross_entropy"};
  Rounds here(Processor(), spec);
  ASSERT_TRUE(here.Make(0).ok());
  int left = 0;
  for (uint64_t bytes = 20'000; bytes < 80'000; bytes += 2000) {
    Rounds there(Card({.memory_bytes = bytes}), spec);
    if (!there.why().empty() || !there.model().MakeRoom(kRows).ok()) continue;
    if (there.model().steps_on_host().empty()) continue;
    // Operations take a little for themselves.
    if (!there.Make(0).ok()) continue;
    ++left;
    EXPECT_EQ(there.model().steps_on_device(), 0U);
    EXPECT_LT(Farthest(there.values(), here.values()), 1e-4) << bytes;
  }
  EXPECT_GT(left, 0);
}

// Each call and each piece of work may be the one with which a card is lost.
TEST(KeptParametersTest, ACardThatFailsSaysSoAndNothingElseBreaks) {
  uint64_t failed = 0;
  for (uint64_t work = 1; work < 400; work += 7) {
    Rounds rounds(Card({.failing_work = work}));
    Result<> made;
    for (uint64_t round = 0; made.ok() && round < 2; ++round) made = rounds.Make(round);
    if (made.ok()) continue;
    ++failed;
    const std::string& words = made.error().message;
    EXPECT_TRUE(words.find("has failed") != std::string::npos ||
                words.starts_with("there is no room"))
        << words;
  }
  EXPECT_GT(failed, 20U);
}

// What the host has then is of before, or of now in part.
TEST(KeptParametersTest, AFetchThatFailsIsNotForgotten) {
  uint64_t failed = 0;
  for (uint64_t work = 1, trained = 0; failed == 0 && trained < 40;) {
    Training training(Card({.failing_work = work}));
    LocalTables& tables = training.tables();
    const Batch batch = training.rows().At(1);
    const auto values = tables.ForStep(batch).value();
    const bool steps = training.model().Train(batch, values, tables.gradients()).ok();
    work += steps ? 1 : 8;
    if (!steps) continue;
    ++trained;
    tables.Step(1);
    if (tables.Dense(0).ok()) continue;
    ++failed;
    EXPECT_FALSE(tables.Dense(0).ok()) << work;
  }
  EXPECT_GT(failed, 0U);
}

}  // namespace
}  // namespace shardmill
