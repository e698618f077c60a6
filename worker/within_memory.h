#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "client/model.h"
#include "common/job/job.h"
#include "common/result.h"

namespace shardmill {

// What reading a job's data wants of memory, and what to lower, in words.
std::string DataMemoryWords(const JobOptions& job);
// The same of training: `copies` numbers are kept for each weight, beside rows and a batch.
std::string TrainingMemoryWords(const JobOptions& job, std::span<const ParameterSpec> parameters,
                                uint64_t copies);

// Does the work. Where there is no memory for it, the error is what `wanted` says by then.
Result<> WithinMemory(const std::function<Result<>()>& work, const std::string& wanted);

}  // namespace shardmill
