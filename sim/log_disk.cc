#include "sim/log_disk.h"

#include <optional>
#include <utility>

namespace shardmill::sim {

LogDisk::LogDisk(uint64_t seed, ShardId shard, FramePool& frames)
    : rng_(Mix(seed)), shard_(shard), frames_(frames), files_(Mix(seed ^ 0x106d)) {
  BeginAnew();
}

void LogDisk::Work(Shard& shard, Outbox& outbox) {
  if (answers_.empty() && rng_.Chance(0.7)) {
    if (const std::optional<LogRequest> request = shard.NextLogRequest()) {
      desk_->Do(*request, [&](LogAnswer answer) -> Result<> {
        answers_.push_back(std::move(answer));
        return {};
      });
    }
  }
  for (; !answers_.empty() && rng_.Chance(0.8); answers_.pop_front()) {
    shard.Handle(std::move(answers_.front()), outbox);
  }
}

void LogDisk::BeginAnew() {
  answers_.clear();
  desk_ = std::make_unique<LogDesk>(files_, "logs", shard_, frames_);
}

void LogDisk::Restart() {
  BeginAnew();
  files_.Restart();
}

void LogDisk::Wipe() {
  files_ = MemoryFiles(rng_.Next());
  BeginAnew();
}

}  // namespace shardmill::sim
