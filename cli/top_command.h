#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/process/signals.h"
#include "common/result.h"

namespace shardmill {

// `shardmill top`: what `shardmill status` prints, live, until the user or the job ends it; then
// prints what it showed last. kUnavailable where the coordinator has gone while the job was not
// over.
Result<> RunTop(const TopFlags& flags, const Console& console, const StopSource& stop);

}  // namespace shardmill
