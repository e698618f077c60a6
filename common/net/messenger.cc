#include "common/net/messenger.h"

#include <utility>

namespace shardmill {

void Messenger::Send(Outbox& outbox) {
  for (size_t i = 0; i < outbox.size();) {
    const PeerId peer = outbox[i].peer;
    packet_.messages.clear();
    while (i < outbox.size() && outbox[i].peer == peer &&
           packet_.messages.size() < limits_.messages_max) {
      packet_.messages.emplace_back(outbox[i].stamp, std::move(outbox[i].message));
      ++i;
    }
    const std::vector<Frame> frames = Encode(packet_);
    switch (transport_.Send(peer, frames)) {
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

Result<> Messenger::Poll(std::chrono::milliseconds timeout, std::vector<Envelope>& messages,
                         std::vector<BadPacket>& bad) {
  received_.clear();
  SM_TRY(transport_.Poll(timeout, received_));
  for (Received& received : received_) {
    auto packet = Decode(received.frames, limits_);
    if (!packet.ok()) {
      ++counters_.bad_packets;
      bad.push_back({received.peer, std::move(packet).error()});
      continue;
    }
    for (auto& [stamp, message] : packet.value().messages) {
      messages.push_back({received.peer, stamp, std::move(message)});
      ++counters_.received;
    }
  }
  received_.clear();
  return {};
}

}  // namespace shardmill
