#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "common/assert.h"
#include "nn/ops/cpu/backend.h"
#include "nn/ops/cpu/elementwise.h"
#include "nn/ops/cpu/one_thread.h"

// oneDNN's convolutions on plain channels-last pictures. It wants weights in an order of its own:
// they are brought into it, and gradients out of it, in memory that nobody else sees, once a call.
namespace shardmill::nn {
namespace {

using dnnl::memory;

enum class Task : uint8_t { kForward, kInputGradient, kParameterGradients };

// All that decides which kernel is right.
struct Case {
  Task task = Task::kForward;
  std::array<uint64_t, 4> picture{};  // Of the input.
  std::array<uint64_t, 4> output{};
  std::array<uint64_t, 4> weight{};
  uint32_t stride = 1;
  uint32_t padding = 0;
  uint32_t groups = 1;
  bool bias = false;
  bool rectify = false;
  float slope = 0;

  bool operator==(const Case&) const = default;
};

std::array<uint64_t, 4> Dims(const Shape& shape) {
  return {shape.dim(0), shape.dim(1), shape.dim(2), shape.dim(3)};
}

memory::dim Dim(uint64_t extent) { return static_cast<memory::dim>(extent); }

memory::desc PictureDesc(const std::array<uint64_t, 4>& dims) {
  return {{Dim(dims[0]), Dim(dims[3]), Dim(dims[1]), Dim(dims[2])},
          memory::data_type::f32,
          memory::format_tag::nhwc};
}

memory::dims WeightDims(const Case& c) {
  const auto [height, width, in, out] = c.weight;
  if (c.groups == 1) return {Dim(out), Dim(in), Dim(height), Dim(width)};
  return {c.groups, Dim(out / c.groups), Dim(in), Dim(height), Dim(width)};
}

// As the tables have them: [height, width, in, out].
memory::desc PlainWeightDesc(const Case& c) {
  const auto [height, width, in, out] = c.weight;
  memory::dims strides{1, Dim(out), Dim(width * in * out), Dim(in * out)};
  if (c.groups > 1) strides.insert(strides.begin(), Dim(out / c.groups));
  return {WeightDims(c), memory::data_type::f32, strides};
}

// A library call that throws on what we should not have asked for.
template <class Function>
auto Checked(Function function) {
  try {
    return function();
  } catch (const dnnl::error&) {
    SM_ASSERT(false);
  }
}

// A primitive with the memory it is run on.
class Kernel final {
 public:
  Kernel(const dnnl::engine& engine, const Case& what) : engine_(engine), what_(what) {
    const OneThread one_thread;
    Checked([&] { Make(); });
  }

  const Case& what() const { return what_; }
  size_t scratch_bytes() const { return scratch_.get_desc().get_size(); }

  // `weights` and `bias` are read by kForward and kInputGradient and written by the other.
  void Run(const dnnl::stream& stream, const float* picture, const float* weights,
           const float* bias, const float* output, void* scratch) const {
    const OneThread one_thread;
    Checked([&] {
      const auto lend = [](const memory& to, const void* data) {
        if (to) to.set_data_handle(const_cast<void*>(data));
      };
      lend(picture_, picture);
      lend(plain_weights_, weights);
      lend(bias_, bias);
      lend(output_, output);
      lend(scratch_, scratch);
      if (reorders_ && what_.task != Task::kParameterGradients) {
        Execute(stream, reorder_,
                {{DNNL_ARG_FROM, plain_weights_.get()}, {DNNL_ARG_TO, weights_.get()}});
      }
      RunPrimitive(stream);
      if (reorders_ && what_.task == Task::kParameterGradients) {
        Execute(stream, reorder_,
                {{DNNL_ARG_FROM, weights_.get()}, {DNNL_ARG_TO, plain_weights_.get()}});
      }
    });
  }

 private:
  // The library's own function of this name makes a list on the heap for each call.
  template <size_t kCount>
  static void Execute(const dnnl::stream& stream, const dnnl::primitive& primitive,
                      const dnnl_exec_arg_t (&arguments)[kCount]) {
    const dnnl_status_t status =
        dnnl_primitive_execute(primitive.get(), stream.get(), kCount, arguments);
    SM_ASSERT(status == dnnl_success);
  }

  void RunPrimitive(const dnnl::stream& stream) const {
    const dnnl_memory_t picture = picture_.get(), weights = weights_.get(), output = output_.get();
    const dnnl_memory_t scratch = scratch_.get();
    const dnnl_memory_t bias = bias_ ? bias_.get() : nullptr;
    if (what_.task == Task::kInputGradient) {
      Execute(stream, primitive_,
              {{DNNL_ARG_DIFF_SRC, picture},
               {DNNL_ARG_WEIGHTS, weights},
               {DNNL_ARG_DIFF_DST, output},
               {DNNL_ARG_SCRATCHPAD, scratch}});
    } else if (what_.task == Task::kForward && what_.bias) {
      Execute(stream, primitive_,
              {{DNNL_ARG_SRC, picture},
               {DNNL_ARG_WEIGHTS, weights},
               {DNNL_ARG_BIAS, bias},
               {DNNL_ARG_DST, output},
               {DNNL_ARG_SCRATCHPAD, scratch}});
    } else if (what_.task == Task::kForward) {
      Execute(stream, primitive_,
              {{DNNL_ARG_SRC, picture},
               {DNNL_ARG_WEIGHTS, weights},
               {DNNL_ARG_DST, output},
               {DNNL_ARG_SCRATCHPAD, scratch}});
    } else if (what_.bias) {
      Execute(stream, primitive_,
              {{DNNL_ARG_SRC, picture},
               {DNNL_ARG_DIFF_WEIGHTS, weights},
               {DNNL_ARG_DIFF_BIAS, bias},
               {DNNL_ARG_DIFF_DST, output},
               {DNNL_ARG_SCRATCHPAD, scratch}});
    } else {
      Execute(stream, primitive_,
              {{DNNL_ARG_SRC, picture},
               {DNNL_ARG_DIFF_WEIGHTS, weights},
               {DNNL_ARG_DIFF_DST, output},
               {DNNL_ARG_SCRATCHPAD, scratch}});
    }
  }

  void Make() {
    const memory::desc picture = PictureDesc(what_.picture), output = PictureDesc(what_.output);
    const memory::desc weights(WeightDims(what_), memory::data_type::f32, memory::format_tag::any);
    memory::desc bias;
    if (what_.bias) {
      bias = memory::desc({Dim(what_.weight[3])}, memory::data_type::f32, memory::format_tag::x);
    }
    const memory::dims strides{what_.stride, what_.stride}, edge{what_.padding, what_.padding};
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (what_.rectify) {
      dnnl::post_ops after;
      after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, what_.slope, 0.0F);
      attributes.set_post_ops(after);
    }
    constexpr auto kDirect = dnnl::algorithm::convolution_direct;
    const dnnl::convolution_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, kDirect, picture, weights, bias, output, strides, edge,
         edge},
        attributes, engine_);
    if (what_.task == Task::kForward) {
      primitive_ = dnnl::convolution_forward(forward);
      Keep(forward.weights_desc(), forward.scratchpad_desc());
    } else if (what_.task == Task::kInputGradient) {
      const dnnl::convolution_backward_data::primitive_desc back(
          {kDirect, picture, weights, output, strides, edge, edge}, attributes, engine_, forward);
      primitive_ = dnnl::convolution_backward_data(back);
      Keep(back.weights_desc(), back.scratchpad_desc());
    } else {
      const dnnl::convolution_backward_weights::primitive_desc back(
          {kDirect, picture, weights, bias, output, strides, edge, edge}, attributes, engine_,
          forward);
      primitive_ = dnnl::convolution_backward_weights(back);
      Keep(back.diff_weights_desc(), back.scratchpad_desc());
    }
    picture_ = memory(picture, engine_, nullptr);
    output_ = memory(output, engine_, nullptr);
    if (what_.bias) bias_ = memory(bias, engine_, nullptr);
  }

  void Keep(const memory::desc& weights, const memory::desc& scratch) {
    const memory::desc plain = PlainWeightDesc(what_);
    plain_weights_ = memory(plain, engine_, nullptr);
    scratch_ = memory(scratch, engine_, nullptr);
    reorders_ = weights != plain;
    weights_ = reorders_ ? memory(weights, engine_) : plain_weights_;
    if (!reorders_) return;
    reorder_ = what_.task == Task::kParameterGradients ? dnnl::reorder(weights_, plain_weights_)
                                                       : dnnl::reorder(plain_weights_, weights_);
  }

  const dnnl::engine& engine_;
  const Case what_;
  dnnl::primitive primitive_;
  dnnl::reorder reorder_;
  bool reorders_ = false;
  memory picture_, output_, bias_, scratch_;
  memory plain_weights_;
  memory weights_;  // As the kernel wants them.
};

}  // namespace

// The kernels of the shapes that this thread has seen, and the one scratch memory they share.
class ConvolutionCache final {
 public:
  ~ConvolutionCache() { std::free(scratch_); }

  void Run(const Case& what, const float* picture, const float* weights, const float* bias,
           const float* output) {
    const Kernel& kernel = Find(what);
    if (kernel.scratch_bytes() > scratch_bytes_) {
      std::free(scratch_);
      scratch_bytes_ = (kernel.scratch_bytes() + 63) / 64 * 64;
      scratch_ = std::aligned_alloc(64, scratch_bytes_);
      SM_ASSERT(scratch_ != nullptr);
    }
    kernel.Run(stream_, picture, weights, bias, output, scratch_);
  }

 private:
  // Shapes are a network's, times a few sizes of batches: more are a mistake, and begin anew.
  static constexpr size_t kKernelsMax = 1024;

  const Kernel& Find(const Case& what) {
    for (const std::unique_ptr<Kernel>& kernel : kernels_) {
      if (kernel->what() == what) return *kernel;
    }
    if (kernels_.size() == kKernelsMax) kernels_.clear();
    kernels_.push_back(std::make_unique<Kernel>(engine_, what));
    return *kernels_.back();
  }

  const dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  const dnnl::stream stream_{engine_};
  std::vector<std::unique_ptr<Kernel>> kernels_;
  void* scratch_ = nullptr;
  size_t scratch_bytes_ = 0;
};

CpuBackend::CpuBackend(bool on_host)
    : on_host_(on_host), convolutions_(std::make_unique<ConvolutionCache>()) {}
CpuBackend::~CpuBackend() = default;

void CpuBackend::Convolve(const Convolution& how, ConstTensor input, ConstTensor weight,
                          ConstTensor bias, const Elementwise& after, Tensor output) {
  const bool rectify =
      after.activation == Activation::kRelu || after.activation == Activation::kLeakyRelu;
  const Case what{.task = Task::kForward,
                  .picture = Dims(input.shape()),
                  .output = Dims(output.shape()),
                  .weight = Dims(weight.shape()),
                  .stride = how.window.stride,
                  .padding = how.window.padding,
                  .groups = how.groups,
                  .bias = !bias.empty(),
                  .rectify = rectify,
                  .slope = rectify ? after.slope : 0.0F};
  convolutions_->Run(what, input.data(), weight.data(), bias.data(), output.data());
  if (!rectify) ApplyTo(after, output.data(), output.size(), output.data());
}

void CpuBackend::ConvolveInputGradient(const Convolution& how, ConstTensor output_gradient,
                                       ConstTensor weight, Tensor input_gradient) {
  const Case what{.task = Task::kInputGradient,
                  .picture = Dims(input_gradient.shape()),
                  .output = Dims(output_gradient.shape()),
                  .weight = Dims(weight.shape()),
                  .stride = how.window.stride,
                  .padding = how.window.padding,
                  .groups = how.groups};
  convolutions_->Run(what, input_gradient.data(), weight.data(), nullptr, output_gradient.data());
}

void CpuBackend::ConvolveParameterGradients(const Convolution& how, ConstTensor input,
                                            ConstTensor output_gradient, Tensor weight_gradient,
                                            Tensor bias_gradient) {
  const Case what{.task = Task::kParameterGradients,
                  .picture = Dims(input.shape()),
                  .output = Dims(output_gradient.shape()),
                  .weight = Dims(weight_gradient.shape()),
                  .stride = how.window.stride,
                  .padding = how.window.padding,
                  .groups = how.groups,
                  .bias = !bias_gradient.empty()};
  convolutions_->Run(what, input.data(), weight_gradient.data(), bias_gradient.data(),
                     output_gradient.data());
}

}  // namespace shardmill::nn
