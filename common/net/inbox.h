#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "common/frame.h"
#include "common/ids.h"

namespace shardmill {

// One multipart message that came in. Lives as long as the inbox is not changed.
struct Received {
  PeerId peer;
  std::span<const Frame> frames;
};

// Multipart messages in the order in which they came. Emptied and filled again, so that its memory
// is used again. Owned by whoever polls, on one thread.
class Inbox final {
 public:
  // Begins a message; the frames that are added next are its.
  void Begin(PeerId peer) { messages_.push_back({peer, frames_.size()}); }
  void Add(Frame frame) { frames_.push_back(std::move(frame)); }
  // Gives a message another number for its peer.
  void Rename(size_t i, PeerId peer) { messages_[i].peer = peer; }
  // Takes the frames of the last message back.
  void DropFrames() { frames_.resize(messages_.back().first); }
  void Clear() {
    messages_.clear();
    frames_.clear();
  }

  bool empty() const { return messages_.empty(); }
  size_t size() const { return messages_.size(); }
  Received operator[](size_t i) const {
    const size_t end = i + 1 < messages_.size() ? messages_[i + 1].first : frames_.size();
    return {messages_[i].peer,
            std::span(frames_).subspan(messages_[i].first, end - messages_[i].first)};
  }

 private:
  struct Message {
    PeerId peer;
    size_t first;  // Of its frames.
  };

  std::vector<Message> messages_;
  std::vector<Frame> frames_;
};

}  // namespace shardmill
