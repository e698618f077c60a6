#include "common/status/job_status.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "common/json/json.h"

namespace shardmill {
namespace {

using Worker = JobStatus::Worker;
using Shard = JobStatus::Shard;

constexpr std::array<std::string_view, 4> kStates = {"starting", "training", "done", "failed"};
constexpr std::array<std::string_view, 5> kWorkerStates = {"absent", "waiting", "training",
                                                           "silent", "done"};

void Write(const Worker& worker, JsonWriter* json) {
  json->BeginObject();
  json->Key("rank").Whole(worker.rank);
  json->Key("state").Text(NameOf(worker.state));
  json->Key("incarnation").Whole(worker.incarnation);
  json->Key("step").Whole(worker.step);
  json->Key("acked").Whole(worker.acked);
  json->Key("epoch").Whole(worker.epoch);
  json->Key("samples").Number(worker.samples);
  json->Key("seconds").Number(worker.seconds);
  json->Key("silent_seconds").Number(worker.silent_seconds);
  json->Key("staleness_max").Whole(worker.staleness_max);
  json->Key("awaited_seconds").Number(worker.awaited_seconds);
  json->Key("awaited_share").Number(worker.awaited_share);
  json->Key("metrics").BeginObject();
  for (const auto& [name, value] : worker.metrics) json->Key(name).Number(value);
  json->EndObject().EndObject();
}

void Write(const Shard& shard, JsonWriter* json) {
  json->BeginObject();
  json->Key("id").Whole(shard.id);
  json->Key("endpoint").Text(shard.endpoint);
  json->Key("closed").Whole(shard.closed);
  json->Key("version").Whole(shard.version);
  json->Key("units").Whole(shard.units);
  json->Key("held_bytes").Whole(shard.held_bytes);
  json->Key("parked_pulls").Whole(shard.parked_pulls);
  json->Key("staleness_max").Whole(shard.staleness_max);
  json->Key("waiting_for");
  shard.waits() ? json->Whole(shard.waiting_for) : json->Null();
  json->Key("discarded").Whole(shard.discarded);
  json->Key("skipped").Whole(shard.skipped);
  json->Key("nonfinite").Whole(shard.nonfinite);
  json->Key("copy").Whole(shard.copy);
  json->Key("server").Whole(shard.host);
  json->Key("moving").Flag(shard.moving);
  json->Key("replicas").Whole(shard.replicas);
  json->Key("in_sync").Whole(shard.in_sync);
  json->Key("gated").Whole(shard.gated);
  json->Key("degraded").Text(shard.degraded);
  json->EndObject();
}

void Write(const JobStatus::Snapshots& snapshots, JsonWriter* json) {
  json->BeginObject();
  json->Key("number").Whole(snapshots.number);
  json->Key("age_seconds").Number(snapshots.age_seconds);
  json->Key("took_seconds").Number(snapshots.took_seconds);
  json->Key("bytes").Whole(snapshots.bytes);
  json->Key("under_way").Whole(snapshots.under_way);
  json->Key("given_up").Whole(snapshots.given_up);
  json->Key("problem").Text(snapshots.problem);
  json->Key("awaited").Text(snapshots.awaited);
  json->Key("damaged").Whole(snapshots.damaged);
  json->Key("final_lost").Flag(snapshots.final_lost);
  json->EndObject();
}

// Reads members of one object, and remembers the first that cannot be. Lives for one object.
class Members final {
 public:
  Members(const JsonValue& object, std::string* wrong) : object_(object), wrong_(wrong) {
    if (object.kind != JsonValue::Kind::kObject) Wrong("an object");
  }

  void Read(std::string_view key, uint64_t* field) const { ReadWhole(key, ~uint64_t{0}, field); }
  void Read(std::string_view key, uint32_t* field) const {
    uint64_t wide = *field;
    ReadWhole(key, std::numeric_limits<uint32_t>::max(), &wide);
    *field = static_cast<uint32_t>(wide);
  }
  void Read(std::string_view key, double* field) const {
    const JsonValue* value = Find(key, JsonValue::Kind::kNumber);
    if (value) *field = value->number;
  }
  void Read(std::string_view key, bool* field) const {
    const JsonValue* value = Find(key, JsonValue::Kind::kFlag);
    if (value) *field = value->flag;
  }
  void Read(std::string_view key, std::string* field) const {
    const JsonValue* value = Find(key, JsonValue::Kind::kText);
    if (value) *field = value->text;
  }
  template <class E, size_t kCount>
  void Read(std::string_view key, const std::array<std::string_view, kCount>& names,
            E* field) const {
    const JsonValue* value = Find(key, JsonValue::Kind::kText);
    if (!value) return;
    for (size_t i = 0; i < kCount; ++i) {
      if (value->text == names[i]) {
        *field = static_cast<E>(i);
        return;
      }
    }
    Wrong(key);
  }

  // Null where it is not there; a null of the document counts as that.
  const JsonValue* Find(std::string_view key, JsonValue::Kind kind) const {
    const JsonValue* value = object_.Find(key);
    if (!value || value->kind == JsonValue::Kind::kNull) return nullptr;
    if (value->kind == kind) return value;
    Wrong(key);
    return nullptr;
  }

 private:
  void ReadWhole(std::string_view key, uint64_t max, uint64_t* field) const {
    const JsonValue* value = Find(key, JsonValue::Kind::kNumber);
    if (!value) return;
    if (!value->is_whole || value->whole > max) return Wrong(key);
    *field = value->whole;
  }
  void Wrong(std::string_view what) const {
    if (wrong_->empty()) *wrong_ = what;
  }

  const JsonValue& object_;
  std::string* wrong_;
};

Worker ReadWorker(const JsonValue& object, std::string* wrong) {
  Worker worker;
  const Members members(object, wrong);
  members.Read("rank", &worker.rank);
  members.Read("state", kWorkerStates, &worker.state);
  members.Read("incarnation", &worker.incarnation);
  members.Read("step", &worker.step);
  members.Read("acked", &worker.acked);
  members.Read("epoch", &worker.epoch);
  members.Read("samples", &worker.samples);
  members.Read("seconds", &worker.seconds);
  members.Read("silent_seconds", &worker.silent_seconds);
  members.Read("staleness_max", &worker.staleness_max);
  members.Read("awaited_seconds", &worker.awaited_seconds);
  members.Read("awaited_share", &worker.awaited_share);
  const JsonValue* metrics = members.Find("metrics", JsonValue::Kind::kObject);
  if (!metrics) return worker;
  for (const auto& [name, value] : metrics->members) {
    if (value.kind == JsonValue::Kind::kNumber) worker.metrics.emplace_back(name, value.number);
    // What is no number JSON cannot say.
    if (value.kind == JsonValue::Kind::kNull) worker.metrics.emplace_back(name, std::nan(""));
  }
  return worker;
}

Shard ReadShard(const JsonValue& object, std::string* wrong) {
  Shard shard;
  const Members members(object, wrong);
  members.Read("id", &shard.id);
  members.Read("endpoint", &shard.endpoint);
  members.Read("closed", &shard.closed);
  members.Read("version", &shard.version);
  members.Read("units", &shard.units);
  members.Read("held_bytes", &shard.held_bytes);
  members.Read("parked_pulls", &shard.parked_pulls);
  members.Read("staleness_max", &shard.staleness_max);
  members.Read("waiting_for", &shard.waiting_for);
  members.Read("discarded", &shard.discarded);
  members.Read("skipped", &shard.skipped);
  members.Read("nonfinite", &shard.nonfinite);
  members.Read("copy", &shard.copy);
  members.Read("server", &shard.host);
  members.Read("moving", &shard.moving);
  members.Read("replicas", &shard.replicas);
  members.Read("in_sync", &shard.in_sync);
  members.Read("gated", &shard.gated);
  members.Read("degraded", &shard.degraded);
  return shard;
}

JobStatus::Snapshots ReadSnapshots(const JsonValue& object, std::string* wrong) {
  JobStatus::Snapshots snapshots;
  const Members members(object, wrong);
  members.Read("number", &snapshots.number);
  members.Read("age_seconds", &snapshots.age_seconds);
  members.Read("took_seconds", &snapshots.took_seconds);
  members.Read("bytes", &snapshots.bytes);
  members.Read("under_way", &snapshots.under_way);
  members.Read("given_up", &snapshots.given_up);
  members.Read("problem", &snapshots.problem);
  members.Read("awaited", &snapshots.awaited);
  members.Read("damaged", &snapshots.damaged);
  members.Read("final_lost", &snapshots.final_lost);
  return snapshots;
}

}  // namespace

// Workers that are all equally fast are each waited for now and then.
const Worker* SlowWorker(const JobStatus& status) {
  constexpr double kShareMin = 0.4;
  constexpr double kTimesTheNext = 2;
  const Worker* slow = nullptr;
  double next = 0;
  for (const Worker& worker : status.workers) {
    if (slow == nullptr || worker.awaited_share > slow->awaited_share) {
      if (slow != nullptr) next = slow->awaited_share;
      slow = &worker;
    } else {
      next = std::max(next, worker.awaited_share);
    }
  }
  const bool stands_out = status.workers.size() > 1 && slow->awaited_share >= kShareMin &&
                          slow->awaited_share >= kTimesTheNext * next;
  return stands_out ? slow : nullptr;
}

std::string_view NameOf(JobStatus::State state) { return kStates.at(static_cast<size_t>(state)); }
std::string_view NameOf(Worker::State state) {
  return kWorkerStates.at(static_cast<size_t>(state));
}

std::string ToJson(const JobStatus& status) {
  JsonWriter json;
  json.BeginObject();
  json.Key("state").Text(NameOf(status.state));
  json.Key("words").Text(status.words);
  json.Key("exit_code").Whole(status.exit_code);
  json.Key("policy").BeginObject().Key("mode").Text(status.policy);
  json.Key("staleness").Whole(status.staleness).EndObject();
  json.Key("view").Whole(status.view);
  json.Key("generation").Whole(status.generation);
  json.Key("rollbacks").Whole(status.rollbacks);
  json.Key("promotions").Whole(status.promotions);
  json.Key("workers").BeginList();
  for (const Worker& worker : status.workers) Write(worker, &json);
  json.EndList().Key("shards").BeginList();
  for (const Shard& shard : status.shards) Write(shard, &json);
  json.EndList();
  if (status.snapshots) {
    json.Key("snapshots");
    Write(*status.snapshots, &json);
  }
  if (status.data > 0) {
    json.Key("data").BeginObject().Key("samples").Whole(status.data);
    json.Key("used").Whole(status.data_used).EndObject();
  }
  if (status.state == JobStatus::State::kDone) {
    json.Key("audit").BeginObject().Key("lost").Whole(status.lost);
    json.Key("duplicated").Whole(status.duplicated);
    json.Key("samples_lost").Whole(status.samples_lost);
    json.Key("samples_repeated").Whole(status.samples_repeated).EndObject();
  }
  return json.EndObject().Take();
}

Result<JobStatus> ParseJobStatus(std::string_view text) {
  const JsonValue json = SM_TRY(ParseJson(text));
  JobStatus status;
  std::string wrong;
  const Members members(json, &wrong);
  members.Read("state", kStates, &status.state);
  members.Read("words", &status.words);
  members.Read("exit_code", &status.exit_code);
  members.Read("view", &status.view);
  members.Read("generation", &status.generation);
  members.Read("rollbacks", &status.rollbacks);
  members.Read("promotions", &status.promotions);
  if (const JsonValue* policy = members.Find("policy", JsonValue::Kind::kObject)) {
    Members(*policy, &wrong).Read("mode", &status.policy);
    Members(*policy, &wrong).Read("staleness", &status.staleness);
  }
  if (const JsonValue* workers = members.Find("workers", JsonValue::Kind::kList)) {
    for (const JsonValue& item : workers->items) status.workers.push_back(ReadWorker(item, &wrong));
  }
  if (const JsonValue* shards = members.Find("shards", JsonValue::Kind::kList)) {
    for (const JsonValue& item : shards->items) status.shards.push_back(ReadShard(item, &wrong));
  }
  if (const JsonValue* snapshots = members.Find("snapshots", JsonValue::Kind::kObject)) {
    status.snapshots = ReadSnapshots(*snapshots, &wrong);
  }
  if (const JsonValue* data = members.Find("data", JsonValue::Kind::kObject)) {
    Members(*data, &wrong).Read("samples", &status.data);
    Members(*data, &wrong).Read("used", &status.data_used);
  }
  if (const JsonValue* audit = members.Find("audit", JsonValue::Kind::kObject)) {
    Members(*audit, &wrong).Read("lost", &status.lost);
    Members(*audit, &wrong).Read("duplicated", &status.duplicated);
    Members(*audit, &wrong).Read("samples_lost", &status.samples_lost);
    Members(*audit, &wrong).Read("samples_repeated", &status.samples_repeated);
  }
  if (wrong.empty()) return status;
  return Error{ErrorCode::kBadInput, "no status of a job: \"" + wrong + "\" cannot be what it is"};
}

}  // namespace shardmill
