#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "nn/tensor.h"

namespace shardmill {
class Optimizer;
struct UpdateTime;
}  // namespace shardmill

// What every layer is written to. No library shows through here and nothing that owns memory
// crosses, so that a backend may live in a plugin: see nn/backend_plugin.h.
namespace shardmill::nn {

// A number from a number. kNone hands it on.
enum class Activation : uint8_t {
  kNone,
  kRelu,
  kLeakyRelu,
  kElu,
  kSelu,
  kGelu,
  kSilu,
  kSigmoid,
  kTanh,
};

// `slope` is that of leaky_relu below zero, and the depth of elu.
struct Elementwise {
  Activation activation = Activation::kNone;
  float slope = 0;
};

// Whether the way back is found from what came out; else from what went in.
constexpr bool InvertsFromOutput(Activation activation) {
  return activation != Activation::kGelu && activation != Activation::kSilu;
}

// A window that goes over pictures of rows, columns and channels.
struct Window {
  uint32_t height = 1;
  uint32_t width = 1;
  uint32_t stride = 1;   // Both ways.
  uint32_t padding = 0;  // Zeros at each of the four edges.
};

struct Convolution {
  Window window;
  uint32_t groups = 1;  // Channels of one group see those of the same group alone.
};

enum class Pooling : uint8_t { kMax, kAverage };

enum class RecurrentCell : uint8_t { kTanh, kLstm };

// Which way a loss reads the difference of output and target.
enum class Distance : uint8_t { kAbsolute, kSquared };

// The streams that each backend has: work of one is done in order.
enum class Stream : uint8_t { kCompute, kCopyIn, kCopyOut };

// A place in a stream. Good for kEventsMax more of that stream.
struct Event {
  static constexpr uint64_t kEventsMax = 16384;
  uint64_t id = 0;
};

// Work that is asked for again and again: see Backend::BeginRecording.
struct Recording {
  uint64_t id = 0;
};

// What came of asking for operations that are to be recorded.
enum class Asked : uint8_t {
  kDone,      // They are begun, and are to be asked for the next time, too.
  kRecorded,  // They are begun, and need not be asked for any more.
  kRefused,   // None of them is begun: they are to be asked for once more.
};

// How many convolutions a device has seen, of one shape and way each, by what does them.
struct ConvolutionCounts {
  uint64_t by_library = 0;
  uint64_t by_kernels = 0;  // Of our own, as the library does none like it: slower.
};

// The parameters of a recurrent layer, or the gradients by them. A cell of kLstm has four gates, in
// the order input, forget, candidate, output; kTanh has one.
template <class T>
struct RecurrentWeights {
  TensorView<T> input;      // [inputs, gates * units]
  TensorView<T> recurrent;  // [units, gates * units]
  TensorView<T> bias;       // [gates * units]
};

// A device: its memory, its streams, and one function an operation on plain views into that memory.
// Operations run on Stream::kCompute, on the CPU before the call returns. Pictures are [rows,
// height, width, channels]. An output is written whole unless the words say that it is added to,
// and the views must not overlap unless they say so too. The same arguments give the same bits.
// Made and used on the thread of whoever trains, who owns it. Views that do not fit each other are
// our own bug; memory that is not there is an answer; a device that fails says so when it is waited
// for.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual const char* name() const = 0;
  // Whether its memory is the host's, so that what lies there can be lent as it is.
  virtual bool on_host() const = 0;

  // At least so many floats at a cache line, or null where there is no room.
  virtual float* Allocate(uint64_t floats) = 0;
  virtual void Release(float* memory) = 0;
  // The same of the host's memory, such as copies need not wait for.
  virtual float* AllocateHost(uint64_t floats) = 0;
  virtual void ReleaseHost(float* memory) = 0;
  // Bytes of its memory that are free; none where it cannot tell.
  virtual std::optional<uint64_t> FreeBytes() const = 0;
  // Between this device's memory and the host's, in that stream: the host's is this call's until an
  // event after it is over.
  virtual void CopyIn(std::span<const float> host, Tensor to) = 0;
  virtual void CopyOut(ConstTensor from, std::span<float> host) = 0;
  virtual Event Record(Stream stream) = 0;
  virtual void Wait(Stream stream, Event event) = 0;
  // False where the device has failed; nothing that it made since is to be trusted.
  virtual bool Synchronize(Event event) = 0;
  // What failed then, in words.
  virtual const char* failure() const = 0;

  // What is asked of Stream::kCompute between Begin and End is the same each time: operations and
  // their arguments, in memory that stays where it is. When it has been done once, a device may
  // record it, and do it from then on without being asked for each operation.
  virtual Recording AddRecording() = 0;
  virtual void RemoveRecording(Recording recording) = 0;
  // Whether the operations are to be asked for now, and then End called; else they are begun.
  virtual bool BeginRecording(Recording recording) = 0;
  // Where it refuses, it records nothing from then on.
  virtual Asked EndRecording() = 0;
  // Why it could not, in words.
  virtual const char* not_recorded() const = 0;
  virtual ConvolutionCounts convolutions() const = 0;

  // Plain work on numbers.
  virtual void Fill(float value, Tensor out) = 0;
  virtual void Copy(ConstMatrix from, Matrix to) = 0;
  virtual void Add(ConstTensor from, Tensor sum) = 0;  // sum += from.
  // out = left right, number by number; `out` may be one of them.
  virtual void Multiply(ConstTensor left, ConstTensor right, Tensor out) = 0;
  // Rounded to 16 bits, two numbers in each float of `out`: see nn/ops/bf16.h. Of an odd one the
  // other half is 0.
  virtual void Halve(ConstTensor in, Tensor out) = 0;
  // gradient += l1 sign(weight) + l2 weight; penalty [1] = l1 |weight| + l2/2 |weight|^2, summed
  // up.
  virtual void Regularize(float l1, float l2, ConstTensor weight, Tensor gradient,
                          Tensor penalty) = 0;

  // One step of the rule that the optimizer is of, on numbers that lie here: `state` has its slots
  // one after the other, each of the parameter's size.
  virtual void Step(const Optimizer& by, const UpdateTime& time, ConstTensor gradient,
                    Tensor parameter, Tensor state) = 0;
  // The sum of the squares as a double, in the place of two floats. It is finite just where all
  // numbers are.
  virtual void SumSquares(ConstTensor in, Tensor sum) = 0;

  // output = f(input weight + bias). input [rows, in], weight [in, out], bias [out] or none.
  virtual void Affine(ConstMatrix input, ConstTensor weight, ConstTensor bias,
                      const Elementwise& after, Matrix output) = 0;
  virtual void AffineInputGradient(ConstMatrix output_gradient, ConstTensor weight,
                                   Matrix input_gradient) = 0;
  virtual void AffineParameterGradients(ConstMatrix input, ConstMatrix output_gradient,
                                        Tensor weight_gradient, Tensor bias_gradient) = 0;

  // `out` may be `in`.
  virtual void Apply(const Elementwise& function, ConstTensor in, Tensor out) = 0;
  // `seen` is what came out or went in, see InvertsFromOutput. The gradients may be the same.
  virtual void ApplyGradient(const Elementwise& function, ConstTensor seen,
                             ConstTensor output_gradient, Tensor input_gradient) = 0;

  // weight [height, width, channels in of a group, channels out]; bias [channels out] or none.
  virtual void Convolve(const Convolution& how, ConstTensor input, ConstTensor weight,
                        ConstTensor bias, const Elementwise& after, Tensor output) = 0;
  virtual void ConvolveInputGradient(const Convolution& how, ConstTensor output_gradient,
                                     ConstTensor weight, Tensor input_gradient) = 0;
  virtual void ConvolveParameterGradients(const Convolution& how, ConstTensor input,
                                          ConstTensor output_gradient, Tensor weight_gradient,
                                          Tensor bias_gradient) = 0;

  // An average is over the places that lie in the picture.
  virtual void Pool(Pooling pooling, const Window& window, ConstTensor input, Tensor output) = 0;
  // Of several places that are greatest the first one counts.
  virtual void PoolGradient(Pooling pooling, const Window& window, ConstTensor input,
                            ConstTensor output, ConstTensor output_gradient,
                            Tensor input_gradient) = 0;

  // Of norms and softmax, too, the gradients by output and input may be the same.
  // By column over the rows of a batch; mean and deviation [columns] are what it found, the latter
  // as 1 / sqrt(variance + epsilon), with the variance over n rows.
  virtual void BatchNorm(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                         Matrix output, Tensor mean, Tensor inverse_deviation) = 0;
  // The same with a mean and a variance that are given.
  virtual void BatchNormWith(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                             ConstTensor mean, ConstTensor variance, Matrix output) = 0;
  virtual void BatchNormGradient(ConstMatrix input, ConstTensor scale, ConstTensor mean,
                                 ConstTensor inverse_deviation, ConstMatrix output_gradient,
                                 Matrix input_gradient, Tensor scale_gradient,
                                 Tensor shift_gradient) = 0;
  // gradient = running - what the batch has: a step of 1 - momentum along it keeps the average.
  virtual void BatchNormStatistics(uint64_t rows, float epsilon, ConstTensor mean,
                                   ConstTensor inverse_deviation, ConstTensor running_mean,
                                   ConstTensor running_variance, Tensor mean_gradient,
                                   Tensor variance_gradient) = 0;
  // By row over its columns; mean and deviation [rows].
  virtual void LayerNorm(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                         Matrix output, Tensor mean, Tensor inverse_deviation) = 0;
  virtual void LayerNormGradient(ConstMatrix input, ConstTensor scale, ConstTensor mean,
                                 ConstTensor inverse_deviation, ConstMatrix output_gradient,
                                 Matrix input_gradient, Tensor scale_gradient,
                                 Tensor shift_gradient) = 0;

  virtual void Softmax(ConstMatrix input, Matrix output) = 0;
  virtual void SoftmaxGradient(ConstMatrix output, ConstMatrix output_gradient,
                               Matrix input_gradient) = 0;
  // Sets numbers to zero by chance and scales up the rest; by the chance and a number's place
  // alone, so that gradients take the same way. `out` may be `in`.
  virtual void Dropout(uint64_t chance, float rate, ConstTensor in, Tensor out) = 0;

  // output [ids, dim]: the rows of the table [rows, dim] that the ids name.
  virtual void Gather(IndexTensor ids, ConstTensor table, Tensor output) = 0;
  // The way back, added to what is there.
  virtual void AddRows(IndexTensor ids, ConstTensor output_gradient, Tensor table_gradient) = 0;
  // output = f(input weight + bias) of sparse rows, whose ids name rows of weight [ids, out]; bias
  // [out] or none.
  virtual void SparseAffine(const SparseRows& input, ConstTensor weight, ConstTensor bias,
                            const Elementwise& after, Tensor output) = 0;
  // Zeros in rows that no id names. One that is empty is not wanted.
  virtual void SparseAffineGradients(const SparseRows& input, ConstTensor output_gradient,
                                     Tensor weight_gradient, Tensor bias_gradient) = 0;

  // input [rows, fields, dim], output [rows, 1]: the sum of the products of each two fields.
  virtual void PairwiseProducts(ConstTensor input, Tensor output) = 0;
  virtual void PairwiseProductsGradient(ConstTensor input, ConstTensor output_gradient,
                                        Tensor input_gradient) = 0;

  // input [rows, times, in], output [rows, times, units]. `saved` is for the way back and of
  // RecurrentSaved(...) floats a row.
  virtual uint64_t RecurrentSaved(RecurrentCell cell, uint64_t times, uint64_t units) = 0;
  virtual void Recur(RecurrentCell cell, ConstTensor input, const RecurrentWeights<const float>& by,
                     Tensor output, Tensor saved) = 0;
  // `saved` is used up. An empty input gradient is not wanted.
  virtual void RecurGradient(RecurrentCell cell, ConstTensor input,
                             const RecurrentWeights<const float>& by, ConstTensor output,
                             ConstTensor output_gradient, Tensor saved, Tensor input_gradient,
                             const RecurrentWeights<float>& gradients) = 0;

  // Losses write what each row loses, and the gradient of `scale` times their sum unless it is
  // empty. Labels must be below the number of columns.
  virtual void SoftmaxCrossEntropy(ConstMatrix logits, std::span<const uint32_t> labels,
                                   float scale, Tensor row_losses, Tensor gradient) = 0;
  // output and targets [rows, columns]; a row loses the mean over its columns. Of the log loss
  // targets are in [0, 1] and outputs the logarithms of odds.
  virtual void LogLoss(ConstMatrix output, std::span<const float> targets, float scale,
                       Tensor row_losses, Tensor gradient) = 0;
  virtual void DistanceLoss(Distance distance, ConstMatrix output, std::span<const float> targets,
                            float scale, Tensor row_losses, Tensor gradient) = 0;
};

}  // namespace shardmill::nn
