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
  // Refuses a network that does not fit itself, or cannot tell the data's classes apart.
  static Result<std::unique_ptr<NetworkModel>> Make(const nn::NetworkSpec& spec, uint32_t classes,
                                                    uint64_t seed);

  std::span<const ParameterSpec> Parameters() const override { return parameters_; }
  Result<double> Train(const Batch& batch, std::span<const std::span<const float>> parameters,
                       std::span<const std::span<float>> gradients) override;
  Result<Evaluation> Evaluate(const Batch& batch,
                              std::span<const std::span<const float>> parameters) override;

 private:
  NetworkModel(std::unique_ptr<nn::Backend> backend, std::unique_ptr<nn::Network> network,
               uint64_t seed);

  const std::unique_ptr<nn::Backend> backend_;  // Outlives the network.
  const std::unique_ptr<nn::Network> network_;
  std::vector<ParameterSpec> parameters_;
};

}  // namespace shardmill
