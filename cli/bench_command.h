#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace shardmill {

// `shardmill bench`: measures the product beside its baselines, or, with --check, counts the
// instructions of its hot paths. A missed target is a measurement; only --check fails on one.
Result<> RunBench(const BenchFlags& flags, const Console& console);

}  // namespace shardmill
