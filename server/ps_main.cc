// shardmill-ps: one server process with its shards, a thread each.

#include <algorithm>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/blob/folder_store.h"
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
#include "common/net/peer_transport.h"
#include "common/net/zmq_transport.h"
#include "common/process/announce.h"
#include "common/process/cpu_set.h"
#include "common/process/file_lock.h"
#include "common/process/memory_keeper.h"
#include "common/process/signals.h"
#include "common/published.h"
#include "common/timeline/timeline.h"
#include "server/disk_agent.h"
#include "server/shard_agent.h"
#include "snapshot/folder.h"

namespace shardmill {
namespace {

using Agents = std::vector<std::unique_ptr<ShardAgent>>;

// Of one shard, or of a replica of another server's; `place`: among those of the process.
ShardAgent::Options OptionsOf(const JobOptions& job, ShardId shard, uint32_t copy, uint32_t place) {
  ShardAgent::Options options;
  options.shard.id = shard;
  options.shard.copy = copy;
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

std::string NameOf(ShardId shard, uint32_t copy) {
  return "shard " + std::to_string(shard.value) +
         (copy == 0 ? "" : ", copy " + std::to_string(copy));
}

// What a server holds in its `place`: its own shards, and behind them copies of those of others.
struct Held {
  ShardId shard;
  uint32_t copy = 0;
};
std::vector<Held> HeldBy(uint32_t index, const JobOptions& job) {
  const uint32_t shards = job.cluster.shards_per_server;
  std::vector<Held> held;
  for (uint32_t place = 0; place < shards * (1 + job.replication.replicas); ++place) {
    const uint32_t copy = place / shards;
    const uint32_t home = ReplicationOptions::HomeOf(index, copy, job.cluster.servers);
    held.push_back({ShardId{home * shards + place % shards}, copy});
  }
  return held;
}

// The disks of a server, where it has a use for them, each with its thread.
class Disks final {
 public:
  static Result<std::unique_ptr<Disks>> Open(uint32_t index, const JobOptions& job,
                                             FramePool& frames) {
    auto disks = std::make_unique<Disks>(job);
    const std::vector<Held> held = HeldBy(index, job);
    if (!job.snapshot.to.empty()) {
      std::vector<DiskDesk> desks;
      for (size_t i = 0; i < held.size(); ++i) desks.emplace_back(disks->store_, job.job.name);
      disks->snapshots_ = std::make_unique<DiskAgent>(std::move(desks));
    }
    if (!job.replication.logs()) return disks;
    const std::string folder =
        job.replication.log + "/" + job.job.name + "/server-" + std::to_string(index);
    std::error_code why;
    std::filesystem::create_directories(folder, why);
    if (why) {
      return Error{ErrorCode::kFailed, folder + ": the folder cannot be made: " + why.message()};
    }
    // Two processes on one log would each answer what the other does not have.
    disks->lock_ = SM_TRY(FileLock::Take(folder + "/lock"));
    std::vector<LogDesk> desks;
    for (const Held& one : held) desks.emplace_back(disks->files_, folder, one.shard, frames);
    disks->logs_ = std::make_unique<LogAgent>(std::move(desks));
    return disks;
  }
  explicit Disks(const JobOptions& job) : job_(job), store_(files_, job.snapshot.to) {}

  void GiveTo(uint32_t place, ShardAgent::Options* options, PeerOptions* peers) {
    if (snapshots_) options->disk = snapshots_->LineOf(place);
    options->check_folder = [this](JobId job) { return CheckToken(store_, job_.job.name, job); };
    if (!logs_) return;
    options->log = logs_->LineOf(place);
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

Result<Agents> MakeAgents(uint32_t index, const DaemonContext& daemon, ZmqContext& context,
                          FramePool& frames, const Clock& clock, Registry& registry,
                          Timeline* timeline, Disks& disks) {
  const JobOptions& job = daemon.job;
  Agents agents;
  for (const auto& [shard, copy] : HeldBy(index, job)) {
    const auto place = static_cast<uint32_t>(agents.size());
    ShardAgent::Options options = OptionsOf(job, shard, copy, place);
    PeerOptions peers = PeerOptionsOf(job);
    disks.GiveTo(place, &options, &peers);
    if (timeline != nullptr) options.lane = &timeline->AddLane(NameOf(shard, copy));
    agents.push_back(
        SM_TRY(ShardAgent::Make(options, std::make_unique<PeerTransport>(context, frames, peers),
                                frames, clock, registry, daemon.log)));
  }
  return agents;
}

// What lacks memory on the way, other than a table that is to be made, ends the server in words.
Result<> RunWithinMemory(ShardAgent& agent, const StopSource& stop) {
  try {
    return agent.Run(stop);
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kUnavailable,
                 "the server has not enough memory for its tables and what is pushed to them: give "
                 "it more, or spread the job over more servers (cluster.servers)"};
  }
}

std::string UnreadyWords(const Agents& agents, const StopSource& stop) {
  if (stop.requested()) return "this server is told to stop";
  std::string words;
  for (const auto& agent : agents) {
    if (agent->ready()) continue;
    words += (words.empty() ? "" : "; ") + NameOf(agent->id(), agent->copy());
  }
  return words.empty() ? "" : words + " has no view yet, or not yet what its primary has";
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
  const Agents agents = SM_TRY(
      MakeAgents(flags.index, daemon, context, frames, clock, registry, timeline.get(), *disks));
  const std::unique_ptr<HttpServer> http = SM_TRY(
      StartHttp(job, DaemonRoutes(registry, [&] { return UnreadyWords(agents, daemon.stop); })));
  SM_TRY(Announce(flags.announce_fd, {agents.front()->endpoint(), http ? http->address() : ""}));
  daemon.log.Info("server_listens", {{"index", flags.index},
                                     {"endpoint", agents.front()->endpoint()},
                                     {"http", http ? http->address() : "off"}});

  // The first shard that cannot go on takes the process with it, and says why.
  Published<std::optional<Error>> failure;
  const std::vector<uint32_t> cpus = job.cluster.ShardCpus();
  std::vector<std::thread> threads;
  for (const auto& agent : agents) {
    threads.emplace_back([&agent, &daemon, &failure, &cpus, place = threads.size()] {
      if (!cpus.empty()) StayOnCpu(cpus[place % cpus.size()]);
      const Result<> ran = RunWithinMemory(*agent, daemon.stop);
      if (ran.ok()) return;
      failure.Set(ran.error());
      daemon.stop.Request(StopReason::kFailed);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::optional<Error> error = failure.Get();
  if (error) return *error;
  daemon.log.Info("server_stops");
  return {};
}

}  // namespace
}  // namespace shardmill

int main(int argc, char** argv) {
  return shardmill::RunDaemon(shardmill::ParseServerFlags(shardmill::ArgumentsOf(argc, argv)),
                              "shardmill-ps", &shardmill::Serve);
}
