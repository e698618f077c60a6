#pragma once

#include <cstdint>

namespace shardmill::nn {

// Where the window of one output place lies in the picture, along one axis.
struct WindowRange {
  constexpr WindowRange(uint64_t place, uint64_t stride, uint64_t padding, uint64_t edge,
                        uint64_t extent) {
    const uint64_t first = place * stride;
    const uint64_t last = first + edge < extent + padding ? first + edge : extent + padding;
    begin = first > padding ? first - padding : 0;
    end = last - padding;
  }

  uint64_t begin = 0;
  uint64_t end = 0;
};

}  // namespace shardmill::nn
