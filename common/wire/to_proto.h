#pragma once

#include <vector>

#include "common/messages.h"
#include "proto/wire.pb.h"

namespace shardmill {

void ToProto(const Stamp& stamp, wire::Stamp& out);
// Also for the manifest of a snapshot, which has them too.
void ToProto(const View& view, wire::View& out);
void ToProto(const RankState& state, wire::RankState& out);
void ToProto(const DataState& state, wire::DataState& out);

// Fills `out` but for its stamp, and appends the message's payload, which stays referenced.
void ToProto(const Message& message, wire::Message& out, std::vector<Frame>& payload);

}  // namespace shardmill
