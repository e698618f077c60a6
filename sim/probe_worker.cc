#include "sim/probe_worker.h"

#include <algorithm>
#include <string>

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
                         FramePool& frames, Ledger& ledger)
    : options_(options),
      coordinator_(coordinator),
      model_(model),
      ledger_(ledger),
      rng_(options.seed),
      client_(ClientOptions(options, coordinator), frames),
      probe_(model.tables()[0].size),
      weights_(ProbeModel::kFloats) {}

void ProbeWorker::Handle(TimePoint now, const Envelope& envelope, Outbox& outbox) {
  if (lease_) lease_->Handle(now, envelope);
  client_.Handle(now, envelope, outbox);
  Advance(now, outbox);
}

void ProbeWorker::Tick(TimePoint now, Outbox& outbox) {
  if (lease_ && !over()) lease_->Tick(now, outbox);
  client_.Tick(now, outbox);
  Advance(now, outbox);
}

void ProbeWorker::Advance(TimePoint now, Outbox& outbox) {
  const std::optional<Error>& failure = client_.failure();
  if (failure && failure->code == ErrorCode::kBadInput && !told_) {
    GiveUp(now, failure->message, outbox);
  }
  if (over()) return;
  for (const ShardPlace& place : client_.Unattached()) {
    client_.Attach(place.id, PeerId{std::stoull(place.endpoint)});
  }
  if (client_.rolled_back()) {
    if (!client_.Ready()) return;
    GoBack();
  }
  switch (phase_) {
    case Phase::kJoining:
      if (client_.granted() && !lease_) {
        lease_.emplace(client_.sender(), client_.CoordinatorStamp(), coordinator_,
                       options_.lease / 8);
      }
      if (!client_.Ready()) return;
      ledger_.Begin(client_.generation(), client_.sender(), client_.step());
      phase_ = Phase::kTable;
      for (const TableSpec& spec : model_.tables()) {
        if (client_.FindTable(spec.name) == nullptr) client_.MakeTable(now, spec, outbox);
      }
      [[fallthrough]];
    case Phase::kTable:
      if (HasTables()) BeginPull(now, outbox);
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
      ledger_.Ack(client_.generation(), client_.sender(), client_.step(),
                  client_.finished().counted);
      if (rows_) client_.Unbind(*rows_);
      client_.NextStep();
      BeginPull(now, outbox);
      return;
    case Phase::kLeaving:
      return;
  }
}

void ProbeWorker::GoBack() {
  client_.TakeRollback();
  if (phase_ == Phase::kJoining) return;
  ledger_.Begin(client_.generation(), client_.sender(), client_.step());
  pulls_.clear();
  if (rows_) client_.Unbind(*rows_);
  rows_.reset();
  phase_ = Phase::kTable;
}

bool ProbeWorker::HasTables() const {
  return std::ranges::all_of(model_.tables(), [this](const TableSpec& spec) {
    return client_.FindTable(spec.name) != nullptr;
  });
}

const TablePlace& ProbeWorker::Place(ProbeTable table) const {
  return *client_.FindTable(model_.Spec(table).name);
}

KeySet ProbeWorker::BindKeys(ProbeTable table, std::span<const uint64_t> keys) {
  const auto bound = client_.Bind(Place(table), keys);
  SM_ASSERT(bound.ok());
  return bound.value();
}

void ProbeWorker::BeginPull(TimePoint now, Outbox& outbox) {
  const Step step = client_.step();
  ledger_.SawStep(options_.boot, client_.generation(), step);
  if (step > options_.steps) {
    phase_ = Phase::kLeaving;
    client_.SayGoodbye(now, true, "", outbox);
    return;
  }
  if (pulls_.empty()) PullDense(now, {}, outbox);
  rows_.reset();
  const auto keys = model_.Elements(ProbeTable::kRows, options_.rank, step);
  row_values_.resize(keys.size() * ProbeModel::kRowFloats);
  if (!keys.empty()) {
    rows_ = BindKeys(ProbeTable::kRows, keys);
    const auto pull = client_.Pull(now, *rows_, row_values_, {}, outbox);
    SM_ASSERT(pull.ok());
    pulls_.push_back(pull.value());
  }
  phase_ = Phase::kPull;
}

void ProbeWorker::PullDense(TimePoint now, const PullOptions& options, Outbox& outbox) {
  pulls_.clear();
  const auto probe = client_.Pull(now, Place(ProbeTable::kProbe), 0, probe_, options, outbox);
  const auto weights = client_.Pull(now, Place(ProbeTable::kWeights), 0, weights_, options, outbox);
  SM_ASSERT(probe.ok() && weights.ok());
  pulls_ = {probe.value(), weights.value()};
}

bool ProbeWorker::Pulled() {
  for (const Ticket pull : pulls_) {
    if (!client_.Done(pull)) return false;
  }
  ledger_.SawPull(client_.generation(), options_.rank, client_.step(), probe_,
                  client_.Take(pulls_[0]).staleness);
  pulls_.clear();
  return true;
}

// Begun and thought better of: what was pushed must leave no trace, also on shards to which the
// attempt that follows pushes nothing.
void ProbeWorker::PushAndAbandon(TimePoint now, Outbox& outbox) {
  const std::vector<float> other(probe_.size() - rng_.Below(ProbeModel::kLine), 1000.0F);
  SM_ASSERT(client_.Push(now, Place(ProbeTable::kProbe), 0, other, outbox).ok());
  if (rows_ && rng_.Chance(0.5)) {
    const std::vector<float> rows(row_values_.size(), 1000.0F);
    SM_ASSERT(client_.Push(now, *rows_, rows, outbox).ok());
  }
  client_.AbandonStep();
}

void ProbeWorker::PushAndEnd(TimePoint now, Outbox& outbox) {
  const WorkerId rank = options_.rank;
  const Step step = client_.step();
  ledger_.Attempt(client_.generation(), rank, step);
  while (rng_.Chance(0.2)) PushAndAbandon(now, outbox);
  const double samples = model_.Samples(rank, step);
  for (size_t i = 0; i < kProbeTables && samples > 0; ++i) {
    const Result<> pushed = PushTable(now, static_cast<ProbeTable>(i), outbox);
    if (pushed.ok()) continue;
    GiveUp(now, pushed.error().message, outbox);
    return;
  }
  if (step < options_.steps && rng_.Chance(0.5)) PullDense(now, {.next_step = true}, outbox);
  client_.EndStep(now, samples, outbox);
  phase_ = Phase::kEnd;
}

// As a worker does that may not push what it has: it leaves, and the job cannot go on without it.
void ProbeWorker::GiveUp(TimePoint now, const std::string& words, Outbox& outbox) {
  told_ = true;
  ledger_.Rejected(options_.rank, client_.step());
  phase_ = Phase::kLeaving;
  client_.SayGoodbye(now, false, words, outbox);
}

// What was read of the elements that the step pushes.
std::vector<float> ProbeWorker::ReadOf(ProbeTable table) const {
  if (table == ProbeTable::kRows) return row_values_;
  std::vector<float> read;
  if (table != ProbeTable::kWeights) return read;
  for (const uint64_t at : model_.Elements(table, options_.rank, client_.step())) {
    read.push_back(weights_[at]);
  }
  return read;
}

Result<> ProbeWorker::PushTable(TimePoint now, ProbeTable table, Outbox& outbox) {
  const WorkerId rank = options_.rank;
  const Step step = client_.step();
  const std::vector<float> values = model_.Values(table, rank, step, ReadOf(table));
  if (values.empty()) return {};
  if (model_.Spec(table).sparse()) return PushRows(now, table, values, outbox);
  std::span<const float> left = values;
  for (const ProbeModel::Range& range : model_.Ranges(table, rank, step)) {
    const std::span<const float> part = left.first(range.end - range.begin);
    SM_TRY(client_.Push(now, Place(table), range.begin, part, outbox));
    left = left.subspan(part.size());
  }
  return {};
}

// Sets of keys that live for the worker's life, for a step, and for one push.
Result<> ProbeWorker::PushRows(TimePoint now, ProbeTable table, std::span<const float> values,
                               Outbox& outbox) {
  if (table == ProbeTable::kRows) {
    SM_TRY(client_.Push(now, *rows_, values, outbox));
    return {};
  }
  const Step step = client_.step();
  const auto keys = model_.Elements(table, options_.rank, step);
  if (table == ProbeTable::kMarks) {
    const KeySet marks = BindKeys(table, keys);
    const Result<Ticket> pushed = client_.Push(now, marks, values, outbox);
    client_.Unbind(marks);
    SM_TRY(pushed);
    return {};
  }
  const uint32_t touched = model_.Touched(options_.rank, step);
  if (!counts_.contains(touched)) counts_[touched] = BindKeys(table, keys);
  SM_TRY(client_.Push(now, counts_[touched], values, outbox));
  return {};
}

}  // namespace shardmill::sim
