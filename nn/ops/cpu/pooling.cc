#include <algorithm>
#include <limits>

#include "common/assert.h"
#include "nn/ops/cpu/backend.h"
#include "nn/ops/window_range.h"

namespace shardmill::nn {
namespace {

// Calls `visit(output place, input place, places in the window)` for each place of each window,
// both as the index of the first channel.
template <class Visit>
void ForEachPlace(const Window& window, const Shape& in, const Shape& out, Visit visit) {
  const uint64_t channels = in.dim(3);
  for (uint64_t row = 0; row < out.dim(0); ++row) {
    for (uint64_t y = 0; y < out.dim(1); ++y) {
      const WindowRange ys(y, window.stride, window.padding, window.height, in.dim(1));
      for (uint64_t x = 0; x < out.dim(2); ++x) {
        const WindowRange xs(x, window.stride, window.padding, window.width, in.dim(2));
        const uint64_t to = ((row * out.dim(1) + y) * out.dim(2) + x) * channels;
        const uint64_t count = (ys.end - ys.begin) * (xs.end - xs.begin);
        for (uint64_t iy = ys.begin; iy < ys.end; ++iy) {
          for (uint64_t ix = xs.begin; ix < xs.end; ++ix) {
            const uint64_t from = ((row * in.dim(1) + iy) * in.dim(2) + ix) * channels;
            visit(to, from, count);
          }
        }
      }
    }
  }
}

// The gradient goes to the first place that holds what came out.
void MaxGradient(const Window& window, ConstTensor input, ConstTensor output, ConstTensor back,
                 Tensor input_gradient) {
  constexpr uint64_t kChannels = 64;
  const uint64_t channels = input.shape().dim(3);
  for (uint64_t first = 0; first < channels; first += kChannels) {
    const uint64_t count = std::min(kChannels, channels - first);
    uint64_t window_at = std::numeric_limits<uint64_t>::max();
    float left[kChannels];  // What is still to be given.
    ForEachPlace(window, input.shape(), output.shape(), [&](uint64_t to, uint64_t from, uint64_t) {
      if (to != window_at) {
        window_at = to;
        std::copy_n(back.data() + to + first, count, left);
      }
      const float* const in = input.data() + from + first;
      const float* const out = output.data() + to + first;
      float* const gradient = input_gradient.data() + from + first;
      for (uint64_t c = 0; c < count; ++c) {
        const float share = in[c] == out[c] ? left[c] : 0.0F;
        gradient[c] += share;
        left[c] = in[c] == out[c] ? 0.0F : left[c];
      }
    });
  }
}

}  // namespace

void CpuBackend::Pool(Pooling pooling, const Window& window, ConstTensor input, Tensor output) {
  const uint64_t channels = input.shape().dim(3);
  const bool max = pooling == Pooling::kMax;
  std::fill_n(output.data(), output.size(), max ? -std::numeric_limits<float>::infinity() : 0.0F);
  ForEachPlace(window, input.shape(), output.shape(),
               [&](uint64_t to, uint64_t from, uint64_t count) {
                 const float* const in = input.data() + from;
                 float* const out = output.data() + to;
                 if (max) {
                   // A NaN wins: it is for others to find.
                   for (uint64_t c = 0; c < channels; ++c) {
                     out[c] = in[c] > out[c] || in[c] != in[c] ? in[c] : out[c];
                   }
                 } else {
                   const float share = 1.0F / static_cast<float>(count);
                   for (uint64_t c = 0; c < channels; ++c) out[c] += share * in[c];
                 }
               });
}

void CpuBackend::PoolGradient(Pooling pooling, const Window& window, ConstTensor input,
                              ConstTensor output, ConstTensor output_gradient,
                              Tensor input_gradient) {
  std::fill_n(input_gradient.data(), input_gradient.size(), 0.0F);
  if (pooling == Pooling::kMax) {
    MaxGradient(window, input, output, output_gradient, input_gradient);
    return;
  }
  const uint64_t channels = input_gradient.shape().dim(3);
  ForEachPlace(window, input_gradient.shape(), output_gradient.shape(),
               [&](uint64_t to, uint64_t from, uint64_t count) {
                 const float share = 1.0F / static_cast<float>(count);
                 const float* const back = output_gradient.data() + to;
                 float* const gradient = input_gradient.data() + from;
                 for (uint64_t c = 0; c < channels; ++c) gradient[c] += share * back[c];
               });
}

}  // namespace shardmill::nn
