#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <zmq.hpp>

#include "common/frame.h"
#include "common/recycler.h"

namespace shardmill {

// A message that came in: its bytes live for as long as a frame points into them.
class ZmqStorage final : public FrameStorage {
 public:
  using Home = std::shared_ptr<Recycler<ZmqStorage>>;  // Shared: frames outlive their transport.

  static Frame Open(const Home& home, zmq::message_t&& message);

 private:
  void Release() override;

  zmq::message_t message_;
  Home home_;
};

// Bytes on their way to one peer. Added to by the agent, taken from by ZeroMQ's IO thread.
using Leaving = std::atomic<uint64_t>;

// A frame that ZeroMQ sends from where it lies.
struct LentFrame {
  using Home = std::shared_ptr<Recycler<LentFrame>>;

  Frame frame;
  std::shared_ptr<Leaving> leaving;  // Shared: the peer may be forgotten before its bytes are.
  Home home;
};

// The frame as a message, without a copy where it is worth that; counted in `leaving` until it has
// left.
zmq::message_t MessageOf(const Frame& frame, const std::shared_ptr<Leaving>& leaving,
                         const LentFrame::Home& home);

}  // namespace shardmill
