#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nn/backend.h"
#include "nn/graph.h"

namespace shardmill::nn {

// Nodes from `begin` up to `end` that a pass goes through while the host neither brings parameters
// nor takes gradients.
struct Piece {
  size_t begin = 0;
  size_t end = 0;
  bool same = true;  // In each step, so that it can be recorded.
};

// Cuts all nodes into pieces, each of which has that many floats of parameters as soon as possible.
// Those by chance are alone.
std::vector<Piece> CutStep(const Graph& graph, uint64_t floats, const std::vector<bool>& by_chance);

// What a device records of a network's training steps: each piece, for each of a few sizes of
// batches. Owned by a network and used on its thread; cannot fail.
class Recordings final {
 public:
  explicit Recordings(Backend& backend) : backend_(backend) {}
  ~Recordings() { Forget(); }
  Recordings(const Recordings&) = delete;
  Recordings& operator=(const Recordings&) = delete;

  void Forget();
  // For a step over so many rows that reads and writes what lies at these places, in so many
  // pieces. What was recorded for other places is forgotten.
  void Choose(uint64_t rows, std::span<const void* const> places, size_t pieces);
  // For one that is not recorded.
  void ChooseNone() { chosen_ = nullptr; }

  // Does a piece by `work(asks)`, where `asks` says whether the device is to be asked for its
  // operations.
  template <class Work>
  void Do(size_t piece, bool same, const Work& work) {
    if (chosen_ == nullptr || !same) return work(true);
    const bool asks = backend_.BeginRecording(chosen_->pieces[piece]);
    work(asks);
    if (!asks) ++replayed_;
    if (asks && !backend_.EndRecording()) work(true);
  }

  // How many pieces were done as they were recorded.
  uint64_t replayed() const { return replayed_; }

 private:
  struct Step {
    uint64_t rows = 0;
    std::vector<const void*> places = {};
    std::vector<Recording> pieces = {};
  };

  void Remove(const Step& step);

  Backend& backend_;
  std::vector<Step> steps_;
  Step* chosen_ = nullptr;
  uint64_t replayed_ = 0;
};

}  // namespace shardmill::nn
