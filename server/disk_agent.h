#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/mailbox.h"
#include "server/disk_desk.h"
#include "snapshot/folder.h"

namespace shardmill {

// One thread that waits for disks, so that no shard of the process does. It and the shards share
// the reference counts of the frames in what they hand each other, and nothing else. Owned by main;
// the store outlives it.
class DiskAgent final {
 public:
  // A shard's end of it, for the shard's thread.
  class Line final {
   public:
    Line(DiskAgent& agent, size_t place) : agent_(&agent), place_(place) {}

    // Does not wait: where there is no room now the request stays with who asks, to be asked again.
    [[nodiscard]] bool TryAsk(DiskRequest& request);
    // Whether this is the folder that the coordinator of the job sees. Waits for the disk.
    Result<> Check(JobId job) const { return CheckToken(agent_->store_, agent_->job_, job); }
    std::optional<DiskAnswer> NextAnswer() { return agent_->answers_[place_]->TryTake(); }
    std::optional<DiskAnswer> AwaitAnswer(std::chrono::milliseconds time) {
      return agent_->answers_[place_]->TakeWithin(time);
    }

   private:
    DiskAgent* agent_;
    size_t place_;
  };

  // `job`: the name under which snapshots lie in the store.
  DiskAgent(BlobStore& store, const std::string& job, size_t shards);
  // What is under way ends without a trace.
  ~DiskAgent();
  DiskAgent(const DiskAgent&) = delete;
  DiskAgent& operator=(const DiskAgent&) = delete;

  Line LineOf(size_t place) { return {*this, place}; }

 private:
  // Batches of rows and pieces of tables that wait in memory, at most.
  static constexpr size_t kRoom = 4;

  void Run();

  BlobStore& store_;
  const std::string job_;
  std::vector<DiskDesk> desks_;  // The thread's own.
  Mailbox<std::pair<size_t, DiskRequest>> asked_{kRoom};
  std::vector<std::unique_ptr<Mailbox<DiskAnswer>>> answers_;
  std::thread thread_;
};

}  // namespace shardmill
