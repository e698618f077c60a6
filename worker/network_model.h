#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "client/model.h"
#include "nn/backend.h"
#include "nn/network.h"

namespace shardmill {

// A network of nn/ as a Model. Owned by the trainer and used on its thread. Fails as Model says.
class NetworkModel final : public Model {
 public:
  // Refuses a network that does not fit itself, or cannot tell the data's classes apart. What the
  // job's update is matters to layers with a rate of their own; `statistics` is how often the
  // servers take a batch's statistics in a round that they were meant to take once.
  static Result<std::unique_ptr<NetworkModel>> Make(const nn::NetworkSpec& spec, uint32_t classes,
                                                    uint64_t seed,
                                                    const UpdateSettings& update = {},
                                                    uint32_t statistics = 1);

  std::span<const ParameterSpec> Parameters() const override { return parameters_; }
  Result<double> Train(const Batch& batch, std::span<const std::span<const float>> parameters,
                       std::span<const std::span<float>> gradients) override;
  Result<double> TrainInFlow(const Batch& batch, std::span<const std::span<const float>> parameters,
                             std::span<const std::span<float>> gradients,
                             ParameterFlow& flow) override;
  Result<Evaluation> Evaluate(const Batch& batch,
                              std::span<const std::span<const float>> parameters) override;

 private:
  NetworkModel(std::unique_ptr<nn::Backend> backend, std::unique_ptr<nn::Network> network,
               std::vector<ParameterSpec> parameters);
  Result<double> TrainWith(const Batch& batch, std::span<const std::span<const float>> parameters,
                           std::span<const std::span<float>> gradients, ParameterFlow* flow);

  const std::unique_ptr<nn::Backend> backend_;  // Outlives the network.
  const std::unique_ptr<nn::Network> network_;
  const std::vector<ParameterSpec> parameters_;
};

}  // namespace shardmill
