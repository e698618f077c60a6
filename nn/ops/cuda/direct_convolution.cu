#include "nn/ops/cuda/direct_convolution.cuh"
#include "nn/ops/cuda/kernels.cuh"

namespace shardmill::nn {
namespace {

// The extents of a convolution, as kernels see them.
struct Extents {
  Extents(const Convolution& how, const Shape& picture, const Shape& weight, const Shape& out)
      : height(picture.dim(1)),
        width(picture.dim(2)),
        channels(picture.dim(3)),
        out_height(out.dim(1)),
        out_width(out.dim(2)),
        outs(out.dim(3)),
        kernel_height(weight.dim(0)),
        kernel_width(weight.dim(1)),
        group_ins(weight.dim(2)),
        group_outs(outs / how.groups),
        stride(how.window.stride),
        padding(how.window.padding) {}

  __device__ uint64_t In(uint64_t picture, uint64_t y, uint64_t x, uint64_t channel) const {
    return ((picture * height + y) * width + x) * channels + channel;
  }
  __device__ uint64_t Out(uint64_t picture, uint64_t y, uint64_t x, uint64_t channel) const {
    return ((picture * out_height + y) * out_width + x) * outs + channel;
  }
  __device__ uint64_t Weight(uint64_t y, uint64_t x, uint64_t in, uint64_t out) const {
    return ((y * kernel_width + x) * group_ins + in) * outs + out;
  }
  // Whether a place of the kernel, over an output place, lies in the picture, and where.
  __device__ bool Find(uint64_t out, uint64_t kernel, uint64_t extent, uint64_t& in) const {
    in = out * stride + kernel - padding;  // Wraps below zero, far beyond any extent.
    return in < extent;
  }

  uint64_t height, width, channels, out_height, out_width, outs;
  uint64_t kernel_height, kernel_width, group_ins, group_outs, stride, padding;
};

}  // namespace

void ConvolveDirectly(Card& card, const Convolution& how, ConstTensor input, ConstTensor weight,
                      Tensor output) {
  const Extents e(how, input.shape(), weight.shape(), output.shape());
  const float* const from = input.data();
  const float* const by = weight.data();
  float* const to = output.data();
  ForEachCell(card, output.size() / e.outs, e.outs, [=] __device__(uint64_t place, uint64_t out) {
    const uint64_t x = place % e.out_width, y = place / e.out_width % e.out_height;
    const uint64_t picture = place / e.out_width / e.out_height;
    const uint64_t first = out / e.group_outs * e.group_ins;
    float sum = 0;
    for (uint64_t ky = 0; ky < e.kernel_height; ++ky) {
      for (uint64_t kx = 0; kx < e.kernel_width; ++kx) {
        uint64_t iy = 0, ix = 0;
        if (!e.Find(y, ky, e.height, iy) || !e.Find(x, kx, e.width, ix)) continue;
        for (uint64_t in = 0; in < e.group_ins; ++in) {
          sum += from[e.In(picture, iy, ix, first + in)] * by[e.Weight(ky, kx, in, out)];
        }
      }
    }
    to[e.Out(picture, y, x, out)] = sum;
  });
}

void FindInputGradient(Card& card, const Convolution& how, ConstTensor output_gradient,
                       ConstTensor weight, Tensor input_gradient) {
  const Extents e(how, input_gradient.shape(), weight.shape(), output_gradient.shape());
  const float* const back = output_gradient.data();
  const float* const by = weight.data();
  float* const to = input_gradient.data();
  ForEachCell(card, input_gradient.size() / e.channels, e.channels,
              [=] __device__(uint64_t place, uint64_t channel) {
                const uint64_t ix = place % e.width, iy = place / e.width % e.height;
                const uint64_t picture = place / e.width / e.height;
                const uint64_t first = channel / e.group_ins * e.group_outs;
                const uint64_t in = channel % e.group_ins;
                float sum = 0;
                for (uint64_t ky = 0; ky < e.kernel_height; ++ky) {
                  for (uint64_t kx = 0; kx < e.kernel_width; ++kx) {
                    // The output place over which this place of the kernel is here, if there is
                    // one.
                    const uint64_t down = iy + e.padding - ky, across = ix + e.padding - kx;
                    if (iy + e.padding < ky || ix + e.padding < kx) continue;
                    if (down % e.stride != 0 || across % e.stride != 0) continue;
                    const uint64_t y = down / e.stride, x = across / e.stride;
                    if (y >= e.out_height || x >= e.out_width) continue;
                    for (uint64_t out = first; out < first + e.group_outs; ++out) {
                      sum += back[e.Out(picture, y, x, out)] * by[e.Weight(ky, kx, in, out)];
                    }
                  }
                }
                to[e.In(picture, iy, ix, channel)] = sum;
              });
}

void FindWeightGradient(Card& card, const Convolution& how, ConstTensor input,
                        ConstTensor output_gradient, Tensor weight_gradient) {
  const Extents e(how, input.shape(), weight_gradient.shape(), output_gradient.shape());
  const uint64_t places = output_gradient.size() / e.outs;
  const float* const from = input.data();
  const float* const back = output_gradient.data();
  float* const to = weight_gradient.data();
  ForEachRow(card, weight_gradient.size(), places, [=] __device__(uint64_t at, const Team& team) {
    const uint64_t out = at % e.outs, in = at / e.outs % e.group_ins;
    const uint64_t kx = at / e.outs / e.group_ins % e.kernel_width;
    const uint64_t ky = at / e.outs / e.group_ins / e.kernel_width;
    const uint64_t channel = out / e.group_outs * e.group_ins + in;
    double sum = 0;
    for (uint64_t place = team.first(); place < places; place += team.size()) {
      const uint64_t x = place % e.out_width, y = place / e.out_width % e.out_height;
      const uint64_t picture = place / e.out_width / e.out_height;
      uint64_t iy = 0, ix = 0;
      if (!e.Find(y, ky, e.height, iy) || !e.Find(x, kx, e.width, ix)) continue;
      sum += static_cast<double>(from[e.In(picture, iy, ix, channel)] *
                                 back[e.Out(picture, y, x, out)]);
    }
    sum = team.Sum(sum);
    if (team.leads()) to[at] = static_cast<float>(sum);
  });
}

}  // namespace shardmill::nn
