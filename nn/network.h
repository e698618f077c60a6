#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/parameter_flow.h"
#include "common/result.h"
#include "nn/arena.h"
#include "nn/graph.h"
#include "nn/loss.h"
#include "nn/network_spec.h"
#include "nn/samples.h"
#include "nn/step_plan.h"
#include "nn/transfer.h"

namespace shardmill::nn {

// A graph of layers and a loss at its end. It owns its layers and the memory of one step, but no
// weights: they are lent for each call, one span a parameter, in the order and of the sizes of
// parameters(). Used by one thread. The same arguments give the same bits, and after the largest
// batch has been seen nothing is allocated. All that is lent lies in the host's memory; where the
// backend has memory of its own, it is copied in and out while the backend computes. What a batch
// gets wrong is an error in words; spans that do not match parameters() are our own bug.
class Network final {
 public:
  // Refuses what does not fit together, naming the layer. The backend must outlive it.
  static Result<std::unique_ptr<Network>> Make(const NetworkSpec& spec, Backend& backend);

  // Named after the layer, "affine_2.weight".
  std::span<const ParameterInfo> parameters() const { return graph_.parameters; }
  std::span<const GraphValue> inputs() const {
    return std::span(graph_.values).first(graph_.inputs);
  }
  const Shape& output() const { return graph_.output().type.row; }
  bool reads_labels() const { return loss_->ReadsLabels(); }  // Else values.

  // Words where a batch of so many rows is too small to train with, naming the layer.
  std::string ShortBatchWords(uint64_t rows) const;

  // Where training starts: a function of the seed and the parameter's index.
  Initial InitialOf(uint64_t seed, size_t parameter) const;

  // Fills `gradients` with those of the mean loss over the batch and returns it, or zeros for a
  // batch without rows. A layer's parameters are waited for when it is its turn, and each gradient
  // is sent as soon as it is final, the last layer's first; where there is no flow, all are there.
  Result<double> Train(const Samples& samples, std::span<const std::span<const float>> parameters,
                       std::span<const std::span<float>> gradients, ParameterFlow* flow = nullptr);

  Result<LossSums> Evaluate(const Samples& samples,
                            std::span<const std::span<const float>> parameters);
  // The output of each row, in the host's memory until the next call. Targets are not read.
  Result<std::span<const float>> Predict(const Samples& samples,
                                         std::span<const std::span<const float>> parameters);

 private:
  // Where the tensors of a step lie: in training, or where there is no way back.
  struct Layout {
    StepPlan plan;
    std::vector<size_t> activations;          // Of each value's home.
    std::vector<size_t> gradients;            // Of each value that wants one.
    std::vector<size_t> saved;                // Of each node.
    std::vector<std::vector<size_t>> asides;  // Of each node's inputs whose gradient is added.
    size_t losses = 0;  // Of each row, and behind them the penalty of each regularized parameter.
  };

  Network(const NetworkSpec& spec, Graph graph, std::unique_ptr<Loss> loss, Backend& backend);

  void LayOut(bool training);
  void LayOutGradients();
  // Words where the batch does not fit this network.
  Result<> CheckInputs(const Samples& samples) const;
  Result<> CheckSize(const GraphValue& value, const Input& input, uint64_t rows) const;
  Result<> CheckTargets(const Samples& samples);
  // Room for a call's tensors; the batch as the backend reads it. Without gradients there is no way
  // back.
  Result<Samples> Lend(const Samples& samples, std::span<const std::span<const float>> parameters,
                       std::span<const std::span<float>> gradients);
  // Those of a batch whose targets are in targets_.
  Result<std::span<const float>> Outputs(const Samples& samples,
                                         std::span<const std::span<const float>> parameters);
  // From values to gradients, of a batch that was lent.
  Result<double> Step(const Samples& lent, std::span<const std::span<float>> gradients,
                      ParameterFlow* flow);
  // Waits for what a step that failed has left under way, which reads what the next one writes.
  void Settle();
  void LendGradients(std::span<const std::span<float>> gradients);
  // Makes the values of all nodes.
  Result<> Forward(const Samples& samples, bool training, ParameterFlow* flow);
  void ForwardThrough(size_t index, const Samples& samples, bool training);
  Result<> AwaitParameters(const GraphNode& node, ParameterFlow* flow);
  // The gradients of a batch without rows.
  Result<> SendZeros(std::span<const std::span<float>> gradients, ParameterFlow* flow);
  Result<> Backward(const Samples& samples, ParameterFlow* flow);
  // Waits for the gradients that are on their way to the host, in the order in which they left.
  Result<> AwaitGradients(std::span<const std::span<float>> gradients, ParameterFlow* flow);
  bool Regularizes(const ParameterInfo& info) const;
  void BackwardThrough(size_t index, const Samples& samples);
  Tensor Take(size_t tensor, const Shape& shape) const;
  Tensor GradientOf(uint32_t value, uint64_t rows) const;
  Error NoRoom(uint64_t rows, uint64_t floats) const;
  Error Failed() const;

  Backend& backend_;
  const Graph graph_;
  const std::unique_ptr<Loss> loss_;
  const float l1_;
  const float l2_;
  uint64_t rows_min_ = 1;
  uint64_t rows_max_ = 0;
  Layout training_;
  Layout evaluation_;
  Layout* layout_ = nullptr;  // Of the call under way.
  Arena arena_;
  std::optional<Transfer> transfer_;  // Where the backend's memory is not the host's.
  size_t regularized_ = 0;            // How many parameters are.
  // For the call under way.
  std::vector<uint64_t> sizes_;                   // Of the parameters.
  std::span<const std::span<const float>> lent_;  // Where parameters lie, once they are there.
  std::vector<ConstTensor> lent_parameters_;
  std::vector<Tensor> lent_gradients_;
  std::vector<Tensor> wanted_gradients_;  // The same, but empty where nothing is trained.
  std::vector<Value> values_;
  std::vector<Value> node_inputs_;
  std::vector<Tensor> node_gradients_;
  Targets targets_;                  // In the host's memory.
  Targets lent_targets_;             // In the backend's.
  std::vector<float> label_values_;  // Labels, for a loss that reads numbers.
  Arena host_losses_;
  Arena host_output_;
};

}  // namespace shardmill::nn
