#pragma once

#include <cstdint>

namespace shardmill {

// A number that no other process will have: for boot ids and job ids. Never zero. From the
// machine's random device, so it belongs into main and into sessions, never into the core.
uint64_t FreshId();

}  // namespace shardmill
