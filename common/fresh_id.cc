#include "common/fresh_id.h"

#include <random>

namespace shardmill {

uint64_t FreshId() {
  std::random_device device;
  const uint64_t id = (uint64_t{device()} << 32) | device();
  return id == 0 ? 1 : id;
}

}  // namespace shardmill
