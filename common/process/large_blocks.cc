#include "common/process/large_blocks.h"

#include <malloc.h>

namespace shardmill {

void KeepLargeBlocks() {
  constexpr int kMapped = 32 << 20;  // The most that malloc takes for this.
  constexpr int kKept = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kMapped);
  mallopt(M_TRIM_THRESHOLD, kKept);
}

}  // namespace shardmill
