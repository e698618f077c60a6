#pragma once

#include <span>
#include <vector>

#include "common/frame_pool.h"
#include "common/messages.h"
#include "common/result.h"
#include "common/wire/limits.h"
#include "proto/wire.pb.h"

// The half of ToProto and FromProto for replicas.
namespace shardmill {

void ToProto(const Register& request, wire::Register& out);
void ToProto(const LogStatus& log, wire::LogStatus& out);
void ToProto(const ReplicaPlace& place, wire::ReplicaPlace& out);
void ToProto(const Replicas& replicas, wire::Replicas& out);
// Appends to `payload`, and the sizes to `out`.
void ToProto(const Follow& follow, wire::Message& out, std::vector<Frame>& payload);

Result<Register> FromProto(const wire::Register& from, const WireLimits& limits);
Result<LogStatus> FromProto(const wire::LogStatus& from, const WireLimits& limits);
Result<ReplicaPlace> FromProto(const wire::ReplicaPlace& from, const WireLimits& limits);
Result<Replicas> FromProto(const wire::Replicas& from, const WireLimits& limits);
Result<Follow> FromProto(const wire::Follow& from, std::span<const Frame> payload,
                         FramePool& frames, const WireLimits& limits);

}  // namespace shardmill
