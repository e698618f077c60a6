#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/coordinator_state.h"
#include "common/identity.h"
#include "common/rng.h"
#include "common/wire/wire.h"
#include "server/coordinator.h"
#include "server/host_keeper.h"
#include "server/shard.h"
#include "sim/ledger.h"
#include "sim/log_disk.h"
#include "sim/network.h"
#include "sim/probe_model.h"
#include "sim/probe_worker.h"
#include "sim/scenario.h"
#include "sim/vault.h"

namespace shardmill::sim {

// What became of a history.
struct Outcome {
  std::vector<std::string> violations;
  uint64_t events = 0;
  uint64_t digest = 0;  // Of all messages that came to somebody: which, to whom, and when.
  uint64_t crashes = 0;
  uint64_t replaced = 0;
  uint64_t twins = 0;
  uint64_t relinks = 0;
  uint64_t restarts = 0;       // Of the coordinator.
  uint64_t joins = 0;          // Workers that came later,
  uint64_t leaves = 0;         // and that left before the end.
  uint64_t forgeries = 0;      // Sent by the thief.
  uint64_t stale_shards = 0;   // Shards that served a read behind its round.
  uint64_t discarded = 0;      // Steps whose round was closed without them.
  uint64_t skipped = 0;        // Steps left out for a NaN.
  uint64_t nonfinite = 0;      // Units that shards took with a NaN or an infinity in them.
  uint64_t snapshots = 0;      // Complete.
  uint64_t given_up = 0;       // Snapshots that did not come about.
  uint64_t resumed = 0;        // Beginnings from a snapshot,
  uint64_t ruins = 0;          // and of ends of everything.
  uint64_t lost_shards = 0;    // Processes that hold a copy of one,
  uint64_t lost_together = 0;  // those whose coordinator ended with them,
  uint64_t cut_off = 0;        // and those that it could not hear for some time.
  uint64_t bad_links = 0;      // Between two of all who speak with each other.
  uint64_t stopped = 0;        // that were told to stop, and did when others had their place.
  uint64_t moves = 0;          // Copies that came to another server,
  uint64_t moved = 0;          // and those whose place was gone then.
  uint64_t promotions = 0;
  uint64_t restored = 0;    // Shards that went on from their logs,
  uint64_t power_cuts = 0;  // and ends of everything with the power, which the job survived.
  uint64_t copies = 0;      // In-sync replicas that were the same as their primary at the end.
  uint64_t rollbacks = 0;   // Of the job, for lost shards.
  bool failed = false;      // As it should, for a NaN that is rejected.
  bool compared = false;    // With the same training in one process.
};

// A whole cluster in one thread: the real coordinator, shards and client cores under simulated
// time, network and chance. One history a cluster; the seed decides everything.
class Cluster final {
 public:
  // The pool outlives it, and may serve one history after the other.
  Cluster(const Scenario& scenario, FramePool& frames);

  Outcome Run();

 private:
  static constexpr PeerId kCoordinator{1};
  static constexpr uint64_t kHeldBytesMax = uint64_t{1} << 14;

  // A worker process; a crashed one is gone, a paused one comes back as a zombie.
  struct Process {
    PeerId peer;
    WorkerId rank;  // That it asked for.
    std::unique_ptr<ProbeWorker> worker;
    TimePoint paused_until{};
    bool zombie = false;
  };

  // A process that holds a copy of a shard: its primary or a replica.
  struct Holder {
    ShardId shard;
    uint32_t copy = 0;
    BootId boot;
    PeerId caller;           // What the coordinator knows it by,
    PeerId peer;             // and what others know it by: its process's address.
    TimePoint back{};        // Until then nobody is in its place.
    TimePoint deaf_until{};  // Until then it and the coordinator do not hear each other.
    TimePoint bad_until{};   // A link of it to one who judges it is bad, or was so a moment ago.
    uint32_t host = 0;       // The server that it is on.
    bool closed = false;     // It has no place any more.
    std::unique_ptr<Shard> node;
  };

  static constexpr Duration kLease = std::chrono::milliseconds(100);

  // A server, where shards may go from one to another.
  struct Server {
    PeerId peer;
    std::unique_ptr<HostKeeper> keeper;
  };

  // `peer`: where the process before it was, if it is started in its place.
  void StartWorker(WorkerId rank, std::optional<PeerId> peer = {});
  void Note(const Delivery& delivery);
  bool CrossWire(Envelope& envelope);
  void Deliver(Delivery delivery);
  // Who a node has proved to be; null where the scenario has no keys.
  const Identity* IdentityOf(PeerId node) const;
  void SendForgeries();
  void Send(PeerId from, Outbox& outbox);
  CoordinatorOptions CoordinatorSettings();
  // Has the coordinator's state on disk before it sends; it may end before, or in between.
  void WriteAndSend(Outbox& outbox);
  void EndCoordinator();
  void StartCoordinator();
  void TickCoordinator();
  void EndLink(PeerId peer);
  void KeepManifest();
  void InjectDiskFaults();
  void InjectLogFaults();
  void CutPower();
  void Ruin();
  void CheckSnapshots();
  void MakeShards();
  void AddHolder(HostedCopy copy, uint32_t host);
  void MakeServers();
  void TickServers();
  void MoveShards();
  void Begin(uint32_t index);
  PeerId NewAddress(uint32_t index);
  void InjectShardFaults();
  void LoseNewPrimary();
  void WorsenSomeLink();
  void LoseShard(uint32_t index);
  bool MayLose(const Holder& holder) const;
  bool IsNotNeeded(const Holder& holder) const;
  void TellToStop(uint32_t index);
  void StartFenced();
  bool IsAway(const Holder& holder) const { return holder.closed || now_ < holder.back; }
  // It is there, and all whom that concerns hear of it.
  bool IsHeard(const Holder& holder) const {
    return !IsAway(holder) && now_ >= holder.deaf_until && now_ >= holder.bad_until;
  }
  void SawGoingBack();
  bool IsKept(ShardId shard) const;
  void SawInstall(const Install& install);
  BootId CoordinatorBoot() const { return BootId{400 + outcome_.ruins}; }
  JobId Job() const { return JobId{77 + outcome_.ruins}; }
  void DeliverToShard(uint32_t index, const Envelope& envelope, Outbox& outbox);
  void AttachReplicas(Holder& holder);
  void Spoil(Unit& unit) const;
  void SettleShard(uint32_t index);
  Holder& PrimaryOf(uint32_t shard);
  void CompareCopies();
  void TickAll();
  void StartAgain();
  void ComeAndGo();
  void InjectFaults();
  bool Finished() const;
  bool IsThere(uint32_t shard);
  void CheckAtRest();
  std::string StuckWords() const;

  Scenario scenario_;
  Rng rng_;
  Network network_;
  ProbeModel model_;
  Ledger ledger_;
  TimePoint now_{};
  TimePoint start_{};
  bool healed_ = false;
  std::unique_ptr<Coordinator> coordinator_;  // While it is away: what will go on.
  TimePoint coordinator_back_{};
  TimePoint coordinator_still_{};    // Until then it stands still,
  std::vector<PeerId> ended_links_;  // and has not heard of these yet.
  CoordinatorState disk_;            // What the coordinator has written last.
  FramePool& frames_;
  std::optional<WireCodec> codec_;        // Where messages are bytes.
  std::vector<Holder> holders_;           // By shard, then copy.
  std::vector<Term> terms_;               // Of each shard's last primary.
  std::map<PeerId, uint32_t> holder_at_;  // All addresses that there ever were.
  std::vector<Server> servers_;
  std::vector<Process> processes_;
  std::set<WorkerId> bound_;  // Ranks with keys of their own.
  std::map<WorkerId, Identity> worker_keys_;
  Identity any_key_{Role::kWorker, std::nullopt, &bound_, "any"};
  Identity coordinator_key_{Role::kCoordinator};
  Identity server_key_{Role::kServer};
  std::map<PeerId, const Identity*> identities_;  // Of nodes that have other numbers by now, too.
  Vault vault_;
  std::vector<std::unique_ptr<LogDisk>> log_disks_;  // Of each holder.
  std::optional<TimePoint> power_ends_;
  Rng fate_;  // Of disks, and of everything.
  std::optional<Manifest> resume_;
  uint64_t snapshot_floor_ = 0;             // Numbers up to it may be taken.
  std::map<uint64_t, Manifest> manifests_;  // All that were to be written, the last of each number.
  uint64_t last_kept_ = 0;
  Rng thief_;
  uint64_t next_peer_;
  uint64_t next_boot_ = 1000;
  Outcome outcome_;
};

}  // namespace shardmill::sim
