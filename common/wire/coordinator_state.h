#pragma once

#include <string>
#include <string_view>

#include "common/coordinator_state.h"
#include "common/result.h"

namespace shardmill {

// What the coordinator keeps, as bytes and back. Bytes that are no such state are an error.
std::string EncodeState(const CoordinatorState& state);
Result<CoordinatorState> DecodeState(std::string_view bytes);

}  // namespace shardmill
