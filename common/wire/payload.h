#pragma once

#include <cstdint>
#include <string>

#include "common/frame_pool.h"
#include "common/result.h"
#include "common/wire/limits.h"

namespace shardmill {

inline Result<> CheckText(const std::string& text, const WireLimits& limits) {
  if (text.size() <= limits.text_bytes_max) return {};
  return Error{ErrorCode::kBadInput, "a text of " + std::to_string(text.size()) + " bytes"};
}

// A payload frame as floats, wherever it lies: small frames may come at any address.
inline Result<Frame> FloatsOf(const Frame& frame, FramePool& frames) {
  if (frame.size() % sizeof(float) != 0) {
    return Error{ErrorCode::kBadInput,
                 "a payload of " + std::to_string(frame.size()) + " bytes is no list of floats"};
  }
  if (frame.IsFloats()) return frame;
  return frames.CopyOf(frame.bytes());
}

// The same as keys.
inline Result<Frame> KeysOf(const Frame& frame, FramePool& frames) {
  if (frame.size() == 0 || frame.size() % sizeof(uint64_t) != 0) {
    return Error{ErrorCode::kBadInput,
                 "a payload of " + std::to_string(frame.size()) + " bytes is no list of keys"};
  }
  if (frame.IsKeys()) return frame;
  return frames.CopyOf(frame.bytes());
}

}  // namespace shardmill
