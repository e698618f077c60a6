#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace shardmill {

// `shardmill replay FOLDER`: makes a recorded run again in one thread, and compares the weights at
// its end with the run's result where there is one. Other weights are an error.
Result<> RunReplay(const ReplayFlags& flags, const Console& console);

}  // namespace shardmill
