#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/net/endpoint.h"
#include "common/net/messenger.h"
#include "common/net/transport.h"
#include "common/process/signals.h"
#include "common/result.h"
#include "server/disk_agent.h"
#include "server/pump.h"
#include "server/shard.h"
#include "server/shard_metrics.h"
#include "server/shard_timeline.h"
#include "server/trace_writer.h"

namespace shardmill {

// One shard, or a replica of one, with its thread's worth of machinery: transport, core, metrics.
// Made on the main thread, then run on one of its own. Ends when asked, when its place is no more,
// or by itself with an error that main passes on. Where there are replicas, one that has lost its
// place begins anew in it, as if it were of another process, and takes what the others have.
class ShardAgent final {
 public:
  struct Options {
    ShardOptions shard;       // Without endpoint and coordinator, which the agent fills in.
    std::string bind;         // tcp://HOST:PORT
    std::string coordinator;  // tcp://HOST:PORT
    WireLimits limits;
    std::string trace_folder = {};  // Empty: no trace.
    uint32_t workers = 0;           // Of the job; for the trace.
    TimelineLane* lane = nullptr;   // Of the agent's thread; outlives the agent. Or none.
    std::optional<DiskAgent::Line> disk = {};  // None: there are no snapshots.
    // Whether this server's folder of snapshots is the job's. Waits for the disk.
    std::function<Result<>(JobId job)> check_folder = {};
    std::optional<LogAgent::Line> log = {};  // None: it keeps none.
    // So long others have time to take its place when the process is told to stop.
    Duration leave_timeout{};
  };

  static Result<std::unique_ptr<ShardAgent>> Make(const Options& options,
                                                  std::unique_ptr<Transport> transport,
                                                  FramePool& frames, const Clock& clock,
                                                  Registry& registry, const Log& log);

  // Returns when a stop is requested or the agent is closed, or with what went wrong.
  Result<> Run(const StopSource& stop);
  // The coordinator has no place for this copy any more. Any thread.
  void Close() { closed_.store(true, std::memory_order_relaxed); }

  const std::string& endpoint() const { return endpoint_.tcp; }
  ShardId id() const { return options_.shard.id; }
  uint32_t copy() const { return options_.shard.copy; }
  // Whether the shard has a view and, as a replica, all that its primary had when it began; or
  // nothing to do, for the job is done. Any thread.
  bool ready() const { return ready_.load(std::memory_order_relaxed); }
  // Whether the coordinator has let this process of the copy in. Any thread.
  bool let_in() const { return let_in_.load(std::memory_order_relaxed); }
  // The copy's process, where its turn has lasted for `least` and not yet for `most`. Any thread.
  std::optional<BootId> BusyFor(Duration least, Duration most) const;

 private:
  // To the process that holds a replica.
  struct Link {
    BootId boot;
    PeerId peer;
  };

  ShardAgent(const Options& options, std::unique_ptr<Transport> transport, FramePool& frames,
             const Clock& clock, Registry& registry, const Log& log);

  bool MayStop(const StopSource& stop);
  Result<> MakeShard();
  Result<> BeginAnew(const Error& why);
  Result<> TakeFailure(Error why);
  Result<> AttachReplicas();
  void Publish();
  // Once, when the job is known: whether its snapshots go where this server's do.
  Result<> CheckFolder();
  // Carries what shard and disk have for each other. Whether there is more of it at once.
  bool WorkDisk();
  // The same of the log's.
  bool WorkLog();

  Options options_;
  Endpoint endpoint_;
  std::unique_ptr<Transport> transport_;
  FramePool& frames_;
  Messenger messenger_;
  const Clock& clock_;
  ShardMetrics metrics_;
  std::unique_ptr<TraceWriter> trace_;       // None: no trace. The shard tells it what it does.
  std::unique_ptr<ShardTimeline> timeline_;  // None: nobody wants it. Passes on to the trace.
  std::unique_ptr<Shard> shard_;
  std::map<uint32_t, Link> links_;      // By the copy at the other end.
  std::optional<DiskRequest> to_disk_;  // For which there was no room yet.
  std::optional<LogRequest> to_log_;
  bool folder_checked_ = false;
  std::optional<TimePoint> leaves_by_;  // Once the process is told to stop.
  bool primary_ = false;                // As was last told,
  std::string held_words_;              // and this, too.
  TimedShard timed_;
  Pump<TimedShard> pump_;
  const Log& log_;
  std::atomic<uint64_t> boot_{0};       // As the coordinator may know it, and when the turn began:
  std::atomic<TimePoint> turned_at_{};  // written by the agent, read by the main thread;
  std::atomic<bool> ready_{false};      // as this one,
  std::atomic<bool> let_in_{false};     // and this;
  std::atomic<bool> closed_{false};     // and the other way round.
};

}  // namespace shardmill
