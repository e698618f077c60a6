#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/nets.h"
#include "common/result.h"
#include "nn/network.h"
#include "optim/optimizer.h"
#include "worker/device.h"

namespace shardmill::bench {

// What a step may keep and take.
struct StepRoom {
  nn::Recompute recompute = nn::Recompute::kAuto;
  uint64_t bytes = UINT64_MAX;
};

nn::NetworkSpec SpecOf(const std::string& net, const StepRoom& room = {});

// Trains one of the nets of bench/torch_nets.py by itself, on random pictures and with plain
// descent. Owned by a benchmark, on one thread. There is no net of another name.
class NetRunner final {
 public:
  // Whole steps of training, on a card by the card, or what a worker makes of one: gradients of
  // parameters that come anew.
  enum class Work : uint8_t { kSteps, kGradients };

  static Result<std::unique_ptr<NetRunner>> Make(const std::string& net, uint64_t rows,
                                                 Work work = Work::kSteps,
                                                 Device device = Processor(),
                                                 const StepRoom& room = {});

  const nn::Network& network() const { return *network_; }
  const nn::Backend& backend() const { return *device_.backend; }

  // Whose time counts: this thread's, or the wall clock's, where others share the machine.
  enum class Time : uint8_t { kThread, kWall };

  // Samples a second, over so many seconds at least.
  Result<double> Run(double seconds, Time time);

 private:
  NetRunner(uint64_t rows, Work work, Device device, std::unique_ptr<Optimizer> optimizer);
  void MakeBatch(const Net& net);
  Result<> Step();

  const Device device_;
  std::unique_ptr<nn::Network> network_;
  const std::unique_ptr<Optimizer> optimizer_;
  const uint64_t rows_;
  const Work work_;
  std::vector<float> pictures_;
  std::vector<uint32_t> labels_;
  std::vector<std::vector<float>> parameters_, gradients_;
  std::vector<std::span<const float>> lent_parameters_;
  std::vector<std::span<float>> lent_gradients_;
};

}  // namespace shardmill::bench
