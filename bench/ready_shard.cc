#include "bench/ready_shard.h"

#include <utility>

#include "common/assert.h"

namespace shardmill::bench {
namespace {

constexpr PeerId kCoordinator{1};
constexpr PeerId kWorker{2};
constexpr BootId kShardBoot{10};
constexpr BootId kWorkerBoot{20};
constexpr BootId kCoordinatorBoot{30};

}  // namespace

ReadyShard::ReadyShard(const TableSpec& table) {
  ShardOptions options;
  options.boot = kShardBoot;
  options.coordinator = kCoordinator;
  shard_ = std::move(Shard::Make(options, frames_)).value();
  Say(kCoordinator, kCoordinatorBoot, Welcome{});
  View view;
  view.number = ViewNumber{1};
  view.policy = {ApplyRule::kOnArrival, false, 0};
  view.members = {{kSender.rank, kSender.incarnation, 0}};
  view.shards = {{ShardId{0}, Term{1}, kShardBoot, ""}};
  view.tables = {{kTable, table, {0, table.sparse() ? kBuckets : table.size}}};
  Say(kCoordinator, kCoordinatorBoot, Freeze{view.number});
  Say(kCoordinator, kCoordinatorBoot, Install{view, {}});
  SM_ASSERT(shard_->ready());
}

const Outbox& ReadyShard::Say(Message message) {
  Say(kWorker, kWorkerBoot, std::move(message));
  return outbox_;
}

void ReadyShard::Say(PeerId peer, BootId from, Message message) {
  outbox_.clear();
  const Stamp stamp{JobId{7}, {}, Term{1}, from, kShardBoot};
  shard_->Handle({}, {peer, stamp, std::move(message)}, outbox_);
}

}  // namespace shardmill::bench
