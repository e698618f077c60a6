#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/network_model.h"

namespace shardmill {

// In which ways a training was slower than it could have been, in words for people; none: in none.
std::vector<std::string> SlowerWords(const NetworkModel& model);

// What a rank's device did in a training, as a JSON object.
std::string ComputedJson(uint32_t rank, const NetworkModel& model);

}  // namespace shardmill
