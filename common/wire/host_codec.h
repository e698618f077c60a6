#pragma once

#include "common/messages.h"
#include "common/result.h"
#include "common/wire/limits.h"
#include "proto/wire.pb.h"

// The part of ToProto and FromProto for who holds what.
namespace shardmill {

void ToProto(const Host& host, wire::Host& out);
void ToProto(const Hosting& hosting, wire::Hosting& out);
void ToProto(const Rebalance& request, wire::Rebalance& out);
void ToProto(const Balance& balance, wire::Balance& out);

// Of a message that is one of these.
Result<Message> HostingFromProto(const wire::Message& from, const WireLimits& limits);

}  // namespace shardmill
