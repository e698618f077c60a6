#pragma once

#include <string>

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/job/job.h"
#include "common/process/signals.h"
#include "common/result.h"

namespace shardmill {

// `shardmill train FILE --single`: trains in this process, without servers, to the weights of a
// synchronous job of one worker. Writes model, curves and result to the run's folder.
Result<> RunSingle(const TrainFlags& flags, const Console& console, const StopSource& stop,
                   const JobOptions& job, const std::string& folder);

}  // namespace shardmill
