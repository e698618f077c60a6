#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace shardmill {

// `shardmill eval FILE`: measures a trained model on a part of its job's data.
Result<> RunEval(const EvalFlags& flags, const Console& console);

}  // namespace shardmill
