#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/network.h"
#include "nn/ops/cpu/backend.h"

namespace shardmill::nn {

// A network together with a batch, and weights and gradients to lend it.
class NetworkFixture final {
 public:
  // Not on the host: on a backend that is lent copies alone.
  explicit NetworkFixture(const NetworkSpec& spec, bool on_host = true);
  // On another backend, which outlives it.
  NetworkFixture(const NetworkSpec& spec, Backend& backend);

  // Random numbers, ids and labels, of up to so many rows; others for each seed.
  void MakeBatch(uint64_t rows, uint64_t seed = 0);
  void SetChance(uint64_t chance) { chance_ = chance; }

  Result<double> Train(uint64_t rows, ParameterFlow* flow = nullptr);
  Result<LossSums> Evaluate(uint64_t rows);
  Result<std::span<const float>> Predict(uint64_t rows);

  // The greatest difference between the gradients of all parameters, after Train, and those of five
  // points near each number.
  double GreatestError(uint64_t rows);

  // Borrowed until the next batch.
  Samples Batch(uint64_t rows);

  Network& network() { return *network_; }
  const Network& network() const { return *network_; }
  std::vector<std::vector<float>>& parameters() { return parameters_; }
  std::vector<std::span<const float>>& lent_parameters() { return lent_parameters_; }
  const std::vector<std::vector<float>>& gradients() const { return gradients_; }

 private:
  void MakeParameters();

  CpuBackend processor_;
  std::unique_ptr<Network> network_;
  uint64_t chance_ = 1;
  std::vector<std::vector<float>> numbers_;
  std::vector<std::vector<uint32_t>> ids_;
  std::vector<std::vector<uint64_t>> ends_;
  std::vector<uint32_t> labels_;
  std::vector<Input> inputs_;
  std::vector<std::vector<float>> parameters_, gradients_;
  std::vector<std::span<const float>> lent_parameters_;
  std::vector<std::span<float>> lent_gradients_;
};

// A graph with every family of layers, three inputs, and values that several layers read.
NetworkSpec ManyLayersSpec();

}  // namespace shardmill::nn
