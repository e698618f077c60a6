#include "common/wire/wire.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/assert.h"
#include "common/wire/from_proto.h"
#include "common/wire/to_proto.h"

namespace shardmill {
namespace {

// The header frame begins with these four bytes and the version, little-endian: enough to tell a
// stranger, or another version, before anything of theirs is parsed.
constexpr std::array<unsigned char, 4> kMagic = {0xab, 'S', 'M', 'L'};
constexpr size_t kPrefixBytes = kMagic.size() + sizeof(uint32_t);
// Parsed, a hostile header takes some forty times its size.
constexpr uint64_t kHeaderBytesMax = uint64_t{8} << 20;

Error Bad(const std::string& what) { return {ErrorCode::kBadInput, what}; }

Error NotSpoken(uint32_t version, const WireLimits& limits) {
  return Bad("the peer speaks protocol version " + std::to_string(version) +
             "; this build speaks " + std::to_string(limits.version_min) + " to " +
             std::to_string(limits.version_max));
}

void WritePrefix(uint32_t version, std::span<std::byte> header) {
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  for (size_t i = 0; i < sizeof(uint32_t); ++i) {
    header[kMagic.size() + i] = static_cast<std::byte>(version >> (8 * i));
  }
}

// The version in the prefix of the header frame.
Result<uint32_t> ReadPrefix(std::span<const std::byte> header, const WireLimits& limits) {
  if (header.size() < kPrefixBytes ||
      std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) {
    return Bad("these bytes are no shardmill message");
  }
  uint32_t version = 0;
  for (size_t i = 0; i < sizeof(uint32_t); ++i) {
    version |= std::to_integer<uint32_t>(header[kMagic.size() + i]) << (8 * i);
  }
  const bool spoken = version >= limits.version_min && version <= limits.version_max;
  if (!spoken && version != kGreetingVersion) return NotSpoken(version, limits);
  return version;
}

bool IsGreeting(const std::pair<Stamp, Message>& message) {
  return std::holds_alternative<Hello>(message.second) ||
         std::holds_alternative<Refused>(message.second);
}

Result<> CheckSizes(std::span<const Frame> frames, const WireLimits& limits) {
  if (frames.empty())
    return Bad("a message without a header, or of more frames or bytes than are taken");
  if (frames.front().size() > kHeaderBytesMax) {
    return Bad("a header of " + std::to_string(frames.front().size()) + " bytes; at most " +
               std::to_string(kHeaderBytesMax) + " are taken");
  }
  uint64_t bytes = 0;
  for (const Frame& frame : frames.subspan(1)) bytes += frame.size();
  if (bytes > limits.message_bytes_max) {
    return Bad("a message of " + std::to_string(bytes) + " bytes; at most " +
               std::to_string(limits.message_bytes_max) + " are taken");
  }
  return {};
}

// The next payload frames, as the message names their sizes.
Result<std::span<const Frame>> TakePayload(const wire::Message& message,
                                           std::span<const Frame>& rest) {
  const auto count = static_cast<size_t>(message.payload_size());
  if (count > rest.size()) return Bad("fewer payload frames than the header names");
  const std::span<const Frame> payload = rest.first(count);
  for (size_t i = 0; i < count; ++i) {
    if (payload[i].size() != message.payload(static_cast<int>(i))) {
      return Bad("a payload frame of another size than the header names");
    }
  }
  rest = rest.subspan(count);
  return payload;
}

}  // namespace

struct WireCodec::Impl {
  Impl(FramePool& frame_pool, const WireLimits& wire_limits)
      : pool(frame_pool),
        limits(wire_limits),
        block(std::make_unique_for_overwrite<char[]>(kArenaBytes)),
        arena(block.get(), kArenaBytes) {}

  Result<> ReadMessages(const wire::Packet& header, std::span<const Frame> rest, Packet& packet);

  // What the headers of nearly all packets need; a larger one allocates.
  static constexpr size_t kArenaBytes = size_t{256} << 10;

  FramePool& pool;
  WireLimits limits;
  std::unique_ptr<char[]> block;
  google::protobuf::Arena arena;
  std::vector<Stamp> stamps;
  std::vector<Frame> frames;
};

WireCodec::WireCodec(FramePool& pool, const WireLimits& limits)
    : impl_(std::make_unique<Impl>(pool, limits)) {}
WireCodec::~WireCodec() = default;

std::span<const Frame> WireCodec::Encode(const Packet& packet) {
  Impl& impl = *impl_;
  impl.frames.clear();
  impl.frames.emplace_back();
  impl.stamps.clear();
  impl.arena.Reset();
  auto& header = *google::protobuf::Arena::CreateMessage<wire::Packet>(&impl.arena);
  for (const auto& [stamp, message] : packet.messages) {
    const auto known = std::ranges::find(impl.stamps, stamp);
    wire::Message& to = *header.add_messages();
    to.set_stamp(static_cast<uint32_t>(known - impl.stamps.begin()));
    if (known == impl.stamps.end()) {
      impl.stamps.push_back(stamp);
      ToProto(stamp, *header.add_stamps());
    }
    ToProto(message, to, impl.frames);
  }
  const size_t size = header.ByteSizeLong();
  Buffer buffer = impl.pool.OfBytes(kPrefixBytes + size);
  WritePrefix(packet.version, buffer.bytes());
  header.SerializeWithCachedSizesToArray(
      reinterpret_cast<uint8_t*>(buffer.bytes().data() + kPrefixBytes));
  impl.frames.front() = std::move(buffer).Close();
  return impl.frames;
}

Result<> WireCodec::Decode(std::span<const Frame> frames, Packet& packet) {
  Impl& impl = *impl_;
  packet.messages.clear();
  SM_TRY(CheckSizes(frames, impl.limits));
  packet.version = SM_TRY(ReadPrefix(frames.front().bytes(), impl.limits));
  const auto body = frames.front().bytes().subspan(kPrefixBytes);
  impl.arena.Reset();
  auto& header = *google::protobuf::Arena::CreateMessage<wire::Packet>(&impl.arena);
  if (!header.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return Bad("a header that cannot be read");
  }
  const Result<> read = impl.ReadMessages(header, frames.subspan(1), packet);
  if (!read.ok()) packet.messages.clear();
  return read;
}

Result<> WireCodec::Impl::ReadMessages(const wire::Packet& header, std::span<const Frame> rest,
                                       Packet& packet) {
  if (static_cast<uint32_t>(header.messages_size()) > limits.messages_max ||
      header.stamps_size() > header.messages_size()) {
    return Bad("a packet of " + std::to_string(header.messages_size()) + " messages");
  }
  for (const wire::Message& message : header.messages()) {
    if (message.stamp() >= static_cast<uint32_t>(header.stamps_size())) {
      return Bad("a message without a stamp");
    }
    const auto payload = SM_TRY(TakePayload(message, rest));
    Message read = SM_TRY(FromProto(message, payload, pool, limits));
    packet.messages.emplace_back(FromProto(header.stamps(static_cast<int>(message.stamp()))),
                                 std::move(read));
  }
  if (!rest.empty()) return Bad("more payload frames than the header names");
  if (packet.version < limits.version_min && !std::ranges::all_of(packet.messages, IsGreeting)) {
    return NotSpoken(packet.version, limits);
  }
  return {};
}

}  // namespace shardmill
