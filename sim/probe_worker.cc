#include "sim/probe_worker.h"

#include <string>
#include <variant>

#include "common/assert.h"

namespace shardmill::sim {
namespace {

PsClientOptions ClientOptions(const ProbeWorker::Options& options, PeerId coordinator) {
  PsClientOptions client;
  client.rank = options.rank;
  client.boot = options.boot;
  client.coordinator = coordinator;
  client.retry_after = std::chrono::milliseconds(20);
  client.unit_bytes = 40;     // Several units a shard and step.
  client.window_bytes = 100;  // Fewer than a step has.
  return client;
}

}  // namespace

ProbeWorker::ProbeWorker(const Options& options, PeerId coordinator, const ProbeModel& model,
                         Ledger& ledger)
    : options_(options),
      coordinator_(coordinator),
      model_(model),
      ledger_(ledger),
      rng_(options.seed),
      client_(ClientOptions(options, coordinator)),
      probe_(model.tables()[0].size),
      weights_(ProbeModel::kWeights) {}

void ProbeWorker::Handle(TimePoint now, const Envelope& envelope, Outbox& outbox) {
  if (lease_) lease_->Handle(now, envelope);
  client_.Handle(now, envelope, outbox);
  Advance(now, outbox);
}

void ProbeWorker::Tick(TimePoint now, Outbox& outbox) {
  if (lease_ && !client_.left()) lease_->Tick(now, outbox);
  client_.Tick(now, outbox);
  Advance(now, outbox);
}

void ProbeWorker::Advance(TimePoint now, Outbox& outbox) {
  if (over()) return;
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
      for (const TableSpec& spec : model_.tables()) {
        if (client_.FindTable(spec.name) == nullptr) client_.MakeTable(now, spec, outbox);
      }
      [[fallthrough]];
    case Phase::kTable:
      if (MakeTables(now, outbox)) BeginPull(now, outbox);
      return;
    case Phase::kPull:
      if (!Pulled()) return;
      compute_until_ = now + std::chrono::microseconds(rng_.Below(3000));
      phase_ = Phase::kCompute;
      return;
    case Phase::kCompute:
      if (now >= compute_until_) PushAndEnd(now, outbox);
      return;
    case Phase::kEnd:
      if (!client_.Ended()) return;
      ledger_.Ack(client_.sender(), client_.step(), client_.finished().counted);
      client_.Unbind(rows_);
      client_.NextStep();
      BeginPull(now, outbox);
      return;
    case Phase::kLeaving:
      return;
  }
}

bool ProbeWorker::MakeTables(TimePoint /*now*/, Outbox& /*outbox*/) {
  for (const TableSpec& spec : model_.tables()) {
    if (client_.FindTable(spec.name) == nullptr) return false;
  }
  const auto counts = client_.Bind(*client_.FindTable("counts"), model_.CountKeys(options_.rank));
  SM_ASSERT(counts.ok());
  counts_ = counts.value();
  return true;
}

void ProbeWorker::BeginPull(TimePoint now, Outbox& outbox) {
  const Step step = client_.step();
  if (step > options_.steps) {
    phase_ = Phase::kLeaving;
    client_.SayGoodbye(now, true, "", outbox);
    return;
  }
  const auto rows = client_.Bind(*client_.FindTable("rows"), model_.RowKeys(options_.rank, step));
  SM_ASSERT(rows.ok());
  rows_ = rows.value();
  row_values_.resize(rows_.count * ProbeModel::kRowFloats);
  const auto probe = client_.Pull(now, *client_.FindTable("probe"), 0, probe_, 0, outbox);
  const auto weights = client_.Pull(now, *client_.FindTable("weights"), 0, weights_, 0, outbox);
  const auto row_pull = client_.Pull(now, rows_, row_values_, 0, outbox);
  SM_ASSERT(probe.ok() && weights.ok() && row_pull.ok());
  pulls_ = {probe.value(), weights.value(), row_pull.value()};
  phase_ = Phase::kPull;
}

bool ProbeWorker::Pulled() {
  for (const Ticket pull : pulls_) {
    if (!client_.Done(pull)) return false;
  }
  ledger_.SawPull(options_.rank, client_.step(), probe_, client_.Take(pulls_[0]).staleness);
  return true;
}

void ProbeWorker::Push(TimePoint now, const std::string& table, std::span<const float> values,
                       Outbox& outbox) {
  SM_ASSERT(client_.Push(now, *client_.FindTable(table), 0, values, outbox).ok());
}

void ProbeWorker::PushAndEnd(TimePoint now, Outbox& outbox) {
  const WorkerId rank = options_.rank;
  const Step step = client_.step();
  ledger_.Attempt(rank, step);
  const double samples = model_.Samples(rank, step);
  if (rng_.Chance(0.2)) {
    // Begun, thought better of, and begun anew: what was pushed first must leave no trace.
    const std::vector<float> other(probe_.size() - rng_.Below(ProbeModel::kLine), 1000.0F);
    Push(now, "probe", other, outbox);
    client_.AbandonStep();
  }
  if (samples > 0) {
    Push(now, "probe", model_.Probe(rank, step), outbox);
    Push(now, "weights", model_.Gradient(ProbeModel::kOfWeights, rank, step, weights_), outbox);
    const auto rows = client_.Push(
        now, rows_, model_.Gradient(ProbeModel::kOfRows, rank, step, row_values_), outbox);
    SM_ASSERT(rows.ok() && client_.Push(now, counts_, model_.Counts(), outbox).ok());
  }
  client_.EndStep(now, samples, outbox);
  phase_ = Phase::kEnd;
}

}  // namespace shardmill::sim
