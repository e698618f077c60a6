#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "client/lease_keeper.h"
#include "client/ps_client.h"
#include "common/clock.h"
#include "common/messages.h"
#include "common/result.h"
#include "common/rng.h"
#include "sim/ledger.h"
#include "sim/probe_model.h"

namespace shardmill::sim {

// One life of one simulated worker process: the real client core, driven by the probe model. It
// joins, makes its steps one after the other, and says goodbye. Owned by a Cluster.
class ProbeWorker final {
 public:
  struct Options {
    WorkerId rank;
    BootId boot;
    Step steps = 1;
    Duration lease = std::chrono::seconds(1);
    uint64_t seed = 0;
  };

  ProbeWorker(const Options& options, PeerId coordinator, const ProbeModel& model,
              FramePool& frames, Ledger& ledger);

  void Handle(TimePoint now, const Envelope& envelope, Outbox& outbox);
  void Tick(TimePoint now, Outbox& outbox);

  bool left() const { return client_.left(); }
  const PsClient& client() const { return client_; }
  BootId boot() const { return options_.boot; }
  // It may not push what it has, as a shard has found.
  bool gave_up() const { return client_.failure() && told_; }
  // Whether it has ended by itself: its work is done, or it was told that it is not wanted.
  bool over() const { return left() || client_.failure() || (lease_ && lease_->failure()); }

 private:
  enum class Phase : uint8_t { kJoining, kTable, kCompute, kPull, kEnd, kLeaving };

  void Advance(TimePoint now, Outbox& outbox);
  void GoBack();
  bool HasTables() const;
  void BeginPull(TimePoint now, Outbox& outbox);
  void PullDense(TimePoint now, const PullOptions& options, Outbox& outbox);
  bool Pulled();
  void PushAndEnd(TimePoint now, Outbox& outbox);
  void GiveUp(TimePoint now, const std::string& words, Outbox& outbox);
  void PushAndAbandon(TimePoint now, Outbox& outbox);
  Result<> PushTable(TimePoint now, ProbeTable table, Outbox& outbox);
  Result<> PushRows(TimePoint now, ProbeTable table, std::span<const float> values, Outbox& outbox);
  std::vector<float> ReadOf(ProbeTable table) const;
  const TablePlace& Place(ProbeTable table) const;
  KeySet BindKeys(ProbeTable table, std::span<const uint64_t> keys);

  Options options_;
  PeerId coordinator_;
  const ProbeModel& model_;
  Ledger& ledger_;
  Rng rng_;
  PsClient client_;
  std::optional<LeaseKeeper> lease_;
  Phase phase_ = Phase::kJoining;
  bool told_ = false;  // Why it leaves a job that cannot go on without it.
  TimePoint compute_until_{};
  std::map<uint32_t, KeySet> counts_;  // By the shards that a step touches.
  std::vector<Ticket> pulls_;          // Of the probe first.
  std::vector<float> probe_;
  std::vector<float> weights_;
  std::optional<KeySet> rows_;  // Of the step under way, where it has some.
  std::vector<float> row_values_;
};

}  // namespace shardmill::sim
