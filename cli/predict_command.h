#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace shardmill {

// `shardmill predict FILE`: what a trained model makes of each row of a part of its job's data, as
// CSV.
Result<> RunPredict(const PredictFlags& flags, const Console& console);

}  // namespace shardmill
