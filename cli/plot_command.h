#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace shardmill {

// `shardmill plot`: how runs got on, as curves in an SVG file and as a table that compares them.
Result<> RunPlot(const PlotFlags& flags, const Console& console);

}  // namespace shardmill
