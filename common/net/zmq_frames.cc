#include "common/net/zmq_frames.h"

#include <cstddef>

namespace shardmill {
namespace {

// Below this a copy costs less than the bookkeeping of a shared frame.
constexpr size_t kCopyBytesMax = 1024;

// ZeroMQ calls this on its IO thread when the bytes have left.
void ReleaseFrame(void* /*data*/, void* hint) {
  auto* lent = static_cast<LentFrame*>(hint);
  lent->leaving->fetch_sub(lent->frame.size(), std::memory_order_relaxed);
  lent->leaving.reset();
  lent->frame = Frame();
  const LentFrame::Home home = std::move(lent->home);
  home->GiveBack(*lent);
}

}  // namespace

Frame ZmqStorage::Open(const Home& home, zmq::message_t&& message) {
  ZmqStorage& storage = home->Take();
  storage.home_ = home;
  storage.message_ = std::move(message);
  return Frame(storage,
               {static_cast<const std::byte*>(storage.message_.data()), storage.message_.size()});
}

void ZmqStorage::Release() {
  message_.rebuild();
  const Home home = std::move(home_);  // May go with the last of what it keeps.
  home->GiveBack(*this);
}

zmq::message_t MessageOf(const Frame& frame, const std::shared_ptr<Leaving>& leaving,
                         const LentFrame::Home& home) {
  if (frame.size() < kCopyBytesMax) return zmq::message_t(frame.bytes().data(), frame.size());
  LentFrame& lent = home->Take();
  lent.frame = frame;
  lent.leaving = leaving;
  lent.home = home;
  leaving->fetch_add(frame.size(), std::memory_order_relaxed);
  // ZeroMQ wants a pointer to mutable bytes and only reads them.
  auto* data = const_cast<std::byte*>(frame.bytes().data());
  return zmq::message_t(data, frame.size(), &ReleaseFrame, &lent);
}

}  // namespace shardmill
