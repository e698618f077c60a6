#include "nn/ops/cpu/elementwise.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/assert.h"
#include "nn/ops/cpu/backend.h"

namespace shardmill::nn {
namespace {

constexpr uint64_t kBlock = 16;
using Block = Eigen::Array<float, kBlock, 1>;

// By Klambauer and others: what keeps mean zero and variance one from layer to layer.
constexpr float kSeluScale = 1.0507009873554805F;
constexpr float kSeluDepth = 1.6732632423543772F;

// By whole blocks of its own, so that no number is done by another path at the end of a row.
template <class Function>
void ByBlocks(const float* in, uint64_t count, float* out, Function function) {
  Block block;
  uint64_t begin = 0;
  for (; begin + kBlock <= count; begin += kBlock) {
    std::copy_n(in + begin, kBlock, block.data());
    block = function(block);
    std::copy_n(block.data(), kBlock, out + begin);
  }
  if (begin == count) return;
  block.setZero();
  std::copy_n(in + begin, count - begin, block.data());
  block = function(block);
  std::copy_n(block.data(), count - begin, out + begin);
}

// The same with the gradient that comes back.
template <class Function>
void ByBlocks(const float* seen, const float* back, uint64_t count, float* out, Function function) {
  Block block = Block::Zero(), slope = Block::Zero();
  for (uint64_t begin = 0; begin < count; begin += kBlock) {
    const uint64_t size = std::min(kBlock, count - begin);
    std::copy_n(seen + begin, size, block.data());
    std::copy_n(back + begin, size, slope.data());
    slope = function(block, slope);
    std::copy_n(slope.data(), size, out + begin);
  }
}

Block Sigmoid(const Block& x) { return 1.0F / (1.0F + (-x).exp()); }

// The normal distribution's share below x.
Block NormalShare(const Block& x) {
  Block share;
  for (uint64_t i = 0; i < kBlock; ++i) {
    share[static_cast<Eigen::Index>(i)] =
        0.5F * std::erfc(-x[static_cast<Eigen::Index>(i)] / std::numbers::sqrt2_v<float>);
  }
  return share;
}

Block NormalDensity(const Block& x) {
  constexpr float kFactor = std::numbers::inv_sqrtpi_v<float> / std::numbers::sqrt2_v<float>;
  return kFactor * (-0.5F * x * x).exp();
}

Block Elu(const Block& x, float depth) {
  return (x > 0.0F).select(x, depth * (x.min(0.0F).exp() - 1.0F));
}

// A product on one side alone would be a branch, since it may trap; so both sides have one.
void Rectify(const float* in, float slope, uint64_t count, float* out) {
  for (uint64_t i = 0; i < count; ++i) {
    const float factor = in[i] > 0 ? 1.0F : slope;
    out[i] = in[i] * factor;
  }
}

void RectifyGradient(const float* seen, const float* back, float slope, uint64_t count,
                     float* out) {
  for (uint64_t i = 0; i < count; ++i) {
    const float factor = seen[i] > 0 ? 1.0F : slope;
    out[i] = back[i] * factor;
  }
}

void GradientOf(const Elementwise& function, const float* seen, const float* back, uint64_t count,
                float* out) {
  switch (function.activation) {
    case Activation::kNone:
      if (out != back) std::copy_n(back, count, out);
      return;
    case Activation::kRelu:
      RectifyGradient(seen, back, 0.0F, count, out);
      return;
    case Activation::kLeakyRelu:
      RectifyGradient(seen, back, function.slope, count, out);
      return;
    case Activation::kElu:
      ByBlocks(seen, back, count, out, [&](const Block& y, const Block& dy) -> Block {
        return (y > 0.0F).select(dy, dy * (y + function.slope));
      });
      return;
    case Activation::kSelu:
      ByBlocks(seen, back, count, out, [](const Block& y, const Block& dy) -> Block {
        return (y > 0.0F).select(kSeluScale * dy, dy * (y + kSeluScale * kSeluDepth));
      });
      return;
    case Activation::kGelu:
      ByBlocks(seen, back, count, out, [](const Block& x, const Block& dy) -> Block {
        return dy * (NormalShare(x) + x * NormalDensity(x));
      });
      return;
    case Activation::kSilu:
      ByBlocks(seen, back, count, out, [](const Block& x, const Block& dy) -> Block {
        const Block share = Sigmoid(x);
        return dy * share * (1.0F + x * (1.0F - share));
      });
      return;
    case Activation::kSigmoid:
      ByBlocks(seen, back, count, out,
               [](const Block& y, const Block& dy) -> Block { return dy * y * (1.0F - y); });
      return;
    case Activation::kTanh:
      ByBlocks(seen, back, count, out,
               [](const Block& y, const Block& dy) -> Block { return dy * (1.0F - y * y); });
      return;
  }
}

}  // namespace

void ApplyTo(const Elementwise& function, const float* in, uint64_t count, float* out) {
  switch (function.activation) {
    case Activation::kNone:
      if (out != in) std::copy_n(in, count, out);
      return;
    case Activation::kRelu:
      // A NaN stays one: it is for others to find.
      for (uint64_t i = 0; i < count; ++i) out[i] = in[i] < 0 ? 0.0F : in[i];
      return;
    case Activation::kLeakyRelu:
      Rectify(in, function.slope, count, out);
      return;
    case Activation::kElu:
      ByBlocks(in, count, out, [&](const Block& x) -> Block { return Elu(x, function.slope); });
      return;
    case Activation::kSelu:
      ByBlocks(in, count, out,
               [](const Block& x) -> Block { return kSeluScale * Elu(x, kSeluDepth); });
      return;
    case Activation::kGelu:
      ByBlocks(in, count, out, [](const Block& x) -> Block { return x * NormalShare(x); });
      return;
    case Activation::kSilu:
      ByBlocks(in, count, out, [](const Block& x) -> Block { return x * Sigmoid(x); });
      return;
    case Activation::kSigmoid:
      ByBlocks(in, count, out, [](const Block& x) -> Block { return Sigmoid(x); });
      return;
    case Activation::kTanh:
      ByBlocks(in, count, out, [](const Block& x) -> Block { return x.tanh(); });
      return;
  }
}

void ExpShifted(const float* in, float shift, uint64_t count, float* out) {
  ByBlocks(in, count, out, [shift](const Block& x) -> Block { return (x - shift).exp(); });
}

void CpuBackend::Apply(const Elementwise& function, ConstTensor in, Tensor out) {
  SM_ASSERT(in.size() == out.size());
  ApplyTo(function, in.data(), in.size(), out.data());
}

void CpuBackend::ApplyGradient(const Elementwise& function, ConstTensor seen,
                               ConstTensor output_gradient, Tensor input_gradient) {
  SM_ASSERT(seen.size() == output_gradient.size() && seen.size() == input_gradient.size());
  GradientOf(function, seen.data(), output_gradient.data(), seen.size(), input_gradient.data());
}

}  // namespace shardmill::nn
