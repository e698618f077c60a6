#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/messages.h"
#include "common/result.h"
#include "server/dense_slice.h"
#include "server/held_units.h"
#include "server/log_entry.h"
#include "server/optimizer.h"
#include "server/step_tracker.h"

namespace shardmill {

struct ShardOptions {
  ShardId id;
  BootId boot;
  std::string endpoint;  // Where workers reach this shard.
  PeerId coordinator;
  OptimizerSettings optimizer;  // For tables that name none of their own.
  uint64_t held_bytes_max = uint64_t{1} << 30;
  uint32_t units_max = 65536;        // Of one step of one rank.
  uint32_t parked_pulls_max = 4096;  // Of one rank.
  Duration retry_after = std::chrono::milliseconds(500);
  Duration beat_every = std::chrono::seconds(1);
  Duration start_timeout = std::chrono::seconds(60);  // For the coordinator to answer.
};

// What a shard has counted since it began.
struct ShardCounters {
  uint64_t units = 0;
  uint64_t pulls = 0;
  uint64_t entries = 0;
  uint64_t refused = 0;
  uint64_t staleness_max = 0;
};

// Owns a slice of every table: holds units, applies whole steps as log entries, parks and serves
// pulls by the read rule, and takes part in cuts. A pure state machine: messages and `now` in,
// messages out; no clock, socket, file or chance. Owned by one agent, on its thread. Input that
// cannot be is refused with words and counted; it never ends the process.
class Shard final {
 public:
  // Fails on settings that cannot be (an unknown optimizer).
  static Result<std::unique_ptr<Shard>> Make(const ShardOptions& options);

  void Handle(TimePoint now, const Envelope& envelope, Outbox& outbox);
  void Tick(TimePoint now, Outbox& outbox);

  bool ready() const { return view_.number.value > 0; }
  const View& view() const { return view_; }
  // Set for good when the coordinator says that this shard has no place in the job, or nothing.
  const std::optional<Error>& failure() const { return failure_; }
  const ShardCounters& counters() const { return counters_; }
  Beat Status() const;

  // For observers: what the shard holds of a table, and who has ended what.
  std::vector<float> Snapshot(TableId table) const;
  std::vector<RankState> States() const { return tracker_.States(); }

 private:
  // Where an answer goes.
  struct Client {
    PeerId peer;
    BootId boot;
  };
  struct PendingEnd {
    End end;
    std::optional<Client> client;  // None: completed by a cut, before its End came here.
  };
  struct ParkedPull {
    Pull pull;
    Client client;
  };
  struct Table {
    TablePlace place;
    DenseSlice values;
    const Optimizer* optimizer = nullptr;
  };

  explicit Shard(const ShardOptions& options);

  void On(const Hello& hello, const Envelope& from, Outbox& outbox);
  void On(const Refused& refused, const Envelope& from, Outbox& outbox);
  void On(const Unit& unit, const Envelope& from, Outbox& outbox);
  void On(const End& end, const Envelope& from, Outbox& outbox);
  void On(const Pull& pull, const Envelope& from, Outbox& outbox);
  void On(const Registered& registered, const Envelope& from, Outbox& outbox);
  void On(const Freeze& freeze, const Envelope& from, Outbox& outbox);
  void On(const Install& install, const Envelope& from, Outbox& outbox);

  bool PassStamp(const Envelope& from, Outbox& outbox);
  bool PassSender(const Sender& sender, uint64_t about, const Envelope& from, Outbox& outbox);
  std::string RangeProblem(TableId table, uint64_t begin, uint64_t count) const;

  void CloseRoundIfWhole(Outbox& outbox);
  void ApplySteps(const std::vector<PendingEnd>& steps, Outbox& outbox);
  void Apply(const LogEntry& entry);
  std::string CompleteCut(const std::vector<RankState>& cut, Outbox& outbox);
  void DropReplaced(const View& next);
  void TakeView(const View& view);

  void Serve(const Pull& pull, const Client& client, Outbox& outbox);
  void ReleaseParked(Outbox& outbox);
  void Send(Client client, Message message, Outbox& outbox) const;
  void SendWaiting(uint64_t about, bool is_pull, Client client, Outbox& outbox) const;
  void Refuse(Refusal code, uint64_t about, std::string words, const Envelope& from,
              Outbox& outbox);
  Client Coordinator() const { return {options_.coordinator, coordinator_boot_}; }

  ShardOptions options_;
  std::unique_ptr<Optimizer> optimizer_;
  JobId job_;
  BootId coordinator_boot_;
  bool registered_ = false;
  std::optional<Error> failure_;
  std::optional<TimePoint> began_at_;
  std::optional<TimePoint> asked_at_;
  std::optional<TimePoint> beat_at_;

  View view_;
  Term term_;
  std::optional<ViewNumber> freezing_;  // The cut under way.
  StepTracker tracker_;
  HeldUnits held_;
  std::map<WorkerId, PendingEnd> pending_;  // Ends of the open round, where rounds are closed.
  std::map<WorkerId, std::map<uint64_t, ParkedPull>> parked_;
  std::map<TableId, Table> tables_;
  uint64_t version_ = 0;
  ShardCounters counters_;
};

}  // namespace shardmill
