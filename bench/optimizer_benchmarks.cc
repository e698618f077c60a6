// The update rules over ten million floats of a dense table.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/benchmarks.h"
#include "bench/stopwatch.h"
#include "common/frame_pool.h"
#include "optim/optimizer.h"
#include "server/dense_slice.h"

namespace shardmill::bench {
namespace {

constexpr uint64_t kFloats = 10'000'000;
constexpr uint64_t kPartFloats = 256 * 1024;  // As pushes arrive: in messages of 1 MiB.
constexpr float kRate = 0.01F;

// The least that any rule must do: one sweep over the parameters, the gradient and the state, with
// next to no arithmetic.
void PlainLoop(const std::vector<float>& gradient, std::vector<float>& parameters,
               std::vector<std::vector<float>>& state) {
  const float* g = gradient.data();
  float* p = parameters.data();
  if (state.empty()) {
    for (size_t i = 0; i < kFloats; ++i) p[i] -= kRate * g[i];
  } else if (state.size() == 1) {
    float* s = state[0].data();
    for (size_t i = 0; i < kFloats; ++i) {
      s[i] += g[i];
      p[i] -= kRate * s[i];
    }
  } else {
    float* s = state[0].data();
    float* t = state[1].data();
    for (size_t i = 0; i < kFloats; ++i) {
      s[i] += g[i];
      t[i] += g[i];
      p[i] -= kRate * (s[i] + t[i]);
    }
  }
}

class OptimizerSides final : public Sides {
 public:
  OptimizerSides(std::unique_ptr<Optimizer> optimizer, const Initial& initial)
      : optimizer_(std::move(optimizer)),
        slice_(frames_, 0, kFloats, initial, optimizer_->slots()),
        state_(optimizer_->slots(), std::vector<float>(kFloats)) {
    for (uint64_t at = 0; at < kFloats; at += kPartFloats) {
      ChangePart part;
      part.begin = at;
      part.gradient =
          Frame::CopyOf(std::vector<float>(std::min(kPartFloats, kFloats - at), 0.001F));
      parts_.push_back(std::move(part));
    }
  }

  static Result<Prepared> Prepare(UpdateRule rule) {
    UpdateSettings settings;
    settings.rule = rule;
    std::unique_ptr<Optimizer> optimizer = SM_TRY(MakeOptimizer(settings));
    auto sides = std::make_unique<OptimizerSides>(std::move(optimizer), Initial::Constant(1));
    return Prepared{std::move(sides), ""};
  }
  Result<double> Product() override {
    const Stopwatch watch;
    slice_.Apply(parts_, kRate, *optimizer_);
    return kFloats / watch.Seconds() / 1e9;
  }
  Result<double> Baseline() override {
    const Stopwatch watch;
    PlainLoop(gradient_, parameters_, state_);
    return kFloats / watch.Seconds() / 1e9;
  }

 private:
  std::unique_ptr<Optimizer> optimizer_;
  FramePool frames_{FramePool::Memory::kPrivate};
  DenseSlice slice_;
  std::vector<ChangePart> parts_;
  std::vector<float> gradient_ = std::vector<float>(kFloats, 0.001F);
  std::vector<float> parameters_ = std::vector<float>(kFloats, 1.0F);
  std::vector<std::vector<float>> state_;
};

}  // namespace

std::vector<Benchmark> OptimizerBenchmarks() {
  std::vector<Benchmark> benchmarks;
  for (const auto& [name, rule] : {std::pair{"sgd", UpdateRule::kSgd},
                                   {"momentum", UpdateRule::kMomentum},
                                   {"nesterov", UpdateRule::kNesterov},
                                   {"adagrad", UpdateRule::kAdagrad},
                                   {"rmsprop", UpdateRule::kRmsprop},
                                   {"adam", UpdateRule::kAdam},
                                   {"ftrl", UpdateRule::kFtrl},
                                   {"add", UpdateRule::kAdd}}) {
    benchmarks.push_back({std::string("optimizer.") + name, "G floats/s",
                          std::string("one step of ") + name +
                              " over a dense slice of 10 million floats, on one thread; baseline: "
                              "a plain loop over the same bytes",
                          Judge::kRatioAtLeast, 0.9, [rule = rule](const Programs&) {
                            return OptimizerSides::Prepare(rule);
                          }});
  }
  return benchmarks;
}

}  // namespace shardmill::bench
