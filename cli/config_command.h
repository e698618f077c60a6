#pragma once

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace shardmill {

// `shardmill config check FILE`: an error that names all that is wrong, a line each.
Result<> RunConfigCheck(const ConfigCheckFlags& flags, const Console& console);

// `shardmill config print FILE`: every key, as a job file that loads to the same again.
Result<> RunConfigPrint(const ConfigPrintFlags& flags, const Console& console);

}  // namespace shardmill
