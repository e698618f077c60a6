#include "nn/step_plan.h"

#include <algorithm>

namespace shardmill::nn {
namespace {

constexpr uint64_t kLineFloats = 64 / sizeof(float);

}  // namespace

size_t StepPlan::Add(uint64_t floats_of_batch, uint64_t floats_of_row, uint32_t begin,
                     uint32_t end) {
  tensors_.push_back({floats_of_batch, floats_of_row, begin, end});
  return tensors_.size() - 1;
}

void StepPlan::Extend(size_t tensor, uint32_t moment) {
  tensors_[tensor].begin = std::min(tensors_[tensor].begin, moment);
  tensors_[tensor].end = std::max(tensors_[tensor].end, moment);
}

// First fit: each at the lowest place where nobody is whose time meets its own.
uint64_t StepPlan::Place(uint64_t rows) {
  rows_ = rows;
  placed_.clear();
  uint64_t all = 0;
  for (size_t index = 0; index < tensors_.size(); ++index) {
    Piece& piece = tensors_[index];
    const uint64_t floats = piece.of_batch + piece.of_row * rows;
    piece.size = (floats + kLineFloats - 1) / kLineFloats * kLineFloats;
    piece.offset = 0;
    if (piece.size == 0) continue;
    for (const size_t other_index : placed_) {
      const Piece& other = tensors_[other_index];
      if (other.offset >= piece.offset + piece.size) break;
      const bool meets = piece.begin <= other.end && other.begin <= piece.end;
      if (meets) piece.offset = std::max(piece.offset, other.offset + other.size);
    }
    const auto after = std::ranges::upper_bound(placed_, piece.offset, {},
                                                [this](size_t i) { return tensors_[i].offset; });
    placed_.insert(after, index);
    all = std::max(all, piece.offset + piece.size);
  }
  return all;
}

}  // namespace shardmill::nn
