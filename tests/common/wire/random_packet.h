#pragma once

#include <cstddef>

#include "common/messages.h"
#include "common/rng.h"
#include "common/wire/wire.h"

namespace shardmill {

// A sound message of the kind that stands at `kind` in Message, with contents by chance.
Message RandomMessage(Rng& rng, size_t kind);

// A packet of up to eight messages of any kinds, under up to eight stamps.
Packet RandomPacket(Rng& rng);

// True if the two say the same, payload and all.
bool Same(const Message& left, const Message& right);

}  // namespace shardmill
