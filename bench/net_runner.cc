#include "bench/net_runner.h"

#include <ctime>
#include <utility>

#include "common/rng.h"

namespace shardmill::bench {
namespace {

double Now(NetRunner::Time time) {
  timespec now{};
  clock_gettime(time == NetRunner::Time::kThread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

nn::NetworkSpec SpecOf(const std::string& net, const StepRoom& room) {
  const Net made = NetNamed(net);
  return {.input = made.input,
          .layers = made.layers,
          .loss = "softmax_cross_entropy",
          .recompute = room.recompute,
          .memory_max = room.bytes};
}

Result<std::unique_ptr<NetRunner>> NetRunner::Make(const std::string& net, uint64_t rows, Work work,
                                                   Device device, const StepRoom& room) {
  std::unique_ptr<Optimizer> optimizer = SM_TRY(MakeOptimizer({}));
  std::unique_ptr<NetRunner> runner(
      new NetRunner(rows, work, std::move(device), std::move(optimizer)));
  runner->network_ = SM_TRY(nn::Network::Make(SpecOf(net, room), *runner->device_.backend));
  runner->MakeBatch(NetNamed(net));
  for (size_t i = 0; i < runner->network_->parameters().size(); ++i) {
    const uint64_t size = runner->network_->parameters()[i].shape.size();
    FillInitial(runner->network_->InitialOf(7, i), 0, runner->parameters_.emplace_back(size));
    runner->gradients_.emplace_back(size);
  }
  for (size_t i = 0; i < runner->parameters_.size(); ++i) {
    runner->lent_parameters_.emplace_back(runner->parameters_[i]);
    runner->lent_gradients_.emplace_back(runner->gradients_[i]);
  }
  const std::vector<const Optimizer*> rules(runner->parameters_.size(), runner->optimizer_.get());
  if (work == Work::kSteps) runner->network_->Keep(rules);
  for (int warm = 0; warm < 5; ++warm) SM_TRY(runner->Step());
  return runner;
}

NetRunner::NetRunner(uint64_t rows, Work work, Device device, std::unique_ptr<Optimizer> optimizer)
    : device_(std::move(device)), optimizer_(std::move(optimizer)), rows_(rows), work_(work) {}

void NetRunner::MakeBatch(const Net& net) {
  Rng rng(1);
  pictures_.resize(rows_ * net.input.size());
  for (float& pixel : pictures_) pixel = static_cast<float>(rng.Uniform());
  for (uint64_t row = 0; row < rows_; ++row) {
    labels_.push_back(static_cast<uint32_t>(row % net.classes));
  }
}

Result<double> NetRunner::Run(double seconds, Time time) {
  const double begin = Now(time);
  double passed = 0;
  uint64_t samples = 0;
  while (passed < seconds) {
    SM_TRY(Step());
    samples += rows_;
    passed = Now(time) - begin;
  }
  return static_cast<double>(samples) / passed;
}

Result<> NetRunner::Step() {
  constexpr float kRate = 0.01F;
  const nn::Input input{.floats = pictures_, .ids = {}};
  const nn::Samples samples{
      .inputs = {&input, 1}, .targets = {.labels = labels_, .values = {}}, .rows = rows_};
  SM_TRY(network_->Train(samples, lent_parameters_, lent_gradients_));
  if (work_ == Work::kGradients) return {};
  if (nn::Kept* const kept = network_->kept()) {
    kept->Step(std::vector<UpdateTime>(parameters_.size(), {.rate = kRate}));
    return {};
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    optimizer_->Step({.rate = kRate}, gradients_[i], parameters_[i], {});
  }
  return {};
}

}  // namespace shardmill::bench
