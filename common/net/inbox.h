#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "common/frame.h"
#include "common/ids.h"

namespace shardmill {

struct Identity;

// One multipart message that came in. Lives as long as the inbox is not changed.
struct Received {
  PeerId peer;
  std::span<const Frame> frames;
  const Identity* identity = nullptr;  // See Envelope.
};

// Multipart messages in the order in which they came. Emptied and filled again, so that its memory
// is used again. Owned by whoever polls, on one thread.
class Inbox final {
 public:
  // Begins a message; the frames that are added next are its.
  void Begin(PeerId peer, const Identity* identity = nullptr) {
    messages_.push_back({peer, frames_.size(), identity});
  }
  void Add(Frame frame) { frames_.push_back(std::move(frame)); }
  // Gives a message another number for its peer.
  void Rename(size_t i, PeerId peer) { messages_[i].peer = peer; }
  // Says who sent it.
  void Sign(size_t i, const Identity* identity) { messages_[i].identity = identity; }
  // Takes a message out.
  void Erase(size_t i) {
    const size_t begin = messages_[i].first;
    const size_t end = i + 1 < messages_.size() ? messages_[i + 1].first : frames_.size();
    const auto at = [this](size_t frame) {
      return frames_.begin() + static_cast<std::ptrdiff_t>(frame);
    };
    frames_.erase(at(begin), at(end));
    messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(i));
    for (; i < messages_.size(); ++i) messages_[i].first -= end - begin;
  }
  // Takes the frames of the last message back.
  void DropFrames() { frames_.resize(messages_.back().first); }
  void Clear() {
    messages_.clear();
    frames_.clear();
    gone_.clear();
  }

  // The connection of one who had called has ended, and nothing comes under that number any more.
  void Gone(PeerId peer) { gone_.push_back(peer); }
  std::span<const PeerId> gone() const { return gone_; }

  bool empty() const { return messages_.empty(); }
  size_t size() const { return messages_.size(); }
  Received operator[](size_t i) const {
    const size_t end = i + 1 < messages_.size() ? messages_[i + 1].first : frames_.size();
    return {messages_[i].peer,
            std::span(frames_).subspan(messages_[i].first, end - messages_[i].first),
            messages_[i].identity};
  }

 private:
  struct Message {
    PeerId peer;
    size_t first;  // Of its frames.
    const Identity* identity;
  };

  std::vector<Message> messages_;
  std::vector<Frame> frames_;
  std::vector<PeerId> gone_;
};

}  // namespace shardmill
