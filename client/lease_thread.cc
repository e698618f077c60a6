#include "client/lease_thread.h"

#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/net/messenger.h"

namespace shardmill {

Result<std::unique_ptr<LeaseThread>> LeaseThread::Start(std::unique_ptr<Transport> transport,
                                                        const std::string& coordinator,
                                                        Sender sender, Stamp stamp, Duration every,
                                                        const WireLimits& limits) {
  const PeerId peer = SM_TRY(transport->Connect(coordinator));
  const LeaseKeeper keeper(sender, stamp, peer, every);
  return std::unique_ptr<LeaseThread>(new LeaseThread(std::move(transport), keeper, limits));
}

LeaseThread::LeaseThread(std::unique_ptr<Transport> transport, const LeaseKeeper& keeper,
                         const WireLimits& limits)
    : transport_(std::move(transport)),
      keeper_(keeper),
      limits_(limits),
      thread_([this] { Run(); }) {}

LeaseThread::~LeaseThread() {
  stop_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void LeaseThread::Run() {
  constexpr std::chrono::milliseconds kPoll{50};  // Also the longest wait for the end.
  const SteadyClock clock;
  FramePool frames(FramePool::Memory::kPrivate);
  Messenger messenger(*transport_, frames, limits_);
  Outbox outbox;
  std::vector<Envelope> messages;
  std::vector<BadPacket> bad;
  bool linked = false;
  while (!stop_.load(std::memory_order_relaxed)) {
    keeper_.Tick(clock.Now(), outbox);
    messenger.Send(outbox);
    messages.clear();
    bad.clear();
    const Result<> polled = messenger.Poll(kPoll, messages, bad);
    if (!polled.ok()) {
      failure_.Set(polled.error());
      return;
    }
    for (const Envelope& envelope : messages) keeper_.Handle(clock.Now(), envelope);
    const bool was_linked = std::exchange(linked, transport_->reach().tcp > 0);
    if (linked && !was_linked) keeper_.LinkBack();
    const auto silent = std::chrono::floor<std::chrono::milliseconds>(keeper_.Silent(clock.Now()));
    silent_ms_.store(silent.count(), std::memory_order_relaxed);
    if (keeper_.failure()) {
      failure_.Set(keeper_.failure());
      return;
    }
  }
}

}  // namespace shardmill
