#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nn/arena.h"
#include "nn/backend.h"
#include "optim/optimizer.h"

namespace shardmill::nn {

// Parameters that stay in the memory of a device that has its own, with their gradients and what
// the rules that step them keep beside them: nothing of them crosses the bus but where somebody
// asks for it. The host's values count until a training has brought them, and again after Forget;
// what rules keep stays. Owned by a network and used on its thread.
class Kept final {
 public:
  explicit Kept(Backend& backend);

  // Takes the memory; false where there is none. `sizes`: of parameters, 0 for one that does not
  // stay. Rules, one each, must outlive this; what they keep is zero.
  bool Hold(std::span<const uint64_t> sizes, std::span<const Optimizer* const> rules);

  bool has(size_t index) const { return index < places_.size() && places_[index].size > 0; }
  std::span<float> parameter(size_t index) const;
  std::span<float> gradient(size_t index) const;

  void Forget();
  // Brings the host's values where these count.
  void Bring(size_t index, std::span<const float> host);
  // Brings these, and they count no longer than for the call under way.
  void Lend(size_t index, std::span<const float> host);

  // Of a gradient that the operations so far will have made.
  void Measure(size_t index);
  // Of a batch without rows: it is zero.
  void ForgetGradient(size_t index);
  // Has all that was measured come to the host, before what is copied out next.
  void BeginToTell();
  // The gradient's numbers squared and added up: no finite number just where one of them is none.
  double squares(size_t index) const { return told_[index]; }
  void TakeTold();

  // One step of all that stay; a time for each parameter.
  void Step(std::span<const UpdateTime> times);
  uint64_t steps() const { return steps_; }

  // What a rule keeps, slot after slot.
  void PutState(size_t index, std::span<const float> host);
  // These wait for the device, and are false where it has failed. What was lent or brought before
  // has been waited for by then: all go through the same memory.
  bool FetchParameter(size_t index, std::span<float> host);
  bool FetchGradient(size_t index, std::span<float> host);
  bool FetchState(size_t index, std::span<float> host);

 private:
  struct Place {
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t state = 0;  // Where it begins.
    const Optimizer* rule = nullptr;
    bool there = false;  // The device's values count.
  };

  uint64_t StateSize(const Place& place) const { return place.size * place.rule->slots(); }
  Tensor SquaresOf(size_t index) const;
  bool Fetch(std::span<const float> from, std::span<float> host);

  Backend& backend_;
  Arena parameters_, gradients_, state_;
  Arena squares_, squares_on_host_;
  Arena on_host_;  // Through which a parameter, its gradient or its state goes.
  std::vector<Place> places_;
  std::vector<double> told_;
  uint64_t steps_ = 0;
};

}  // namespace shardmill::nn
