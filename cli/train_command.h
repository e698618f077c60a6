#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/process/signals.h"
#include "common/result.h"

namespace shardmill {

// `shardmill train FILE`: runs a whole job on this machine, in processes of its own, and writes
// what came of it to console.out. Must be called on the main thread: the processes end with it.
Result<> RunTrain(const TrainFlags& flags, const Console& console, const StopSource& stop);

}  // namespace shardmill
