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

// How pieces were done.
struct PieceCounts {
  uint64_t asked = 0;     // The device was asked for each operation:
  uint64_t recorded = 0;  // in so many of them to record it.
  uint64_t replayed = 0;  // It did them as it had recorded them.
};

// What a device records of a network's passes: each piece, for each of a few sizes of batches, to
// train and to evaluate. Owned by a network and used on its thread; cannot fail.
class Recordings final {
 public:
  explicit Recordings(Backend& backend) : backend_(backend) {}
  ~Recordings() { Forget(); }
  Recordings(const Recordings&) = delete;
  Recordings& operator=(const Recordings&) = delete;

  void Forget();
  // For a pass over so many rows that reads and writes what lies at these places, in so many
  // pieces. What was recorded for other places is forgotten.
  void Choose(bool trains, uint64_t rows, std::span<const void* const> places, size_t pieces);
  // For one that is not recorded.
  void ChooseNone() { chosen_ = nullptr; }

  // Does a piece by `work(asks)`, where `asks` says whether the device is to be asked for its
  // operations.
  template <class Work>
  void Do(size_t piece, bool same, const Work& work) {
    const bool records = chosen_ != nullptr && same;
    const bool asks = !records || backend_.BeginRecording(chosen_->pieces[piece]);
    work(asks);
    ++(asks ? counts_.asked : counts_.replayed);
    if (!asks || !records) return;
    const Asked came = backend_.EndRecording();
    if (came == Asked::kRecorded) ++counts_.recorded;
    if (came == Asked::kRefused) work(true);
  }

  const PieceCounts& counts() const { return counts_; }

 private:
  struct Pass {
    bool trains = true;
    uint64_t rows = 0;
    std::vector<const void*> places = {};
    std::vector<Recording> pieces = {};
  };

  void Remove(const Pass& pass);

  Backend& backend_;
  std::vector<Pass> passes_;
  Pass* chosen_ = nullptr;
  PieceCounts counts_;
};

}  // namespace shardmill::nn
