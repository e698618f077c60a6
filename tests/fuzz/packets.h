#pragma once

#include <span>
#include <string>

#include "common/frame.h"
#include "common/wire/wire.h"
#include "tests/fuzz/input.h"

namespace shardmill::fuzz {

// Decodes frames. What is taken is a message that we could have sent: it comes back from our own
// bytes as it was.
void TryFrames(std::span<const Frame> frames);

std::string TextOf(const Frame& frame);

}  // namespace shardmill::fuzz
