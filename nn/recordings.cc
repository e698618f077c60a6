#include "nn/recordings.h"

#include <algorithm>

namespace shardmill::nn {
namespace {

// Each way: full batches, the last one of an epoch, and what a change of the job may add.
constexpr size_t kSizesMax = 4;

}  // namespace

std::vector<Piece> CutStep(const Graph& graph, uint64_t floats,
                           const std::vector<bool>& by_chance) {
  std::vector<Piece> pieces;
  uint64_t found = floats;  // Of the last piece, which is over with enough of them.
  for (size_t index = 0; index < graph.nodes.size(); ++index) {
    const GraphNode& node = graph.nodes[index];
    const bool same = !by_chance[index];
    if (found >= floats || !same || !pieces.back().same) {
      pieces.push_back({.begin = index, .end = index, .same = same});
      found = 0;
    }
    pieces.back().end = index + 1;
    const size_t count = node.layer->parameters().size();
    for (size_t i = 0; i < count; ++i) {
      found += graph.parameters[node.parameters_begin + i].shape.size();
    }
  }
  return pieces;
}

void Recordings::Forget() {
  for (const Pass& pass : passes_) Remove(pass);
  passes_.clear();
  chosen_ = nullptr;
}

void Recordings::Remove(const Pass& pass) {
  for (const Recording recording : pass.pieces) backend_.RemoveRecording(recording);
}

void Recordings::Choose(bool trains, uint64_t rows, std::span<const void* const> places,
                        size_t pieces) {
  auto found = std::ranges::find_if(
      passes_, [=](const Pass& pass) { return pass.trains == trains && pass.rows == rows; });
  if (found == passes_.end()) {
    const auto sizes = std::ranges::count(passes_, trains, &Pass::trains);
    if (static_cast<size_t>(sizes) == kSizesMax) return ChooseNone();
    found = passes_.insert(found, Pass{.trains = trains, .rows = rows});
  }
  chosen_ = &*found;
  if (!chosen_->pieces.empty() && std::ranges::equal(chosen_->places, places)) return;
  Remove(*chosen_);
  chosen_->places.assign(places.begin(), places.end());
  chosen_->pieces.resize(pieces);
  for (Recording& recording : chosen_->pieces) recording = backend_.AddRecording();
}

}  // namespace shardmill::nn
