#pragma once

#include <memory>
#include <vector>

#include "common/frame_pool.h"
#include "common/messages.h"
#include "server/shard.h"

namespace shardmill::bench {

// One shard with one worker and one table, ready to train, spoken to without a network. Owned by
// who measures, on its thread.
class ReadyShard final {
 public:
  static constexpr TableId kTable{1};
  static constexpr Sender kSender{WorkerId{0}, Incarnation{1}};

  explicit ReadyShard(const TableSpec& table);

  // What the worker says, and what the shard answers. The answers are good until the next call.
  const Outbox& Say(Message message);

 private:
  void Say(PeerId peer, BootId from, Message message);

  FramePool frames_{FramePool::Memory::kPrivate};
  std::unique_ptr<Shard> shard_;
  Outbox outbox_;
};

}  // namespace shardmill::bench
