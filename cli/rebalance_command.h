#pragma once

#include <string>

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/messages.h"
#include "common/process/signals.h"
#include "common/result.h"

namespace shardmill {

// `shardmill rebalance`: has a running job's coordinator even out the shards over the servers, and
// waits until that is done. kUnavailable where no coordinator answers, kFailed where it cannot be.
Result<> RunRebalance(const RebalanceFlags& flags, const Console& console, const StopSource& stop);

// One line.
std::string DescribeMove(const Move& move);

}  // namespace shardmill
