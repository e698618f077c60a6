#pragma once

#include <sys/resource.h>

namespace shardmill {

// A tenth of a processor for which others ask: enough for what has to be done some time, such as
// giving memory back.
inline constexpr int kLowPriority = 10;

// For this thread, from now on.
inline void YieldToOthers() { setpriority(PRIO_PROCESS, 0, kLowPriority); }

}  // namespace shardmill
