#include "sim/probe_worker.h"

#include <string>
#include <variant>

#include "common/assert.h"

namespace shardmill::sim {
namespace {

constexpr const char* kTable = "probe";

PsClientOptions ClientOptions(const ProbeWorker::Options& options, PeerId coordinator) {
  PsClientOptions client;
  client.rank = options.rank;
  client.boot = options.boot;
  client.coordinator = coordinator;
  client.retry_after = std::chrono::milliseconds(20);
  client.unit_bytes = 24;    // Several units a shard and step.
  client.window_bytes = 48;  // Fewer than a step has.
  return client;
}

}  // namespace

ProbeWorker::ProbeWorker(const Options& options, PeerId coordinator, Ledger& ledger)
    : options_(options),
      coordinator_(coordinator),
      ledger_(ledger),
      rng_(options.seed),
      client_(ClientOptions(options, coordinator)),
      probe_(options.shards * Ledger::kLine) {}

void ProbeWorker::Handle(TimePoint now, const Envelope& envelope, Outbox& outbox) {
  if (lease_) lease_->Handle(envelope);
  client_.Handle(now, envelope, outbox);
  Advance(now, outbox);
}

void ProbeWorker::Tick(TimePoint now, Outbox& outbox) {
  if (lease_ && !client_.left()) lease_->Tick(now, outbox);
  client_.Tick(now, outbox);
  Advance(now, outbox);
}

void ProbeWorker::Advance(TimePoint now, Outbox& outbox) {
  if (client_.failure() || (lease_ && lease_->failure())) return;
  for (const ShardPlace& place : client_.Unattached()) {
    client_.Attach(place.id, PeerId{std::stoull(place.endpoint)});
  }
  switch (phase_) {
    case Phase::kJoining:
      if (client_.granted() && !lease_) {
        lease_.emplace(client_.sender(), client_.CoordinatorStamp(), coordinator_,
                       options_.lease / 8);
      }
      if (!client_.Ready()) return;
      ledger_.Begin(client_.sender(), client_.step());
      phase_ = Phase::kTable;
      if (client_.FindTable(kTable) == nullptr) {
        client_.MakeTable(now, {kTable, probe_.size(), {}}, outbox);
      }
      [[fallthrough]];
    case Phase::kTable:
      if (client_.FindTable(kTable) == nullptr) return;
      BeginPull(now, outbox);
      return;
    case Phase::kPull:
      if (!client_.Done(pull_)) return;
      ledger_.SawPull(options_.rank, client_.step(), probe_, client_.Take(pull_).staleness);
      compute_until_ = now + std::chrono::microseconds(rng_.Below(3000));
      phase_ = Phase::kCompute;
      return;
    case Phase::kCompute:
      if (now >= compute_until_) PushAndEnd(now, outbox);
      return;
    case Phase::kEnd:
      if (!client_.Ended()) return;
      ledger_.Ack(client_.sender(), client_.step());
      client_.NextStep();
      BeginPull(now, outbox);
      return;
    case Phase::kLeaving:
      return;
  }
}

void ProbeWorker::BeginPull(TimePoint now, Outbox& outbox) {
  if (client_.step() > options_.steps) {
    phase_ = Phase::kLeaving;
    client_.SayGoodbye(now, true, "", outbox);
    return;
  }
  auto pull = client_.Pull(now, *client_.FindTable(kTable), 0, probe_, 0, outbox);
  SM_ASSERT(pull.ok());
  pull_ = pull.value();
  phase_ = Phase::kPull;
}

// With a learning rate of one, weights 1/N in a closed round and 1 on arrival, this adds one.
void ProbeWorker::PushAndEnd(TimePoint now, Outbox& outbox) {
  const bool rounds = client_.view().policy.apply == ApplyRule::kPerStep;
  std::vector<float> gradient(probe_.size());
  for (uint32_t shard = 0; shard < options_.shards; ++shard) {
    gradient[Ledger::Index(shard, options_.rank.value)] =
        rounds ? -static_cast<float>(options_.workers) : -1.0F;
  }
  ledger_.Attempt(options_.rank, client_.step());
  if (rng_.Chance(0.2)) {
    // Begun, thought better of, and begun anew: what was pushed first must leave no trace.
    const std::vector<float> other(probe_.size() - rng_.Below(Ledger::kLine), 1000.0F);
    SM_ASSERT(client_.Push(now, *client_.FindTable(kTable), 0, other, outbox).ok());
    client_.AbandonStep();
  }
  const auto push = client_.Push(now, *client_.FindTable(kTable), 0, gradient, outbox);
  SM_ASSERT(push.ok());
  client_.EndStep(now, 1, outbox);
  phase_ = Phase::kEnd;
}

}  // namespace shardmill::sim
