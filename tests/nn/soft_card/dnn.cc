// cuDNN's functions. Of the algorithms that it offers for a convolution some are not to be taken,
// and write what is no number; one is right but rounds, one says only when it is asked to that it
// cannot, and the last one does it.
#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "tests/nn/soft_card/machine.h"
#include "tests/nn/soft_card/rounding.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};
struct cudnnTensorStruct {
  int64_t pictures = 0, channels = 0, height = 0, width = 0;
};
struct cudnnFilterStruct {
  int64_t outs = 0, ins = 0, height = 0, width = 0;
};
struct cudnnConvolutionStruct {
  int64_t padding = 0, stride = 1, groups = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

using shardmill::soft::CheckPlace;
using shardmill::soft::Die;
using shardmill::soft::Machine;
using shardmill::soft::RoundTo;

namespace {

constexpr size_t kWorkspace = 10'000;
constexpr size_t kTooMuch = size_t{2} << 30;

struct Offer {
  cudnnStatus_t status;
  size_t memory;
  cudnnDeterminism_t determinism;
  cudnnMathType_t math;
};

// The quickest first; an algorithm's number is its place.
constexpr std::array<Offer, 7> kOffers = {{
    {CUDNN_STATUS_NOT_SUPPORTED, 0, CUDNN_DETERMINISTIC, CUDNN_DEFAULT_MATH},
    {CUDNN_STATUS_SUCCESS, 0, CUDNN_DETERMINISTIC, CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION},
    {CUDNN_STATUS_SUCCESS, 0, CUDNN_NON_DETERMINISTIC, CUDNN_DEFAULT_MATH},
    {CUDNN_STATUS_SUCCESS, kTooMuch, CUDNN_DETERMINISTIC, CUDNN_DEFAULT_MATH},
    {CUDNN_STATUS_SUCCESS, kWorkspace, CUDNN_DETERMINISTIC, CUDNN_DEFAULT_MATH},
    {CUDNN_STATUS_SUCCESS, kWorkspace, CUDNN_DETERMINISTIC, CUDNN_TENSOR_OP_MATH},
    {CUDNN_STATUS_SUCCESS, kWorkspace / 2, CUDNN_DETERMINISTIC, CUDNN_DEFAULT_MATH},
}};
constexpr int kFirstRight = 4;
constexpr int kRefusedLater = 4;

enum class Part : uint8_t { kPicture, kWeight, kOutput };

// A convolution of one of the three tasks: the part that is made, of the other two.
struct Convolution {
  cudnnTensorStruct in, out;
  cudnnFilterStruct by;
  cudnnConvolutionStruct how;
  Part made;

  bool right() const {
    return in.channels == by.ins * how.groups && out.channels == by.outs &&
           by.outs % how.groups == 0 && in.pictures == out.pictures &&
           out.height == (in.height + 2 * how.padding - by.height) / how.stride + 1 &&
           out.width == (in.width + 2 * how.padding - by.width) / how.stride + 1;
  }
  size_t Size(Part part) const {
    switch (part) {
      case Part::kPicture:
        return static_cast<size_t>(in.pictures * in.channels * in.height * in.width);
      case Part::kWeight:
        return static_cast<size_t>(by.outs * by.ins * by.height * by.width);
      case Part::kOutput:
        return static_cast<size_t>(out.pictures * out.channels * out.height * out.width);
    }
    return 0;
  }
  int bits() const { return how.math == CUDNN_FMA_MATH ? 23 : 10; }
};

// The channels that meet at one place of the kernel, over one place of the output.
void Meet(const Convolution& c, double* in, double* by, double* out) {
  const int64_t outs = c.by.outs / c.how.groups, stride = c.by.height * c.by.width * c.by.ins;
  for (int64_t o = 0; o < c.by.outs; ++o) {
    double* const from = in + o / outs * c.by.ins;
    double* const weight = by + o * stride;
    for (int64_t i = 0; i < c.by.ins; ++i) {
      if (c.made == Part::kOutput) out[o] += from[i] * weight[i];
      if (c.made == Part::kPicture) from[i] += out[o] * weight[i];
      if (c.made == Part::kWeight) weight[i] += out[o] * from[i];
    }
  }
}

void Convolve(const Convolution& c, double* in, double* by, double* out) {
  for (int64_t place = 0; place < c.out.pictures * c.out.height * c.out.width; ++place) {
    const int64_t picture = place / c.out.width / c.out.height;
    const int64_t top = place / c.out.width % c.out.height * c.how.stride - c.how.padding;
    const int64_t left = place % c.out.width * c.how.stride - c.how.padding;
    for (int64_t ky = 0; ky < c.by.height; ++ky) {
      for (int64_t kx = 0; kx < c.by.width; ++kx) {
        const int64_t y = top + ky, x = left + kx;
        if (y < 0 || y >= c.in.height || x < 0 || x >= c.in.width) continue;
        Meet(c, in + ((picture * c.in.height + y) * c.in.width + x) * c.in.channels,
             by + (ky * c.by.width + kx) * c.by.ins, out + place * c.out.channels);
      }
    }
  }
}

using Places = std::array<float*, 3>;  // Of the three parts.

void Run(const Convolution& c, bool well, const Places& places, char* workspace, size_t bytes) {
  std::memset(workspace, 0x5a, bytes);
  std::array<std::vector<double>, 3> numbers;
  for (const Part part : {Part::kPicture, Part::kWeight, Part::kOutput}) {
    const auto index = static_cast<size_t>(part);
    numbers[index].resize(c.Size(part));
    if (part == c.made) continue;
    std::transform(places[index], places[index] + c.Size(part), numbers[index].begin(),
                   [&c](float number) { return RoundTo(c.bits(), number); });
  }
  Convolve(c, numbers[0].data(), numbers[1].data(), numbers[2].data());
  const auto made = static_cast<size_t>(c.made);
  std::transform(numbers[made].begin(), numbers[made].end(), places[made],
                 [well](double number) { return well ? static_cast<float>(number) : NAN; });
}

template <class Algorithm>
cudnnStatus_t OfferAll(const Convolution& c, int count_max, int* count,
                       cudnnAlgoPerf<Algorithm>* found) {
  Machine& machine = Machine::Get();
  *count = 0;
  if (!c.right()) return CUDNN_STATUS_BAD_PARAM;
  const bool alone = c.how.groups > 1 && c.by.ins == 1;
  if (machine.lost() || machine.Fails()) return CUDNN_STATUS_INTERNAL_ERROR;
  if (!machine.settings().convolves || alone) return CUDNN_STATUS_NOT_SUPPORTED;
  for (const Offer& offer : kOffers) {
    if (*count == count_max) break;
    found[*count] = {static_cast<Algorithm>(*count),
                     offer.status,
                     static_cast<float>(*count),
                     offer.memory,
                     offer.determinism,
                     offer.math};
    ++*count;
  }
  return CUDNN_STATUS_SUCCESS;
}

// More than is offered where nothing may be rounded, which offers are not made for.
size_t WorkspaceOf(const Convolution& c, int algorithm) {
  constexpr size_t kNotRounded = 256;
  const size_t offered = kOffers.at(static_cast<size_t>(algorithm)).memory;
  return c.how.math == CUDNN_FMA_MATH ? offered + kNotRounded : offered;
}

cudnnStatus_t TellWorkspace(const Convolution& c, int algorithm, size_t* bytes) {
  Machine& machine = Machine::Get();
  if (machine.lost() || machine.Fails()) return CUDNN_STATUS_INTERNAL_ERROR;
  if (!c.right()) return CUDNN_STATUS_BAD_PARAM;
  *bytes = WorkspaceOf(c, algorithm);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t Begin(cudnnHandle_t handle, const Convolution& c, int algorithm, const Places& places,
                    void* workspace, size_t bytes) {
  Machine& machine = Machine::Get();
  const Offer& offer = kOffers.at(static_cast<size_t>(algorithm));
  if (machine.lost() || machine.Fails()) return CUDNN_STATUS_INTERNAL_ERROR;
  if (!c.right() || bytes < WorkspaceOf(c, algorithm)) return CUDNN_STATUS_BAD_PARAM;
  if (offer.status != CUDNN_STATUS_SUCCESS || algorithm == kRefusedLater) {
    machine.Keep(cudaErrorInvalidValue);  // Of what it tried itself.
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  for (const float* const place : places) {
    CheckPlace(place, "cuDNN is lent memory of the host");
    // Some of its algorithms read four numbers at a time.
    if (reinterpret_cast<uintptr_t>(place) % 16 > 0) Die("cuDNN is lent numbers that lie askew");
  }
  CheckPlace(workspace, "cuDNN is lent the host's memory to work in");
  const bool well = algorithm >= kFirstRight;
  if (!machine.settings().records_convolutions && machine.streams().Spoil()) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  const cudaError_t begun = machine.Enqueue(
      handle->stream, [=] { Run(c, well, places, static_cast<char*>(workspace), bytes); });
  return begun == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_INTERNAL_ERROR;
}

float* Place(const void* numbers) { return const_cast<float*>(static_cast<const float*>(numbers)); }

template <class T>
cudnnStatus_t Make(T** made) {
  Machine& machine = Machine::Get();
  if (machine.lost() || machine.Fails()) return CUDNN_STATUS_INTERNAL_ERROR;
  machine.Make(made);
  return CUDNN_STATUS_SUCCESS;
}

template <class T>
cudnnStatus_t Drop(T* handle) {
  if (handle == nullptr) return CUDNN_STATUS_BAD_PARAM;
  Machine::Get().Drop(handle);
  return CUDNN_STATUS_SUCCESS;
}

template <class T>
cudnnStatus_t Set(T* handle, const T& value) {
  if (handle == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *handle = value;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_INTERNAL_ERROR:
      return "CUDNN_STATUS_INTERNAL_ERROR";
  }
  return "CUDNN_UNKNOWN_STATUS";
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) { return Make(handle); }
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return Drop(handle); }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  return Set(handle, {stream});
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* made) { return Make(made); }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensor) { return Drop(tensor); }
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensor, cudnnTensorFormat_t,
                                         cudnnDataType_t, int pictures, int channels, int height,
                                         int width) {
  return Set(tensor, {pictures, channels, height, width});
}

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* made) { return Make(made); }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t filter) { return Drop(filter); }
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t,
                                         cudnnTensorFormat_t, int outs, int ins, int height,
                                         int width) {
  return Set(filter, {outs, ins, height, width});
}

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* made) {
  return Make(made);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t convolution) {
  return Drop(convolution);
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t convolution,
                                              int padding_height, int padding_width,
                                              int stride_height, int stride_width,
                                              int dilation_height, int dilation_width,
                                              cudnnConvolutionMode_t, cudnnDataType_t) {
  if (padding_height != padding_width || stride_height != stride_width || dilation_height != 1 ||
      dilation_width != 1) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  return Set(convolution, {padding_height, stride_height});
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t convolution, int groups) {
  if (convolution == nullptr) return CUDNN_STATUS_BAD_PARAM;
  convolution->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t convolution,
                                          cudnnMathType_t math) {
  if (convolution == nullptr) return CUDNN_STATUS_BAD_PARAM;
  convolution->math = math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t picture,
                                                     cudnnFilterDescriptor_t weight,
                                                     cudnnConvolutionDescriptor_t convolution,
                                                     cudnnTensorDescriptor_t output, int count_max,
                                                     int* count,
                                                     cudnnConvolutionFwdAlgoPerf_t* found) {
  return OfferAll({*picture, *output, *weight, *convolution, Part::kOutput}, count_max, count,
                  found);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, cudnnFilterDescriptor_t weight, cudnnTensorDescriptor_t output,
    cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t picture, int count_max,
    int* count, cudnnConvolutionBwdDataAlgoPerf_t* found) {
  return OfferAll({*picture, *output, *weight, *convolution, Part::kPicture}, count_max, count,
                  found);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t, cudnnTensorDescriptor_t picture, cudnnTensorDescriptor_t output,
    cudnnConvolutionDescriptor_t convolution, cudnnFilterDescriptor_t weight, int count_max,
    int* count, cudnnConvolutionBwdFilterAlgoPerf_t* found) {
  return OfferAll({*picture, *output, *weight, *convolution, Part::kWeight}, count_max, count,
                  found);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, cudnnTensorDescriptor_t picture, cudnnFilterDescriptor_t weight,
    cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t output,
    cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
  return TellWorkspace({*picture, *output, *weight, *convolution, Part::kOutput}, algorithm, bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, cudnnFilterDescriptor_t weight, cudnnTensorDescriptor_t output,
    cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t picture,
    cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes) {
  return TellWorkspace({*picture, *output, *weight, *convolution, Part::kPicture}, algorithm,
                       bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, cudnnTensorDescriptor_t picture, cudnnTensorDescriptor_t output,
    cudnnConvolutionDescriptor_t convolution, cudnnFilterDescriptor_t weight,
    cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes) {
  return TellWorkspace({*picture, *output, *weight, *convolution, Part::kWeight}, algorithm, bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void*,
                                      cudnnTensorDescriptor_t picture_as, const void* picture,
                                      cudnnFilterDescriptor_t weight_as, const void* weight,
                                      cudnnConvolutionDescriptor_t convolution,
                                      cudnnConvolutionFwdAlgo_t algorithm, void* workspace,
                                      size_t workspace_bytes, const void*,
                                      cudnnTensorDescriptor_t output_as, void* output) {
  return Begin(handle, {*picture_as, *output_as, *weight_as, *convolution, Part::kOutput},
               algorithm, {Place(picture), Place(weight), Place(output)}, workspace,
               workspace_bytes);
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void*,
                                           cudnnFilterDescriptor_t weight_as, const void* weight,
                                           cudnnTensorDescriptor_t output_as, const void* output,
                                           cudnnConvolutionDescriptor_t convolution,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace,
                                           size_t workspace_bytes, const void*,
                                           cudnnTensorDescriptor_t picture_as, void* picture) {
  return Begin(handle, {*picture_as, *output_as, *weight_as, *convolution, Part::kPicture},
               algorithm, {Place(picture), Place(weight), Place(output)}, workspace,
               workspace_bytes);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t handle, const void*, cudnnTensorDescriptor_t picture_as, const void* picture,
    cudnnTensorDescriptor_t output_as, const void* output, cudnnConvolutionDescriptor_t convolution,
    cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace, size_t workspace_bytes, const void*,
    cudnnFilterDescriptor_t weight_as, void* weight) {
  return Begin(handle, {*picture_as, *output_as, *weight_as, *convolution, Part::kWeight},
               algorithm, {Place(picture), Place(weight), Place(output)}, workspace,
               workspace_bytes);
}
