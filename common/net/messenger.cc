#include "common/net/messenger.h"

#include <utility>

#include "common/payload.h"

namespace shardmill {

void Messenger::Send(Outbox& outbox) {
  for (size_t i = 0; i < outbox.size();) {
    const PeerId peer = outbox[i].peer;
    i = Fill(outbox, i);
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

Result<> Messenger::Poll(std::chrono::milliseconds timeout, std::vector<Envelope>& messages,
                         std::vector<BadPacket>& bad) {
  inbox_.Clear();
  SM_TRY(transport_.Poll(timeout, inbox_));
  gone_.assign(inbox_.gone().begin(), inbox_.gone().end());
  for (size_t i = 0; i < inbox_.size(); ++i) {
    const Received received = inbox_[i];
    const Result<> read = codec_.Decode(received.frames, packet_);
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
