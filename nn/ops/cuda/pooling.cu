#include "common/assert.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/kernels.cuh"
#include "nn/ops/window_range.h"

namespace shardmill::nn {
namespace {

// A picture's rows, columns and channels, and how a window goes over them, as kernels see it.
struct Pooled {
  Pooled(const Window& over, const Shape& in, const Shape& out)
      : height(in.dim(1)),
        width(in.dim(2)),
        channels(in.dim(3)),
        out_height(out.dim(1)),
        out_width(out.dim(2)),
        window(over) {}

  // Where a window lies.
  __device__ WindowRange Rows(uint64_t y) const {
    return {y, window.stride, window.padding, window.height, height};
  }
  __device__ WindowRange Columns(uint64_t x) const {
    return {x, window.stride, window.padding, window.width, width};
  }
  // Index of a number of the input and of the output.
  __device__ uint64_t In(uint64_t picture, uint64_t y, uint64_t x, uint64_t channel) const {
    return ((picture * height + y) * width + x) * channels + channel;
  }
  __device__ uint64_t Out(uint64_t picture, uint64_t y, uint64_t x, uint64_t channel) const {
    return ((picture * out_height + y) * out_width + x) * channels + channel;
  }
  // No number is in two windows.
  bool Apart() const {
    return (out_height == 1 || window.height <= window.stride) &&
           (out_width == 1 || window.width <= window.stride);
  }

  uint64_t height, width, channels, out_height, out_width;
  Window window;
};

// The places of windows that hold a place of the picture, along one axis.
struct WindowsOf {
  __device__ WindowsOf(uint64_t place, uint64_t stride, uint64_t padding, uint64_t edge,
                       uint64_t count) {
    const uint64_t at = place + padding;
    begin = at < edge ? 0 : (at - edge) / stride + 1;
    end = at / stride + 1 < count ? at / stride + 1 : count;
  }

  uint64_t begin, end;
};

// Calls `visit(y, x)` for each place of the picture in the window of an output place, in order,
// until it says that it is done.
template <class Visit>
__device__ void ForEachInWindow(const Pooled& p, uint64_t y, uint64_t x, Visit visit) {
  const WindowRange ys = p.Rows(y), xs = p.Columns(x);
  for (uint64_t iy = ys.begin; iy < ys.end; ++iy) {
    for (uint64_t ix = xs.begin; ix < xs.end; ++ix) {
      if (visit(iy, ix)) return;
    }
  }
}

// Each output's gradient goes to the first place of its window that holds what came out: where no
// windows meet, each output writes there.
void MaxGradientApart(Card& card, const Pooled& p, uint64_t pictures, const float* input,
                      const float* output, const float* back, float* to) {
  ForEachCell(card, pictures * p.out_height * p.out_width, p.channels,
              [=] __device__(uint64_t place, uint64_t channel) {
                const uint64_t x = place % p.out_width;
                const uint64_t y = place / p.out_width % p.out_height;
                const uint64_t picture = place / p.out_width / p.out_height;
                const uint64_t at = p.Out(picture, y, x, channel);
                ForEachInWindow(p, y, x, [&](uint64_t iy, uint64_t ix) {
                  const uint64_t from = p.In(picture, iy, ix, channel);
                  if (input[from] != output[at]) return false;
                  to[from] = back[at];
                  return true;
                });
              });
}

// Calls `add(y, x)` for each output whose window holds the input place, in order.
template <class Add>
__device__ void ForEachWindow(const Pooled& p, uint64_t iy, uint64_t ix, Add add) {
  const WindowsOf ys(iy, p.window.stride, p.window.padding, p.window.height, p.out_height);
  const WindowsOf xs(ix, p.window.stride, p.window.padding, p.window.width, p.out_width);
  for (uint64_t y = ys.begin; y < ys.end; ++y) {
    for (uint64_t x = xs.begin; x < xs.end; ++x) add(y, x);
  }
}

// Where windows meet, each input looks whether it is the first in those that hold it.
void MaxGradientMet(Card& card, const Pooled& p, uint64_t pictures, const float* input,
                    const float* output, const float* back, float* to) {
  ForEachCell(card, pictures * p.height * p.width, p.channels,
              [=] __device__(uint64_t place, uint64_t channel) {
                const uint64_t ix = place % p.width;
                const uint64_t iy = place / p.width % p.height;
                const uint64_t picture = place / p.width / p.height;
                const uint64_t here = p.In(picture, iy, ix, channel);
                float sum = 0;
                ForEachWindow(p, iy, ix, [&](uint64_t y, uint64_t x) {
                  const uint64_t at = p.Out(picture, y, x, channel);
                  if (input[here] != output[at]) return;
                  ForEachInWindow(p, y, x, [&](uint64_t wy, uint64_t wx) {
                    const uint64_t from = p.In(picture, wy, wx, channel);
                    if (from == here) sum += back[at];
                    return input[from] == output[at];
                  });
                });
                to[here] = sum;
              });
}

void AverageGradient(Card& card, const Pooled& p, uint64_t pictures, const float* back, float* to) {
  ForEachCell(card, pictures * p.height * p.width, p.channels,
              [=] __device__(uint64_t place, uint64_t channel) {
                const uint64_t ix = place % p.width;
                const uint64_t iy = place / p.width % p.height;
                const uint64_t picture = place / p.width / p.height;
                float sum = 0;
                ForEachWindow(p, iy, ix, [&](uint64_t y, uint64_t x) {
                  const WindowRange ys = p.Rows(y), xs = p.Columns(x);
                  const uint64_t count = (ys.end - ys.begin) * (xs.end - xs.begin);
                  sum += 1.0F / static_cast<float>(count) * back[p.Out(picture, y, x, channel)];
                });
                to[p.In(picture, iy, ix, channel)] = sum;
              });
}

}  // namespace

void CudaBackend::Pool(Pooling pooling, const Window& window, ConstTensor input, Tensor output) {
  const Pooled p(window, input.shape(), output.shape());
  const bool max = pooling == Pooling::kMax;
  const float* const in = input.data();
  float* const out = output.data();
  ForEachCell(*card_, output.size() / p.channels, p.channels,
              [=] __device__(uint64_t place, uint64_t channel) {
                const uint64_t x = place % p.out_width;
                const uint64_t y = place / p.out_width % p.out_height;
                const uint64_t picture = place / p.out_width / p.out_height;
                const WindowRange ys = p.Rows(y), xs = p.Columns(x);
                const uint64_t count = (ys.end - ys.begin) * (xs.end - xs.begin);
                const float share = 1.0F / static_cast<float>(count);
                float found = max ? -INFINITY : 0.0F;
                ForEachInWindow(p, y, x, [&](uint64_t iy, uint64_t ix) {
                  const float value = in[p.In(picture, iy, ix, channel)];
                  if (!max) {
                    found += share * value;
                  } else if (value > found || value != value) {
                    found = value;  // A NaN wins: it is for others to find.
                  }
                  return false;
                });
                out[p.Out(picture, y, x, channel)] = found;
              });
}

void CudaBackend::PoolGradient(Pooling pooling, const Window& window, ConstTensor input,
                               ConstTensor output, ConstTensor output_gradient,
                               Tensor input_gradient) {
  const Pooled p(window, input_gradient.shape(), output_gradient.shape());
  const uint64_t pictures = input_gradient.rows();
  const float* const back = output_gradient.data();
  float* const to = input_gradient.data();
  if (pooling == Pooling::kAverage) {
    AverageGradient(*card_, p, pictures, back, to);
  } else if (p.Apart()) {
    Fill(0.0F, input_gradient);
    MaxGradientApart(*card_, p, pictures, input.data(), output.data(), back, to);
  } else {
    MaxGradientMet(*card_, p, pictures, input.data(), output.data(), back, to);
  }
}

}  // namespace shardmill::nn
