#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace shardmill {

// The bytes of a file, unpacked where they are one gzip stream and as they are otherwise. Stops
// with an error once they are more than `bytes_max`, and at anything that gzip's own checks find.
// Errors name the file; one that is not there is ErrorCode::kUnavailable.
Result<std::vector<uint8_t>> ReadMaybeGzip(const std::string& path, uint64_t bytes_max);

}  // namespace shardmill
