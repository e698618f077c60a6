#pragma once

#include <memory>

#include "common/result.h"
#include "nn/backend.h"
#include "nn/backend_plugin.h"

namespace shardmill::nn {

class Card;
class ConvolutionPlans;

// A card: cuBLAS for products, cuDNN for convolutions, kernels of our own for the rest, by the same
// formulas as the CPU's and in the same files. Operations are only begun when a call returns. Made
// and used on one thread, which owns it.
class CudaBackend final : public Backend {
 public:
  // Fails in words where there is no card that can be used.
  static Result<std::unique_ptr<CudaBackend>> Make(const BackendSettings& settings);
  ~CudaBackend() override;
  CudaBackend(const CudaBackend&) = delete;
  CudaBackend& operator=(const CudaBackend&) = delete;

  const char* name() const override;
  bool on_host() const override { return false; }
  float* Allocate(uint64_t floats) override;
  void Release(float* memory) override;
  float* AllocateHost(uint64_t floats) override;
  void ReleaseHost(float* memory) override;
  std::optional<uint64_t> FreeBytes() const override;
  void CopyIn(std::span<const float> host, Tensor to) override;
  void CopyOut(ConstTensor from, std::span<float> host) override;
  Event Record(Stream stream) override;
  void Wait(Stream stream, Event event) override;
  bool Synchronize(Event event) override;
  Recording AddRecording() override;
  void RemoveRecording(Recording recording) override;
  bool BeginRecording(Recording recording) override;
  Asked EndRecording() override;
  const char* not_recorded() const override;
  ConvolutionCounts convolutions() const override;
  const char* failure() const override;
  void Fill(float value, Tensor out) override;
  void Copy(ConstMatrix from, Matrix to) override;
  void Add(ConstTensor from, Tensor sum) override;
  void Multiply(ConstTensor left, ConstTensor right, Tensor out) override;
  void Halve(ConstTensor in, Tensor out) override;
  void Regularize(float l1, float l2, ConstTensor weight, Tensor gradient, Tensor penalty) override;
  void Step(const Optimizer& by, const UpdateTime& time, ConstTensor gradient, Tensor parameter,
            Tensor state) override;
  void SumSquares(ConstTensor in, Tensor sum) override;
  void Affine(ConstMatrix input, ConstTensor weight, ConstTensor bias, const Elementwise& after,
              Matrix output) override;
  void AffineInputGradient(ConstMatrix output_gradient, ConstTensor weight,
                           Matrix input_gradient) override;
  void AffineParameterGradients(ConstMatrix input, ConstMatrix output_gradient,
                                Tensor weight_gradient, Tensor bias_gradient) override;
  void Apply(const Elementwise& function, ConstTensor in, Tensor out) override;
  void ApplyGradient(const Elementwise& function, ConstTensor seen, ConstTensor output_gradient,
                     Tensor input_gradient) override;
  void Convolve(const Convolution& how, ConstTensor input, ConstTensor weight, ConstTensor bias,
                const Elementwise& after, Tensor output) override;
  void ConvolveInputGradient(const Convolution& how, ConstTensor output_gradient,
                             ConstTensor weight, Tensor input_gradient) override;
  void ConvolveParameterGradients(const Convolution& how, ConstTensor input,
                                  ConstTensor output_gradient, Tensor weight_gradient,
                                  Tensor bias_gradient) override;
  void Pool(Pooling pooling, const Window& window, ConstTensor input, Tensor output) override;
  void PoolGradient(Pooling pooling, const Window& window, ConstTensor input, ConstTensor output,
                    ConstTensor output_gradient, Tensor input_gradient) override;
  void BatchNorm(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                 Matrix output, Tensor mean, Tensor inverse_deviation) override;
  void BatchNormWith(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                     ConstTensor mean, ConstTensor variance, Matrix output) override;
  void BatchNormGradient(ConstMatrix input, ConstTensor scale, ConstTensor mean,
                         ConstTensor inverse_deviation, ConstMatrix output_gradient,
                         Matrix input_gradient, Tensor scale_gradient,
                         Tensor shift_gradient) override;
  void BatchNormStatistics(uint64_t rows, float epsilon, ConstTensor mean,
                           ConstTensor inverse_deviation, ConstTensor running_mean,
                           ConstTensor running_variance, Tensor mean_gradient,
                           Tensor variance_gradient) override;
  void LayerNorm(ConstMatrix input, ConstTensor scale, ConstTensor shift, float epsilon,
                 Matrix output, Tensor mean, Tensor inverse_deviation) override;
  void LayerNormGradient(ConstMatrix input, ConstTensor scale, ConstTensor mean,
                         ConstTensor inverse_deviation, ConstMatrix output_gradient,
                         Matrix input_gradient, Tensor scale_gradient,
                         Tensor shift_gradient) override;
  void Softmax(ConstMatrix input, Matrix output) override;
  void SoftmaxGradient(ConstMatrix output, ConstMatrix output_gradient,
                       Matrix input_gradient) override;
  void Dropout(uint64_t chance, float rate, ConstTensor in, Tensor out) override;
  void Gather(IndexTensor ids, ConstTensor table, Tensor output) override;
  void AddRows(IndexTensor ids, ConstTensor output_gradient, Tensor table_gradient) override;
  void SparseAffine(const SparseRows& input, ConstTensor weight, ConstTensor bias,
                    const Elementwise& after, Tensor output) override;
  void SparseAffineGradients(const SparseRows& input, ConstTensor output_gradient,
                             Tensor weight_gradient, Tensor bias_gradient) override;
  void PairwiseProducts(ConstTensor input, Tensor output) override;
  void PairwiseProductsGradient(ConstTensor input, ConstTensor output_gradient,
                                Tensor input_gradient) override;
  uint64_t RecurrentSaved(RecurrentCell cell, uint64_t times, uint64_t units) override;
  void Recur(RecurrentCell cell, ConstTensor input, const RecurrentWeights<const float>& by,
             Tensor output, Tensor saved) override;
  void RecurGradient(RecurrentCell cell, ConstTensor input, const RecurrentWeights<const float>& by,
                     ConstTensor output, ConstTensor output_gradient, Tensor saved,
                     Tensor input_gradient, const RecurrentWeights<float>& gradients) override;
  void SoftmaxCrossEntropy(ConstMatrix logits, std::span<const uint32_t> labels, float scale,
                           Tensor row_losses, Tensor gradient) override;
  void LogLoss(ConstMatrix output, std::span<const float> targets, float scale, Tensor row_losses,
               Tensor gradient) override;
  void DistanceLoss(Distance distance, ConstMatrix output, std::span<const float> targets,
                    float scale, Tensor row_losses, Tensor gradient) override;

 private:
  explicit CudaBackend(std::unique_ptr<Card> card);

  const std::unique_ptr<Card> card_;
  const std::unique_ptr<ConvolutionPlans> convolutions_;
};

}  // namespace shardmill::nn
