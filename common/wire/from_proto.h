#pragma once

#include <span>

#include "common/frame_pool.h"
#include "common/messages.h"
#include "common/result.h"
#include "common/wire/limits.h"
#include "proto/wire.pb.h"

namespace shardmill {

Stamp FromProto(const wire::Stamp& stamp);
// Also for the manifest of a snapshot, which has them too.
Result<View> FromProto(const wire::View& view, const WireLimits& limits);
Result<RankState> FromProto(const wire::RankState& state);
Result<DataState> FromProto(const wire::DataState& state);

// The message and its payload frames, which have been cut to size already; those
// that lie unaligned are copied. Everything that a core
// relies on is checked here.
Result<Message> FromProto(const wire::Message& message, std::span<const Frame> payload,
                          FramePool& frames, const WireLimits& limits);

}  // namespace shardmill
