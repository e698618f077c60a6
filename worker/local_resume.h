#pragma once

#include <span>

#include "client/model.h"
#include "common/ids.h"
#include "common/job/job.h"
#include "common/result.h"
#include "worker/data/row.h"
#include "worker/local_tables.h"

namespace shardmill {

// Takes up the snapshot that a job without servers goes on from (snapshot.resume), of such a job or
// of one with servers and one worker. Returns how many steps were made by then. What is of other
// data, another network or several workers is kBadUsage.
Result<Step> ResumeLocally(const JobOptions& job, std::span<const ParameterSpec> parameters,
                           const Columns& columns, LocalTables& tables);

}  // namespace shardmill
