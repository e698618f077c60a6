// shardmill-ps: one server process with its shards, a thread each.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/blob/folder_store.h"
#include "common/blob/make_folders.h"
#include "common/blob/posix_files.h"
#include "common/clock.h"
#include "common/daemon/daemon.h"
#include "common/daemon/gate.h"
#include "common/flags/flags.h"
#include "common/frame_pool.h"
#include "common/fresh_id.h"
#include "common/http/http_server.h"
#include "common/job/address.h"
#include "common/job/job.h"
#include "common/keys/key_ring.h"
#include "common/metrics/metrics.h"
#include "common/net/messenger.h"
#include "common/net/peer_transport.h"
#include "common/net/zmq_transport.h"
#include "common/process/announce.h"
#include "common/process/file_lock.h"
#include "common/process/memory_keeper.h"
#include "common/timeline/timeline.h"
#include "server/disk_agent.h"
#include "server/held_shards.h"
#include "server/host_keeper.h"
#include "server/pump.h"
#include "server/shard_agent.h"
#include "snapshot/folder.h"

namespace shardmill {
namespace {

// `place`: among those of the process.
ShardAgent::Options OptionsOf(const JobOptions& job, HostedCopy held, uint32_t place) {
  ShardAgent::Options options;
  options.shard.id = held.shard;
  options.shard.copy = held.copy;
  options.shard.replicas = job.replication.replicas;
  options.shard.in_sync_min = job.replication.min_in_sync;
  options.shard.log = job.replication.logs();
  options.shard.boot = BootId{FreshId()};
  options.shard.update = job.ServerUpdate();
  options.shard.held_bytes_max = job.network.held_bytes;
  options.shard.rows_bytes_max = job.cluster.table_bytes / job.cluster.Shards();
  options.shard.answer_bytes_max = job.network.message_bytes;
  options.shard.retry_after = job.network.retry_after;
  options.shard.start_timeout = job.cluster.start_timeout;
  options.shard.give_up_after =
      std::max<Duration>(2 * job.cluster.lease, 4 * job.network.retry_after);
  options.shard.beat_every = std::min<Duration>(options.shard.beat_every, job.cluster.lease / 4);
  // What finds a full queue is dropped, and sent again later.
  options.shard.window_bytes = std::min(
      {options.shard.window_bytes, job.network.queue_bytes / 2, job.network.message_bytes});
  const uint32_t port = job.cluster.server_port;
  options.bind =
      "tcp://" + job.cluster.host + ":" + (port == 0 ? "*" : std::to_string(port + place));
  options.coordinator = ParseAddress(job.cluster.coordinator)->Endpoint();
  options.limits = WireLimitsOf(job);
  options.leave_timeout = job.cluster.leave_timeout;
  options.trace_folder = job.trace.folder;
  options.workers = job.cluster.workers;
  return options;
}

// The disks of a server, where it has a use for them, each with its thread. There is a desk for
// each shard of the job, of which a server has no more than one copy.
class Disks final {
 public:
  static Result<std::unique_ptr<Disks>> Open(uint32_t index, const JobOptions& job,
                                             FramePool& frames) {
    auto disks = std::make_unique<Disks>(job);
    const uint32_t shards = job.cluster.Shards();
    if (!job.snapshot.to.empty()) {
      std::vector<DiskDesk> desks;
      for (uint32_t i = 0; i < shards; ++i) desks.emplace_back(disks->store_, job.job.name);
      disks->snapshots_ = std::make_unique<DiskAgent>(std::move(desks));
    }
    if (!job.replication.logs()) return disks;
    const std::string folder =
        job.replication.log + "/" + job.job.name + "/server-" + std::to_string(index);
    SM_TRY(MakeFolders(disks->files_, folder));
    // Two processes on one log would each answer what the other does not have.
    disks->lock_ = SM_TRY(FileLock::Take(folder + "/lock"));
    std::vector<LogDesk> desks;
    for (uint32_t i = 0; i < shards; ++i) {
      desks.emplace_back(disks->files_, folder, ShardId{i}, frames);
    }
    disks->logs_ = std::make_unique<LogAgent>(std::move(desks));
    return disks;
  }
  explicit Disks(const JobOptions& job) : job_(job), store_(files_, job.snapshot.to) {}

  void GiveTo(ShardId shard, ShardAgent::Options* options, PeerOptions* peers) {
    if (snapshots_) options->disk = snapshots_->LineOf(shard.value);
    options->check_folder = [this](JobId job) { return CheckToken(store_, job_.job.name, job); };
    if (!logs_) return;
    options->log = logs_->LineOf(shard.value);
    peers->wake_file = options->log->wake_file();
  }

 private:
  const JobOptions& job_;
  PosixFiles files_;
  FolderStore store_;
  std::optional<FileLock> lock_;
  std::unique_ptr<DiskAgent> snapshots_;
  std::unique_ptr<LogAgent> logs_;
};

// Asks the coordinator what this server is to hold, and holds it, until it is to stop.
Result<> Hold(uint32_t index, const DaemonContext& daemon, const Clock& clock, FramePool& frames,
              std::unique_ptr<Transport> transport, HeldShards& held) {
  const JobOptions& job = daemon.job;
  HostOptions options;
  options.index = index;
  options.boot = BootId{FreshId()};
  options.coordinator =
      SM_TRY(transport->Connect(ParseAddress(job.cluster.coordinator)->Endpoint()));
  options.retry_after = job.network.retry_after;
  options.ask_every = std::min<Duration>(options.ask_every, job.cluster.lease / 4);
  options.start_timeout = job.cluster.start_timeout;
  HostKeeper keeper(options);
  Messenger messenger(*transport, frames, WireLimitsOf(job));
  Pump<HostKeeper> pump(keeper, messenger, clock, daemon.log);
  bool leaves = false;
  for (bool ends = false; !ends || !held.Ended();) {
    ends = daemon.stop.requested();
    if (!std::exchange(leaves, daemon.stop.reason() == StopReason::kTerminate) && leaves) {
      keeper.Leave();
    }
    keeper.SetBusy(held.BusyFor(options.ask_every / 2, job.network.step_timeout));
    SM_TRY(pump.Turn(std::chrono::milliseconds(20)));
    if (keeper.failure()) {
      Error why = *keeper.failure();
      const std::string trouble = transport->Trouble(options.coordinator);
      if (!trouble.empty()) why.message += ": " + trouble;
      return why;
    }
    if (keeper.hosting()) SM_TRY(held.Become(keeper.hosting()->copies));
  }
  return {};
}

Result<> Serve(const ServerFlags& flags, const DaemonContext& daemon) {
  const JobOptions& job = daemon.job;
  const MemoryKeeper keeper;  // Before there are connections, of which it must have none.
  const SteadyClock clock;
  Registry registry;
  const std::unique_ptr<KeyRing> keys = SM_TRY(KeyRing::Open(job.security.keys, Role::kServer));
  GateLog gate(registry, daemon.log);
  ZmqContext context(static_cast<int>(job.network.io_threads), job.network.IoCpus(), keys.get(),
                     &gate);
  FramePool frames(FramePool::MemoryFor(job.network.shared_memory));
  WarnOfOpenDoor(job, "tcp://" + job.cluster.host + ":*", daemon.log);
  std::unique_ptr<Timeline> timeline;
  if (!job.trace.timeline.empty()) {
    timeline = SM_TRY(Timeline::Make(job.trace.timeline, TimelineProcess::Server(flags.index),
                                     clock, daemon.log));
  }
  const std::unique_ptr<Disks> disks = SM_TRY(Disks::Open(flags.index, job, frames));
  const auto make = [&](HostedCopy copy, uint32_t place) -> Result<std::unique_ptr<ShardAgent>> {
    ShardAgent::Options options = OptionsOf(job, copy, place);
    PeerOptions peers = PeerOptionsOf(job);
    disks->GiveTo(copy.shard, &options, &peers);
    if (timeline) options.lane = &timeline->AddLane(NameOf(copy));
    return ShardAgent::Make(options, std::make_unique<PeerTransport>(context, frames, peers),
                            frames, clock, registry, daemon.log);
  };
  HeldShards held(make, job.cluster.ShardCpus(), daemon.stop, daemon.log);
  const std::unique_ptr<HttpServer> http =
      SM_TRY(StartHttp(job, DaemonRoutes(registry, [&held] { return held.unready(); })));
  SM_TRY(Announce(flags.announce_fd, {"", http ? http->address() : ""}));
  daemon.log.Info("server_begins",
                  {{"index", flags.index}, {"http", http ? http->address() : "off"}});
  const Result<> ran =
      Hold(flags.index, daemon, clock, frames,
           std::make_unique<PeerTransport>(context, frames, PeerOptionsOf(job)), held);
  // The first shard that cannot go on takes the process with it, and says why.
  SM_TRY(held.End(ran));
  daemon.log.Info("server_stops");
  return {};
}

}  // namespace
}  // namespace shardmill

int main(int argc, char** argv) {
  return shardmill::RunDaemon(shardmill::ParseServerFlags(shardmill::ArgumentsOf(argc, argv)),
                              "shardmill-ps", &shardmill::Serve);
}
