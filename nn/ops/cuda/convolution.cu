#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "common/assert.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/direct_convolution.cuh"
#include "nn/ops/cuda/finish.cuh"
#include "nn/ops/cuda/make.h"
#include "nn/ops/cuda/product.cuh"

// cuDNN's convolutions on plain channels-last pictures. It wants weights as [out, height, width,
// in]: they are brought into that order, and gradients out of it, in memory that nobody else sees,
// once a call. Of its algorithms the quickest by its own tables is taken that gives the same bits
// each time; what none of them does, our own kernels do.
namespace shardmill::nn {
namespace {

constexpr size_t kWorkspaceMax = size_t{1} << 30;
constexpr int kChoicesMax = 16;

enum class Task : uint8_t { kForward, kInputGradient, kWeightGradient };

// All that decides which algorithm is right.
struct Case {
  Task task = Task::kForward;
  std::array<uint64_t, 4> picture{};  // Of the input.
  std::array<uint64_t, 4> output{};
  std::array<uint64_t, 4> weight{};
  uint32_t stride = 1;
  uint32_t padding = 0;
  uint32_t groups = 1;

  bool operator==(const Case&) const = default;
};

std::array<uint64_t, 4> Dims(const Shape& shape) {
  return {shape.dim(0), shape.dim(1), shape.dim(2), shape.dim(3)};
}

Case CaseOf(Task task, const Convolution& how, const Shape& picture, const Shape& weight,
            const Shape& output) {
  return {.task = task,
          .picture = Dims(picture),
          .output = Dims(output),
          .weight = Dims(weight),
          .stride = how.window.stride,
          .padding = how.window.padding,
          .groups = how.groups};
}

int Int(uint64_t extent) { return static_cast<int>(extent); }

// An algorithm of one of the three tasks.
struct Choice {
  int algorithm = 0;
  cudnnMathType_t math = CUDNN_FMA_MATH;
  size_t workspace = 0;
};

}  // namespace

// What cuDNN has to know of one case, and the algorithms left to try.
class ConvolutionPlan final {
 public:
  ConvolutionPlan(Card& card, const Case& what)
      : card_(card), what_(what), rounds_(card.products() != Products::kFloat) {
    cudnnCreateTensorDescriptor(&picture_);
    cudnnCreateTensorDescriptor(&output_);
    cudnnCreateFilterDescriptor(&weight_);
    cudnnCreateConvolutionDescriptor(&convolution_);
    if (Describe()) Choose();
  }
  ~ConvolutionPlan() {
    cudnnDestroyTensorDescriptor(picture_);
    cudnnDestroyTensorDescriptor(output_);
    cudnnDestroyFilterDescriptor(weight_);
    cudnnDestroyConvolutionDescriptor(convolution_);
  }
  ConvolutionPlan(const ConvolutionPlan&) = delete;
  ConvolutionPlan& operator=(const ConvolutionPlan&) = delete;

  const Case& what() const { return what_; }
  // Whether cuDNN does it, for all that is known.
  bool by_library() const { return !choices_.empty(); }

  // False where cuDNN does not do it. What is asked for is written, the others are read.
  bool Run(float* picture, float* weight, float* output) {
    while (!choices_.empty()) {
      const Choice& choice = choices_.front();
      char* const workspace = card_.TryScratch(Scratch::kWorkspace, choice.workspace);
      if (card_.failed()) return true;
      if (workspace == nullptr) {
        choices_.erase(choices_.begin());  // The next may want less.
        continue;
      }
      cudnnStatus_t status = cudnnSetConvolutionMathType(convolution_, choice.math);
      if (status == CUDNN_STATUS_SUCCESS) {
        status = Execute(choice, workspace, picture, weight, output);
      }
      // What it refuses now and did before, it will do again where it is not recorded.
      if (status == CUDNN_STATUS_SUCCESS || card_.recording()) {
        card_.Check(status);
        return true;
      }
      choices_.erase(choices_.begin());
      // What it was refused for is not to be told to whoever asks next.
      cudaGetLastError();
    }
    return false;
  }

 private:
  bool Describe() {
    const auto [height, width, in, out] = what_.weight;
    const auto tensor = [](cudnnTensorDescriptor_t to, const std::array<uint64_t, 4>& dims) {
      return cudnnSetTensor4dDescriptor(to, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, Int(dims[0]),
                                        Int(dims[3]), Int(dims[1]),
                                        Int(dims[2])) == CUDNN_STATUS_SUCCESS;
    };
    const int edge = Int(what_.padding), step = Int(what_.stride);
    // More than fits an int is left to our own kernels.
    const auto fits = [](const std::array<uint64_t, 4>& dims) {
      return dims[0] * dims[1] * dims[2] * dims[3] < uint64_t{1} << 31;
    };
    return fits(what_.picture) && fits(what_.output) && tensor(picture_, what_.picture) &&
           tensor(output_, what_.output) &&
           cudnnSetFilter4dDescriptor(weight_, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, Int(out),
                                      Int(in), Int(height), Int(width)) == CUDNN_STATUS_SUCCESS &&
           cudnnSetConvolution2dDescriptor(convolution_, edge, edge, step, step, 1, 1,
                                           CUDNN_CROSS_CORRELATION,
                                           CUDNN_DATA_FLOAT) == CUDNN_STATUS_SUCCESS &&
           cudnnSetConvolutionGroupCount(convolution_, Int(what_.groups)) == CUDNN_STATUS_SUCCESS &&
           cudnnSetConvolutionMathType(
               convolution_, rounds_ ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH) == CUDNN_STATUS_SUCCESS;
  }

  void Choose() {
    int count = 0;
    if (what_.task == Task::kForward) {
      std::array<cudnnConvolutionFwdAlgoPerf_t, kChoicesMax> found{};
      const auto status = cudnnGetConvolutionForwardAlgorithm_v7(
          card_.dnn(), picture_, weight_, convolution_, output_, kChoicesMax, &count, found.data());
      if (status == CUDNN_STATUS_SUCCESS) Keep(found.data(), count);
    } else if (what_.task == Task::kInputGradient) {
      std::array<cudnnConvolutionBwdDataAlgoPerf_t, kChoicesMax> found{};
      const auto status = cudnnGetConvolutionBackwardDataAlgorithm_v7(
          card_.dnn(), weight_, output_, convolution_, picture_, kChoicesMax, &count, found.data());
      if (status == CUDNN_STATUS_SUCCESS) Keep(found.data(), count);
    } else {
      std::array<cudnnConvolutionBwdFilterAlgoPerf_t, kChoicesMax> found{};
      const auto status = cudnnGetConvolutionBackwardFilterAlgorithm_v7(
          card_.dnn(), picture_, output_, convolution_, weight_, kChoicesMax, &count, found.data());
      if (status == CUDNN_STATUS_SUCCESS) Keep(found.data(), count);
    }
  }

  template <class Found>
  void Keep(const Found* found, int count) {
    for (int i = 0; i < count; ++i) {
      const cudnnMathType_t math = found[i].mathType;
      const bool halves = math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION;
      if (found[i].status != CUDNN_STATUS_SUCCESS || found[i].memory > kWorkspaceMax ||
          found[i].determinism != CUDNN_DETERMINISTIC || halves ||
          (!rounds_ && math == CUDNN_TENSOR_OP_MATH)) {
        continue;
      }
      // The default one rounds, too.
      Choice choice{.algorithm = static_cast<int>(found[i].algo),
                    .math = rounds_ ? math : CUDNN_FMA_MATH};
      if (FindWorkspace(choice) == CUDNN_STATUS_SUCCESS && choice.workspace <= kWorkspaceMax) {
        choices_.push_back(choice);
      }
    }
  }

  // A table's is of the way to multiply that it names, and another may want more.
  cudnnStatus_t FindWorkspace(Choice& choice) const {
    const cudnnStatus_t set = cudnnSetConvolutionMathType(convolution_, choice.math);
    if (set != CUDNN_STATUS_SUCCESS) return set;
    switch (what_.task) {
      case Task::kForward:
        return cudnnGetConvolutionForwardWorkspaceSize(
            card_.dnn(), picture_, weight_, convolution_, output_,
            static_cast<cudnnConvolutionFwdAlgo_t>(choice.algorithm), &choice.workspace);
      case Task::kInputGradient:
        return cudnnGetConvolutionBackwardDataWorkspaceSize(
            card_.dnn(), weight_, output_, convolution_, picture_,
            static_cast<cudnnConvolutionBwdDataAlgo_t>(choice.algorithm), &choice.workspace);
      case Task::kWeightGradient:
        return cudnnGetConvolutionBackwardFilterWorkspaceSize(
            card_.dnn(), picture_, output_, convolution_, weight_,
            static_cast<cudnnConvolutionBwdFilterAlgo_t>(choice.algorithm), &choice.workspace);
    }
    return CUDNN_STATUS_BAD_PARAM;
  }

  cudnnStatus_t Execute(const Choice& choice, void* workspace, float* picture, float* weight,
                        float* output) const {
    const float once = 1.0F, nothing = 0.0F;
    switch (what_.task) {
      case Task::kForward:
        return cudnnConvolutionForward(card_.dnn(), &once, picture_, picture, weight_, weight,
                                       convolution_,
                                       static_cast<cudnnConvolutionFwdAlgo_t>(choice.algorithm),
                                       workspace, choice.workspace, &nothing, output_, output);
      case Task::kInputGradient:
        return cudnnConvolutionBackwardData(
            card_.dnn(), &once, weight_, weight, output_, output, convolution_,
            static_cast<cudnnConvolutionBwdDataAlgo_t>(choice.algorithm), workspace,
            choice.workspace, &nothing, picture_, picture);
      case Task::kWeightGradient:
        return cudnnConvolutionBackwardFilter(
            card_.dnn(), &once, picture_, picture, output_, output, convolution_,
            static_cast<cudnnConvolutionBwdFilterAlgo_t>(choice.algorithm), workspace,
            choice.workspace, &nothing, weight_, weight);
    }
    return CUDNN_STATUS_BAD_PARAM;
  }

  Card& card_;
  const Case what_;
  const bool rounds_;  // What is multiplied, to ten bits of fraction.
  cudnnTensorDescriptor_t picture_ = nullptr, output_ = nullptr;
  cudnnFilterDescriptor_t weight_ = nullptr;
  cudnnConvolutionDescriptor_t convolution_ = nullptr;
  std::vector<Choice> choices_;
};

// The plans of the shapes that were seen.
class ConvolutionPlans final {
 public:
  explicit ConvolutionPlans(Card& card) : card_(card) {}

  // As a plan's Run, with the weights in the order of the tables: [height, width, in, out].
  bool Run(const Case& what, const float* picture, const float* weight, const float* output) {
    const uint64_t outs = what.weight[3];
    const uint64_t ins = what.weight[0] * what.weight[1] * what.weight[2];
    float* const ordered = card_.ScratchOf<float>(Scratch::kWeights, ins * outs);
    if (ordered == nullptr) return true;
    const bool writes = what.task == Task::kWeightGradient;
    auto* const plain = const_cast<float*>(weight);
    if (!writes) {
      ForEachCell(card_, ins, outs, [=] __device__(uint64_t in, uint64_t out) {
        ordered[out * ins + in] = plain[in * outs + out];
      });
    }
    if (!Find(what).Run(const_cast<float*>(picture), ordered, const_cast<float*>(output))) {
      return false;
    }
    if (writes) {
      ForEachCell(card_, ins, outs, [=] __device__(uint64_t in, uint64_t out) {
        plain[in * outs + out] = ordered[out * ins + in];
      });
    }
    return true;
  }

  ConvolutionCounts counts() const {
    const auto by_library = std::ranges::count_if(
        plans_, [](const std::unique_ptr<ConvolutionPlan>& plan) { return plan->by_library(); });
    const auto found = static_cast<uint64_t>(by_library);
    return {.by_library = found, .by_kernels = plans_.size() - found};
  }

 private:
  // Shapes are a network's, times a few sizes of batches: more are a mistake, and begin anew.
  static constexpr size_t kPlansMax = 1024;

  ConvolutionPlan& Find(const Case& what) {
    for (const std::unique_ptr<ConvolutionPlan>& plan : plans_) {
      if (plan->what() == what) return *plan;
    }
    if (plans_.size() == kPlansMax) plans_.clear();
    plans_.push_back(std::make_unique<ConvolutionPlan>(card_, what));
    return *plans_.back();
  }

  Card& card_;
  std::vector<std::unique_ptr<ConvolutionPlan>> plans_;
};

CudaBackend::CudaBackend(std::unique_ptr<Card> card)
    : card_(std::move(card)), convolutions_(std::make_unique<ConvolutionPlans>(*card_)) {}
CudaBackend::~CudaBackend() = default;

Result<std::unique_ptr<CudaBackend>> CudaBackend::Make(const BackendSettings& settings) {
  std::unique_ptr<Card> card = SM_TRY(Card::Open(settings));
  return std::unique_ptr<CudaBackend>(new CudaBackend(std::move(card)));
}

Result<std::unique_ptr<Backend>> MakeCudaBackend(const BackendSettings& settings) {
  std::unique_ptr<CudaBackend> backend = SM_TRY(CudaBackend::Make(settings));
  return std::unique_ptr<Backend>(std::move(backend));
}

ConvolutionCounts CudaBackend::convolutions() const { return convolutions_->counts(); }

void CudaBackend::Convolve(const Convolution& how, ConstTensor input, ConstTensor weight,
                           ConstTensor bias, const Elementwise& after, Tensor output) {
  const Case what = CaseOf(Task::kForward, how, input.shape(), weight.shape(), output.shape());
  if (!convolutions_->Run(what, input.data(), weight.data(), output.data())) {
    ConvolveDirectly(*card_, how, input, weight, output);
  }
  AddBiasAndApply(*card_, bias, after, output);
}

void CudaBackend::ConvolveInputGradient(const Convolution& how, ConstTensor output_gradient,
                                        ConstTensor weight, Tensor input_gradient) {
  const Case what = CaseOf(Task::kInputGradient, how, input_gradient.shape(), weight.shape(),
                           output_gradient.shape());
  if (!convolutions_->Run(what, input_gradient.data(), weight.data(), output_gradient.data())) {
    FindInputGradient(*card_, how, output_gradient, weight, input_gradient);
  }
}

void CudaBackend::ConvolveParameterGradients(const Convolution& how, ConstTensor input,
                                             ConstTensor output_gradient, Tensor weight_gradient,
                                             Tensor bias_gradient) {
  const Case what = CaseOf(Task::kWeightGradient, how, input.shape(), weight_gradient.shape(),
                           output_gradient.shape());
  if (!convolutions_->Run(what, input.data(), weight_gradient.data(), output_gradient.data())) {
    FindWeightGradient(*card_, how, input, output_gradient, weight_gradient);
  }
  if (!bias_gradient.empty()) SumColumns(*card_, output_gradient, bias_gradient);
}

}  // namespace shardmill::nn
