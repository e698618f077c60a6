#include "worker/within_memory.h"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "common/config/text.h"

namespace shardmill {
namespace {

std::string AboutBytes(uint64_t bytes) {
  uint64_t unit = 1;
  while (bytes / unit >= uint64_t{10} << 10) unit <<= 10;
  return config::FormatSize(bytes / unit * unit);
}

}  // namespace

std::string DataMemoryWords(const JobOptions& job) {
  return "there is not enough memory for the rows of the data, which may take " +
         config::FormatSize(job.data.memory) + ": lower data.memory and name a data.cache";
}

std::string TrainingMemoryWords(const JobOptions& job, std::span<const ParameterSpec> parameters,
                                uint64_t copies) {
  uint64_t floats = 0;
  for (const ParameterSpec& spec : parameters) floats += spec.size;
  std::string words = "there is not enough memory to train: " + std::to_string(floats) +
                      " weights, with gradients and what the optimizer keeps of each, take " +
                      AboutBytes(floats * copies * sizeof(float)) + "; rows may take " +
                      config::FormatSize(job.data.memory) + ", and a batch of " +
                      std::to_string(job.data.batch_size) + " rows its part";
  const auto largest = std::ranges::max_element(parameters, {}, &ParameterSpec::size);
  if (largest != parameters.end() && largest->size > 0) {
    words += ". Lower units or rows of the layer of \"" + largest->name + "\", which has " +
             std::to_string(largest->size) + " of them, ";
  } else {
    words += ". Lower ";
  }
  return words + "data.batch_size or data.memory";
}

Result<> WithinMemory(const std::function<Result<>()>& work, const std::string& wanted) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kFailed, wanted};
  } catch (const std::length_error&) {
    return Error{ErrorCode::kFailed, wanted};
  }
}

}  // namespace shardmill
