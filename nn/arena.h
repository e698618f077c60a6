#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace shardmill::nn {

// The memory of one training step: handed out in pieces and taken back as a whole, so that the next
// step reuses it and a loop allocates nothing once it has met its largest batch. Owned by a network
// and used on its thread. A piece begins at a cache line, whatever came before it, and is lent
// until the next Reset.
class Arena final {
 public:
  // What a piece of `floats` floats takes up.
  static uint64_t Rounded(uint64_t floats);

  // Takes all pieces back and makes room for pieces of `floats_rounded` floats altogether.
  void Reset(uint64_t floats_rounded);

  // The floats hold whatever was there before.
  std::span<float> Take(uint64_t floats);

 private:
  std::vector<float> memory_;
  uint64_t begin_ = 0;  // The first float that lies at a cache line.
  uint64_t used_ = 0;
  uint64_t room_ = 0;
};

}  // namespace shardmill::nn
