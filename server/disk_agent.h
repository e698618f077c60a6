#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
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

    // Another shard speaks from now on: nothing comes of what the one before it asked for.
    void BeginAnew() { ++speaker_; }
    // Does not wait: where there is no room now the request stays with who asks, to be asked again.
    [[nodiscard]] bool TryAsk(DiskRequest& request);
    // Whether this is the folder that the coordinator of the job sees. Waits for the disk.
    Result<> Check(JobId job) const { return CheckToken(agent_->store_, agent_->job_, job); }
    std::optional<DiskAnswer> NextAnswer() { return Own(agent_->answers_[place_]->TryTake()); }
    std::optional<DiskAnswer> AwaitAnswer(std::chrono::milliseconds time) {
      return Own(agent_->answers_[place_]->TakeWithin(time));
    }

   private:
    template <class Answer>
    std::optional<DiskAnswer> Own(std::optional<Answer> answer) const {
      if (!answer || answer->speaker != speaker_) return {};
      return std::move(answer->what);
    }

    DiskAgent* agent_;
    size_t place_;
    uint64_t speaker_ = 0;
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

  struct Asked {
    size_t place = 0;
    uint64_t speaker = 0;
    DiskRequest what;
  };
  struct Answered {
    uint64_t speaker = 0;
    DiskAnswer what;
  };

  void Run();

  BlobStore& store_;
  const std::string job_;
  std::vector<DiskDesk> desks_;  // The thread's own.
  Mailbox<Asked> asked_{kRoom};
  std::vector<std::unique_ptr<Mailbox<Answered>>> answers_;
  std::thread thread_;
};

}  // namespace shardmill
