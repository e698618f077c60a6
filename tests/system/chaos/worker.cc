// A worker of a chaos trial: a program on the public client API alone, whose steps add to integers
// that it also reads, and which writes down what it has tried, what it was told, and what is not as
// it was promised. Its arguments are a WorkerPlan's.

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/session.h"
#include "common/process/exit_code.h"
#include "common/rng.h"
#include "tests/system/chaos/elastic_worker.h"
#include "tests/system/chaos/probe.h"

namespace shardmill::chaos {
namespace {

constexpr std::chrono::seconds kStepLimit{80};

TableOptions Added() {
  TableOptions table;
  table.update.emplace();
  table.update->rule = UpdateRule::kAdd;
  return table;
}

// One life of one rank.
class Worker final {
 public:
  Worker(const WorkerPlan& plan, JournalWriter journal)
      : plan_(plan),
        probe_(plan.seed, plan.workers, plan.shards, plan.steps),
        journal_(journal),
        rng_(Mix(plan.seed ^ plan.life)),
        harm_(plan.aim, journal),
        own_(plan.shards),
        seen_(plan.shards * plan.workers),
        closed_(plan.shards) {}

  Result<> Run();

 private:
  Result<> Open();
  Result<> TrainToEnd();
  void GoBack();
  Result<bool> Train();  // One step; false where none is left.
  Result<> MakeLateTable();
  Result<> Look(TrainingStep& step);
  Result<> Push(TrainingStep& step);
  Result<> PushToShard(TrainingStep& step, uint32_t shard);
  Result<> ReadEnd();
  void CheckCounters(uint64_t step, const std::vector<float>& read);
  void Enter(Phase phase) { harm_.Enter(phase, step_); }
  void Touch() { harm_.Touch(); }
  void Violation(const std::string& words) { journal_.Write(Event::kViolation, step_, words); }

  WorkerPlan plan_;
  Probe probe_;
  JournalWriter journal_;
  Rng rng_;
  SelfHarm harm_;
  uint64_t step_ = 0;
  uint64_t generation_ = 0;

  std::unique_ptr<Session> session_;
  DenseTable counters_;
  DenseTable bulk_;
  SparseTable rows_;
  std::optional<DenseTable> late_;
  bool looked_ = false;           // `own_` is known.
  std::vector<uint64_t> own_;     // By shard: what this rank's counter must be.
  uint64_t first_ = 0;            // The step from which it went on.
  std::vector<float> seen_;       // All counters, as they were last.
  std::vector<uint64_t> closed_;  // By shard, as last served.
};

Result<> Worker::Open() {
  journal_.Write(Event::kJoining, 0);
  Enter(Phase::kJoining);
  SessionOptions options;
  options.coordinator = plan_.coordinator;
  options.rank = plan_.rank;
  options.lease = std::chrono::milliseconds(plan_.lease_ms);
  options.retry_after = std::chrono::milliseconds(plan_.retry_ms);
  options.shared_memory = plan_.shared_memory;
  options.keys = plan_.keys;
  options.unit_bytes = 4096;
  options.open_timeout = kStepLimit;
  options.stopped = [this] {
    Touch();
    return false;
  };
  session_ = SM_TRY(Session::Open(options));
  journal_.Write(Event::kTables, session_->next_step());
  const TableOptions table = Added();
  counters_ = SM_TRY(session_->Dense("probe", probe_.shards() * probe_.Line(), table));
  bulk_ = SM_TRY(session_->Dense("bulk", probe_.shards() * Probe::kBulk, table));
  rows_ = SM_TRY(session_->Sparse("rows", 1, table));
  if (plan_.shard_mib > 0) {
    const uint64_t floats = plan_.shards * (plan_.shard_mib << 20) / sizeof(float);
    TableOptions weight = table;
    weight.initial = Initial::Uniform(1, plan_.seed);
    SM_TRY(session_->Dense("weight", floats, weight));
  }
  first_ = session_->next_step();
  journal_.Write(Event::kGranted, first_);
  return {};
}

Result<> Worker::Run() {
  const Result<> opened = Open();
  if (!opened.ok()) {
    if (!CameTooLate(opened.error())) return opened;
    journal_.Write(Event::kDone, 0);
    return {};
  }
  while (true) {
    const Result<> trained = TrainToEnd();
    if (trained.ok()) break;
    if (trained.error().code != ErrorCode::kRolledBack) return trained;
    GoBack();
  }
  journal_.Write(Event::kDone, plan_.steps);
  return {};
}

Result<> Worker::TrainToEnd() {
  while (SM_TRY(Train())) {
  }
  SM_TRY(ReadEnd());
  journal_.Write(Event::kFinal, plan_.steps);
  return session_->Close(true);
}

// What it has seen under the generation before holds no more.
void Worker::GoBack() {
  if (session_->generation() <= generation_) Violation("the generation has not grown");
  generation_ = session_->generation();
  step_ = session_->next_step();
  journal_.Write(Event::kWentBack, step_, std::to_string(generation_));
  looked_ = false;
  std::ranges::fill(own_, 0);
  std::ranges::fill(seen_, 0.0F);
  std::ranges::fill(closed_, 0);
}

Result<> Worker::MakeLateTable() {
  if (late_ || plan_.table_step == 0 || step_ < plan_.table_step) return {};
  journal_.Write(Event::kLateTable, step_);
  late_ = SM_TRY(session_->Dense("late", Probe::kBulk, Added()));
  return {};
}

Result<bool> Worker::Train() {
  const uint64_t next = session_->next_step();
  if (session_->generation() == generation_ && next < step_) Violation("a step goes back");
  step_ = next;
  generation_ = session_->generation();
  SM_TRY(MakeLateTable());
  if (step_ > plan_.steps) return false;
  Enter(Phase::kIdle);
  if (plan_.think_us > 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(rng_.Below(plan_.think_us)));
  }
  TrainingStep step = SM_TRY(session_->Begin(kStepLimit));
  if (step.number() != step_) Violation("the step is " + std::to_string(step.number()));
  harm_.Set(Phase::kReading);
  SM_TRY(Look(step));
  const bool written = plan_.plant != Plant::kUnwritten || step_ != plan_.steps / 2;
  if (written) journal_.Write(Event::kAttempt, step_);
  harm_.Set(Phase::kPushing);
  SM_TRY(Push(step));
  harm_.Set(Phase::kEnding);
  const Finished finished = SM_TRY(step.Finish(1));
  if (written) journal_.Write(finished.counted ? Event::kCounted : Event::kDiscarded, step_);
  for (uint32_t shard = 0; finished.counted && shard < plan_.shards; ++shard) {
    own_[shard] += probe_.Touches(plan_.rank, step_, shard) ? 1 : 0;
  }
  return true;
}

Result<> Worker::Look(TrainingStep& step) {
  std::vector<float> read(seen_.size());
  std::vector<Ticket> tickets;
  for (uint32_t shard = 0; shard < plan_.shards; ++shard) {
    const auto into = std::span(read).subspan(shard * plan_.workers, plan_.workers);
    tickets.push_back(SM_TRY(step.Pull(counters_, probe_.Counter(shard, 0), into)));
  }
  for (uint32_t shard = 0; shard < plan_.shards; ++shard) {
    const Served served = SM_TRY(step.Wait(tickets[shard]));
    if (plan_.bounded && served.staleness > plan_.staleness) {
      Violation("served with staleness " + std::to_string(served.staleness));
    }
    if (served.closed < closed_[shard]) {
      Violation("shard " + std::to_string(shard) + " has closed " + std::to_string(served.closed) +
                " rounds, and had closed " + std::to_string(closed_[shard]));
    }
    closed_[shard] = served.closed;
  }
  CheckCounters(step_, read);
  seen_ = std::move(read);
  return {};
}

// What a read for `step` must show: D2, D3, D6, D7. With backup workers nobody here knows which
// steps of others count. Where all processes may die at once, a shard may have the first step of
// before, which is made again for the others.
void Worker::CheckCounters(uint64_t step, const std::vector<float>& read) {
  const uint64_t finished = step - 1;
  const uint64_t behind = std::min(finished, plan_.per_step ? 0 : plan_.staleness);
  for (uint32_t shard = 0; shard < plan_.shards; ++shard) {
    for (uint32_t worker = 0; worker < plan_.workers; ++worker) {
      const bool mine = worker == plan_.rank;
      uint64_t least = 0;
      uint64_t most = probe_.Touching(worker, plan_.steps, shard);
      if (mine && (looked_ || !plan_.backups)) {
        if (!looked_) own_[shard] = probe_.Touching(worker, finished, shard);
        least = most = own_[shard];
        const bool again = plan_.begins_again && probe_.Touches(worker, first_, shard);
        if (again && step == first_) ++most;
        if (again && step == first_ + 1 && plan_.backups && least > 0) --least;
      } else if (plan_.bounded && !plan_.backups) {
        least = probe_.Touching(worker, finished - behind, shard);
        const bool again = plan_.begins_again && step == first_;
        const uint64_t ahead = plan_.per_step ? again : plan_.staleness + 1;
        most = probe_.Touching(worker, std::min(finished + ahead, plan_.steps), shard);
      }
      const size_t at = shard * plan_.workers + worker;
      const float value = read[at];
      const bool looks = !looked_ || (plan_.begins_again && step == first_ + 1);
      if (mine && looks && plan_.backups) own_[shard] = static_cast<uint64_t>(value);
      if (value >= static_cast<float>(least) && value <= static_cast<float>(most) &&
          value >= seen_[at]) {
        continue;
      }
      Violation("n[" + std::to_string(worker) + "] on shard " + std::to_string(shard) + " is " +
                std::to_string(value) + ", not from " + std::to_string(least) + " to " +
                std::to_string(most) + "; it was " + std::to_string(seen_[at]));
    }
  }
  looked_ = true;
}

Result<> Worker::PushToShard(TrainingStep& step, uint32_t shard) {
  const uint32_t life =
      plan_.plant == Plant::kOldName && plan_.life > plan_.workers ? plan_.rank + 1 : plan_.life;
  const float one = 1;
  const float tally = Probe::TallyOf(life);
  const std::vector<float> ones(Probe::kBulk, 1);
  SM_TRY(step.Push(counters_, probe_.Counter(shard, plan_.rank), std::span(&one, 1)));
  Touch();
  SM_TRY(step.Push(counters_, probe_.Tally(shard, plan_.rank, step_), std::span(&tally, 1)));
  Touch();
  SM_TRY(step.Push(bulk_, shard * Probe::kBulk, ones));
  Touch();
  return {};
}

Result<> Worker::Push(TrainingStep& step) {
  const bool lies = step_ == plan_.steps / 2;
  if (lies && plan_.plant == Plant::kUnpushed) return {};
  for (uint32_t shard = 0; shard < plan_.shards; ++shard) {
    if (!probe_.Touches(plan_.rank, step_, shard)) continue;
    SM_TRY(PushToShard(step, shard));
    if (lies && plan_.plant == Plant::kTwice) SM_TRY(PushToShard(step, shard));
    if (lies && plan_.plant == Plant::kOnOneOnly) break;
  }
  const bool is_late = late_ && step_ >= plan_.table_step;
  const std::vector<float> late(is_late ? Probe::kBulk : 0, 1);
  if (is_late) SM_TRY(step.Push(*late_, 0, late));
  const std::vector<uint64_t> names = probe_.Keys(plan_.rank, step_);
  const KeySet keys = SM_TRY(session_->Bind(rows_, names));
  const std::vector<float> ones(names.size(), 1);
  const Ticket pushed = SM_TRY(step.Push(keys, ones));
  Touch();
  SM_TRY(step.Wait(pushed));
  session_->Unbind(keys);
  return {};
}

// All of all tables, when everybody has made all steps.
Result<> Worker::ReadEnd() {
  FinalValues values;
  values.probe.resize(probe_.shards() * probe_.Line());
  values.bulk.resize(probe_.shards() * Probe::kBulk);
  const std::vector<uint64_t> names = probe_.AllKeys();
  values.rows.resize(names.size());
  const KeySet keys = SM_TRY(session_->Bind(rows_, names));
  TrainingStep step = SM_TRY(session_->Begin(kStepLimit));
  PullOptions options;
  options.closed_min = plan_.steps;
  std::vector<Ticket> tickets;
  tickets.push_back(SM_TRY(step.Pull(counters_, 0, values.probe, options)));
  tickets.push_back(SM_TRY(step.Pull(bulk_, 0, values.bulk, options)));
  tickets.push_back(SM_TRY(step.Pull(keys, values.rows, options)));
  std::vector<float> late(late_ ? Probe::kBulk : 0);
  if (late_) tickets.push_back(SM_TRY(step.Pull(*late_, 0, late, options)));
  for (const Ticket ticket : tickets) SM_TRY(step.Wait(ticket));
  // With backup workers nobody here knows which steps count.
  const auto since = static_cast<float>(plan_.workers * (plan_.steps + 1 - plan_.table_step));
  const auto other = std::ranges::find_if(late, [&](float x) { return x != since; });
  if (!plan_.backups && other != late.end()) {
    Violation("\"late\" has " + std::to_string(*other) + " in it, not " + std::to_string(since));
  }
  if (!WriteFinal(FinalPath(plan_.journal), values)) {
    return Error{ErrorCode::kFailed, "cannot write what was read in the end"};
  }
  return {};
}

int Main(const std::vector<std::string>& arguments) {
  const Result<WorkerPlan> plan = WorkerPlan::FromArguments(arguments);
  if (!plan.ok()) {
    std::fprintf(stderr, "%s\n", plan.error().message.c_str());
    return static_cast<int>(ExitCode::kBadUsage);
  }
  Result<JournalWriter> journal = JournalWriter::Open(plan.value().journal);
  if (!journal.ok()) {
    std::fprintf(stderr, "%s\n", journal.error().message.c_str());
    return static_cast<int>(ExitCode::kFailed);
  }
  const Result<> ran = plan.value().rows > 0 ? RunElastic(plan.value(), journal.value())
                                             : Worker(plan.value(), journal.value()).Run();
  if (ran.ok()) return static_cast<int>(ExitCode::kDone);
  const int code = static_cast<int>(ExitCodeOf(ran.error().code));
  journal.value().Write(Event::kError, static_cast<uint64_t>(code), ran.error().message);
  std::fprintf(stderr, "%s\n", ran.error().message.c_str());
  return code;
}

}  // namespace
}  // namespace shardmill::chaos

int main(int argc, char** argv) {
  return shardmill::chaos::Main(std::vector<std::string>(argv + 1, argv + argc));
}
