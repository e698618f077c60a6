#include "server/optimizer.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace shardmill {
namespace {

// The formula of plain gradient descent over one element.
struct Sgd {
  void operator()(float& parameter, float gradient, float learning_rate) const {
    parameter -= learning_rate * gradient;
  }
};

// Runs a formula over a range, a block at a time, so that the sum stays in the cache.
template <class Formula>
class Elementwise final : public Optimizer {
 public:
  void Apply(std::span<const WeightedGradient> gradients, float learning_rate,
             std::span<float> parameters) const override {
    std::array<float, 1024> sum;
    for (size_t begin = 0; begin < parameters.size(); begin += sum.size()) {
      const size_t size = std::min(sum.size(), parameters.size() - begin);
      std::fill_n(sum.begin(), size, 0.0F);
      for (const WeightedGradient& gradient : gradients) {
        const float* values = gradient.values.data() + begin;
        for (size_t i = 0; i < size; ++i) sum[i] += gradient.weight * values[i];
      }
      float* out = parameters.data() + begin;
      for (size_t i = 0; i < size; ++i) formula_(out[i], sum[i], learning_rate);
    }
  }

 private:
  Formula formula_;
};

}  // namespace

Result<std::unique_ptr<Optimizer>> MakeOptimizer(const std::string& name) {
  if (name == "sgd") return std::unique_ptr<Optimizer>(std::make_unique<Elementwise<Sgd>>());
  return Error{ErrorCode::kBadUsage, "unknown optimizer \"" + name + "\"; this build knows: sgd"};
}

}  // namespace shardmill
