#include "common/net/messenger.h"

#include <algorithm>
#include <utility>

#include "common/payload.h"

namespace shardmill {

void Messenger::Send(Outbox& outbox) {
  for (size_t i = 0; i < outbox.size();) {
    const PeerId peer = outbox[i].peer;
    i = Fill(outbox, i);
    SetVersion(peer);
    switch (transport_.Send(peer, codec_.Encode(packet_))) {
      case Sent::kSent:
        counters_.sent += packet_.messages.size();
        break;
      case Sent::kFull:
        counters_.dropped_full += packet_.messages.size();
        break;
      case Sent::kUnknown:
        counters_.dropped_unknown += packet_.messages.size();
        break;
    }
  }
  outbox.clear();
  packet_.messages.clear();
}

size_t Messenger::Fill(Outbox& outbox, size_t first) {
  packet_.messages.clear();
  Payload load;
  size_t i = first;
  for (; i < outbox.size() && outbox[i].peer == outbox[first].peer; ++i) {
    load += PayloadOf(outbox[i].message);
    const bool over = packet_.messages.size() >= limits_.messages_max ||
                      load.frames > kTogetherFramesMax || load.bytes > limits_.message_bytes_max;
    if (over && i > first) break;
    packet_.messages.emplace_back(outbox[i].stamp, std::move(outbox[i].message));
  }
  return i;
}

void Messenger::SetVersion(PeerId peer) {
  const auto known = versions_.find(peer);
  packet_.version = known == versions_.end() ? limits_.version_min : known->second;
  for (auto& [stamp, message] : packet_.messages) {
    if (auto* hello = std::get_if<Hello>(&message)) {
      *hello = {limits_.version_min, limits_.version_max, hello->role};
      packet_.version = kGreetingVersion;  // Another process may be there since it was spoken to.
    } else if (auto* welcome = std::get_if<Welcome>(&message)) {
      welcome->version = packet_.version;
    }
  }
}

Result<> Messenger::TakeVersion(PeerId peer) {
  uint32_t version = packet_.version;
  for (const auto& [stamp, message] : packet_.messages) {
    const auto* hello = std::get_if<Hello>(&message);
    if (hello == nullptr) continue;
    version = std::min(hello->version_max, limits_.version_max);
    if (version >= std::max(hello->version_min, limits_.version_min)) continue;
    const auto range = [](uint32_t min, uint32_t max) {
      return std::to_string(min) + " to " + std::to_string(max);
    };
    Error none{ErrorCode::kBadInput,
               "no protocol version in common: " + range(hello->version_min, hello->version_max) +
                   " greets " + range(limits_.version_min, limits_.version_max)};
    Packet answer{{}, kGreetingVersion};
    answer.messages.emplace_back(Stamp{{}, {}, {}, {}, stamp.from},
                                 Refused{Refusal::kVersion, 0, none.message});
    static_cast<void>(transport_.Send(peer, codec_.Encode(answer)));
    return none;
  }
  if (version <= limits_.version_min) {
    versions_.erase(peer);
  } else {
    versions_[peer] = version;
  }
  return {};
}

Result<> Messenger::Poll(std::chrono::milliseconds timeout, std::vector<Envelope>& messages,
                         std::vector<BadPacket>& bad) {
  inbox_.Clear();
  SM_TRY(transport_.Poll(timeout, inbox_));
  gone_.assign(inbox_.gone().begin(), inbox_.gone().end());
  for (const PeerId peer : gone_) versions_.erase(peer);
  for (size_t i = 0; i < inbox_.size(); ++i) {
    const Received received = inbox_[i];
    Result<> read = codec_.Decode(received.frames, packet_);
    if (read.ok()) read = TakeVersion(received.peer);
    if (!read.ok()) {
      ++counters_.bad_packets;
      bad.push_back({received.peer, read.error()});
      continue;
    }
    for (auto& [stamp, message] : packet_.messages) {
      messages.push_back({received.peer, stamp, std::move(message), received.identity});
      ++counters_.received;
    }
  }
  packet_.messages.clear();
  inbox_.Clear();
  return {};
}

}  // namespace shardmill
