#pragma once

#include <cstdint>

namespace shardmill {

// Places in the order of an epoch: which rows stand there is for the workers to know, who all
// shuffle alike.
struct DataRange {
  uint64_t epoch = 0;
  uint64_t begin = 0;
  uint64_t end = 0;

  uint64_t size() const { return end - begin; }
  bool operator==(const DataRange&) const = default;
};

}  // namespace shardmill
