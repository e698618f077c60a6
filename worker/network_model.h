#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/model.h"
#include "nn/network.h"
#include "worker/device.h"

namespace shardmill {

// A column of batches that has numbers, of so many each row.
struct TargetColumn {
  size_t column = 0;
  uint64_t row_size = 0;
};

// What a network does not know of the job that trains it.
struct NetworkSettings {
  UpdateSettings update = {};  // The job's: matters to layers with a rate of their own.
  // How often the servers take a batch's statistics in a round that they were meant to take once.
  uint32_t statistics = 1;
  // The column of batches that each of the network's inputs is; none listed: all in their order.
  std::vector<size_t> columns = {};
  // What the output is compared with instead of the batches' labels or values.
  std::optional<TargetColumn> target = {};
  // Updates of layers that name one, by the layer's name.
  std::vector<std::pair<std::string, UpdateSettings>> updates = {};
};

// A network of nn/ as a Model. Owned by the trainer and used on its thread. Fails as Model says.
class NetworkModel final : public Model {
 public:
  // Refuses a network that does not fit itself, or cannot tell the data's classes apart. `classes`:
  // of the labels; 0: what is learnt are numbers.
  static Result<std::unique_ptr<NetworkModel>> Make(const nn::NetworkSpec& spec, uint32_t classes,
                                                    uint64_t seed,
                                                    const NetworkSettings& settings = {},
                                                    Device device = Processor());

  // What it computes on, in words.
  const std::string& device() const { return device_.words; }
  // What the network makes of a row.
  const nn::Shape& output() const { return network_->output(); }
  // Whether classes are learnt; else numbers.
  bool reads_labels() const { return network_->reads_labels(); }
  // Words where a batch of so many rows is too small to train with; else empty.
  std::string ShortBatchWords(uint64_t rows) const { return network_->ShortBatchWords(rows); }
  // What may keep the parameters: see nn::Network.
  nn::Network& network() { return *network_; }
  // Why a process that steps the parameters by itself fetches gradients for that, in words.
  void SayStepsOnHost(std::string why) { steps_on_host_ = std::move(why); }
  const std::string& steps_on_host() const { return steps_on_host_; }
  uint64_t steps_on_device() const {
    const nn::Kept* kept = std::as_const(*network_).kept();
    return kept == nullptr ? 0 : kept->steps();
  }
  // Whether the device's memory is the host's.
  bool on_host() const { return device_.backend->on_host(); }
  // See nn::Network.
  Result<> MakeRoom(uint64_t rows);
  const nn::StepMemory& memory() const { return network_->memory(); }
  const nn::PieceCounts& pieces() const { return network_->pieces(); }
  std::string NotRecordedWords() const { return network_->NotRecordedWords(); }
  nn::ConvolutionCounts convolutions() const { return device_.backend->convolutions(); }
  // What outputs are compared with, where it is no label or value.
  std::optional<size_t> target_column() const {
    return target_ ? std::optional(target_->column) : std::nullopt;
  }

  // What it reads, and the column of batches that each of it is.
  std::span<const nn::GraphValue> inputs() const { return network_->inputs(); }
  size_t column_of(size_t input) const { return columns_[input]; }

  std::span<const ParameterSpec> Parameters() const override { return parameters_; }
  Result<double> Train(const Batch& batch, std::span<const std::span<const float>> parameters,
                       std::span<const std::span<float>> gradients) override;
  Result<double> TrainInFlow(const Batch& batch, std::span<const std::span<const float>> parameters,
                             std::span<const std::span<float>> gradients,
                             ParameterFlow& flow) override;
  Result<Evaluation> Evaluate(const Batch& batch,
                              std::span<const std::span<const float>> parameters) override;
  // The outputs, row after row, until the next call. What is to be learnt is not read.
  Result<std::span<const float>> Predict(const Batch& batch,
                                         std::span<const std::span<const float>> parameters);

 private:
  NetworkModel(Device device, std::unique_ptr<nn::Network> network,
               std::vector<ParameterSpec> parameters, const NetworkSettings& settings);

  // Borrows from the batch until the next call.
  Result<nn::Samples> SamplesOf(const Batch& batch);

  const Device device_;  // Outlives the network.
  const std::unique_ptr<nn::Network> network_;
  const std::vector<ParameterSpec> parameters_;
  const std::optional<TargetColumn> target_;
  std::vector<size_t> columns_;  // Of each of the network's inputs.
  std::vector<nn::Input> inputs_;
  std::string steps_on_host_;
};

}  // namespace shardmill
