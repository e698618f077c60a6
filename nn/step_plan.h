#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shardmill::nn {

// Where in one block of memory each tensor of a step lies. Tensors whose times do not meet share
// memory; sizes grow with the rows of a batch, and a plan for many rows is good for fewer. Owned by
// a network; cannot fail.
class StepPlan final {
 public:
  // A tensor of so many floats that is in use from one moment of a step to another, both included.
  size_t Add(uint64_t floats_of_batch, uint64_t floats_of_row, uint32_t begin, uint32_t end);
  // It is in use at that moment too.
  void Extend(size_t tensor, uint32_t moment);

  // Lays all out for batches of up to `rows` and returns how many floats they take altogether.
  uint64_t Place(uint64_t rows);
  uint64_t offset(size_t tensor) const { return tensors_[tensor].offset; }
  uint64_t rows() const { return rows_; }

 private:
  struct Piece {
    uint64_t of_batch = 0;
    uint64_t of_row = 0;
    uint32_t begin = 0;
    uint32_t end = 0;
    uint64_t offset = 0;
    uint64_t size = 0;  // As placed: whole cache lines.
  };

  std::vector<Piece> tensors_;
  std::vector<size_t> placed_;  // By offset.
  uint64_t rows_ = 0;
};

}  // namespace shardmill::nn
