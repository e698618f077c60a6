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
#include "nn/kept.h"
#include "nn/loss.h"
#include "nn/network_spec.h"
#include "nn/recordings.h"
#include "nn/samples.h"
#include "nn/step_layout.h"
#include "nn/transfer.h"

namespace shardmill::nn {

// The block of memory of a training step.
struct StepMemory {
  uint64_t rows = 0;  // For which it has room.
  uint64_t bytes = 0;
  uint64_t bytes_if_kept = 0;  // Were all kept for the way back.
  // Layers that are gone through again, and what that is of the products of the way forward.
  std::vector<std::string> again = {};
  double share_again = 0;
};

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

  // About how many products a row takes on the way forward.
  uint64_t products() const;
  // The same of a training step, in which all is kept for the way back.
  uint64_t products_of_step() const;

  // Takes the memory for training with batches of up to so many rows, which else is taken with the
  // first that is so large. Where it does not fit, layers are gone through again on the way back as
  // the spec allows, which gives the same bits.
  Result<> MakeRoom(uint64_t rows);
  const StepMemory& memory() const { return memory_; }

  // How a device with memory of its own has done the pieces of passes; and why it has recorded
  // none, where it cannot.
  const PieceCounts& pieces() const { return recordings_.counts(); }
  std::string NotRecordedWords() const;

  // Where the backend has memory of its own: has parameters of a fixed size stay there, to be
  // stepped by these rules, one each, which must outlive this. Before the first training. What is
  // lent of them is read where kept() says that the host's values count, and by evaluations; their
  // gradients are not fetched. False where there is no room; and where MakeRoom finds none for a
  // step beside them, they stay no longer.
  bool Keep(std::span<const Optimizer* const> rules);
  static constexpr const char* kNotKept =
      "the device has no memory of its own, or none for what the optimizer keeps";
  Kept* kept() { return kept_parameters_ ? &*kept_parameters_ : nullptr; }
  const Kept* kept() const { return kept_parameters_ ? &*kept_parameters_ : nullptr; }

  // What to say where the device has failed.
  Error Failed() const;

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
  Network(const NetworkSpec& spec, Graph graph, std::unique_ptr<Loss> loss, Backend& backend);

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
  // Places the layout and takes the memory for it; false where there is none.
  bool Hold(StepLayout& layout, uint64_t rows);
  bool HoldTraining(uint64_t rows);
  // Floats that a block may have, so that operations find some for themselves.
  uint64_t RoomOfBlock() const;
  Result<> MakeRoomForBatch(uint64_t rows);
  Result<> MakeRoomToEvaluate(uint64_t rows);
  // Of one whose batch and parameters have theirs.
  Result<> MakeRoomForStep(uint64_t rows);
  // Where the device has memory of its own: for a batch of so many floats and the parameters, of
  // sizes_.
  Result<> ReserveTransfer(uint64_t rows, uint64_t batch, bool training);
  // About how many floats a batch takes; of sparse rows it cannot be said.
  uint64_t BatchFloats(uint64_t rows) const;
  void GiveUpRoom();
  // Floats that a piece of a step brings or sends at the least.
  uint64_t PieceFloats() const;
  void CutWayBack();
  void ChooseRecordings(const Samples& lent, bool training);
  // Makes the values of all nodes.
  Result<> Forward(const Samples& samples, ParameterFlow* flow);
  // Again: on the way back. Where the device is not asked, it makes them by itself.
  void ForwardThrough(size_t index, const Samples& samples, bool again, bool asks);
  Result<> AwaitParameters(const GraphNode& node, ParameterFlow* flow);
  // The gradients of a batch without rows.
  Result<> SendZeros(std::span<const std::span<float>> gradients, ParameterFlow* flow);
  Result<> Backward(const Samples& samples, ParameterFlow* flow);
  // Waits for the gradients that are on their way to the host, in the order in which they left.
  Result<> AwaitGradients(std::span<const std::span<float>> gradients, ParameterFlow* flow);
  bool Regularizes(const ParameterInfo& info) const;
  bool Keeps(size_t parameter) const {
    return kept_parameters_ && kept_parameters_->has(parameter);
  }
  void BringParameter(size_t parameter);
  void BackwardThrough(size_t index, const Samples& samples);
  // What of a node's gradients its layer does not make.
  void FinishGradients(const GraphNode& node, uint64_t rows);
  Result<> SendGradients(const GraphNode& node, ParameterFlow* flow);
  Tensor Take(uint64_t offset, const Shape& shape) const;
  std::span<float> SavedOf(size_t node, uint64_t rows, bool again) const;
  Tensor GradientOf(uint32_t value, uint64_t rows) const;
  Error NoRoom(uint64_t rows, uint64_t floats, bool of_step = false) const;
  Error NoRoomFor(const Shortage& shortage, uint64_t rows) const;

  Backend& backend_;
  const Graph graph_;
  const std::unique_ptr<Loss> loss_;
  const float l1_;
  const float l2_;
  uint64_t rows_min_ = 1;
  uint64_t rows_max_ = 0;
  const Recompute recompute_;
  const uint64_t memory_max_;       // Floats of the block.
  size_t regularized_ = 0;          // How many parameters are.
  std::vector<size_t> penalty_of_;  // Of each that is, which of the penalties.
  StepParts parts_;
  StepLayout training_;
  StepLayout evaluation_;
  const StepLayout* layout_ = nullptr;  // Of the call under way.
  StepMemory memory_;
  uint64_t wanted_ = 0;          // Floats of the block that was asked for last.
  uint64_t floats_if_kept_ = 0;  // Of a training step that gives up nothing.
  Arena arena_;
  std::optional<Transfer> transfer_;     // Where the backend's memory is not the host's.
  std::optional<Kept> kept_parameters_;  // Where parameters stay there.
  // What steps are made of, and what of it the device does by itself.
  const std::string varies_;     // What is not the same in all steps, in words.
  std::vector<bool> by_chance_;  // Each node.
  std::vector<Piece> forward_;
  std::vector<Piece> back_;
  Recordings recordings_;
  std::vector<const void*> places_;  // Of what the call under way reads.
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
