#include "tests/system/chaos/elastic_worker.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "client/session.h"
#include "common/process/signals.h"
#include "common/rng.h"

namespace shardmill::chaos {
namespace {

constexpr std::chrono::seconds kStepLimit{80};
constexpr std::chrono::milliseconds kLook{100};
constexpr uint64_t kLyingStep = 3;  // Of those with rows that a process makes, from 1.

// One process. Lives for it, on its main thread.
class ElasticWorker final {
 public:
  ElasticWorker(const WorkerPlan& plan, JournalWriter journal, const StopSource& stop)
      : plan_(plan),
        journal_(journal),
        stop_(stop),
        harm_(plan.aim, journal),
        rng_(Mix(plan.seed ^ plan.life)) {}

  Result<> Run();

 private:
  Result<> Open();
  Result<bool> TrainToEnd();  // False where it was asked to leave.
  Result<bool> Train();       // The same.
  Result<> MakeStep();
  Result<> MakeEmptyStep();
  Result<> Look(TrainingStep& step);
  Result<> Use(TrainingStep& step, const DataRange& places);
  Result<> ReadEnd();

  WorkerPlan plan_;
  JournalWriter journal_;
  const StopSource& stop_;
  SelfHarm harm_;
  Rng rng_;
  bool joined_ = false;
  uint64_t filled_ = 0;  // Steps with rows.
  std::unique_ptr<Session> session_;
  DenseTable uses_;
};

Result<> ElasticWorker::Open() {
  journal_.Write(Event::kJoining, 0);
  harm_.Enter(Phase::kJoining, 0);
  SessionOptions options;
  options.coordinator = plan_.coordinator;
  options.rank = plan_.rank;
  options.any_rank = plan_.any_rank;
  options.lease = std::chrono::milliseconds(plan_.lease_ms);
  options.retry_after = std::chrono::milliseconds(plan_.retry_ms);
  options.shared_memory = plan_.shared_memory;
  options.unit_bytes = 256;  // A batch is several of them now and then.
  options.open_timeout = kStepLimit;
  options.stopped = [this] {
    harm_.Touch();
    return !joined_ && stop_.requested();
  };
  session_ = SM_TRY(Session::Open(options));
  journal_.Write(Event::kTables, session_->next_step());
  TableOptions table;
  table.update.emplace();
  table.update->rule = UpdateRule::kAdd;
  uses_ = SM_TRY(session_->Dense("uses", plan_.rows, table));
  SM_TRY(session_->WantData(plan_.rows));
  joined_ = true;
  journal_.Write(Event::kGranted, session_->next_step(), std::to_string(session_->rank()));
  return {};
}

Result<> ElasticWorker::Run() {
  const Result<> opened = Open();
  if (!opened.ok()) {
    if (!CameTooLate(opened.error())) return opened;
    journal_.Write(Event::kDone, 0);
    return {};
  }
  while (true) {
    const Result<bool> trained = TrainToEnd();
    if (trained.ok()) {
      journal_.Write(trained.value() ? Event::kDone : Event::kLeft, session_->next_step());
      return {};
    }
    if (trained.error().code != ErrorCode::kRolledBack) return trained.error();
    // What was used since the snapshot is to be used again, and comes by itself.
    journal_.Write(Event::kWentBack, session_->next_step());
  }
}

Result<bool> ElasticWorker::TrainToEnd() {
  if (!SM_TRY(Train())) {
    // Where nobody hears it the lease ends.
    static_cast<void>(session_->Close(false).ok());
    return false;
  }
  SM_TRY(ReadEnd());
  journal_.Write(Event::kFinal, session_->next_step());
  SM_TRY(session_->Close(true));
  return true;
}

Result<bool> ElasticWorker::Train() {
  while (!stop_.requested()) {
    harm_.Enter(Phase::kIdle, session_->next_step());
    const DataWait data = SM_TRY(session_->AwaitData(kLook));
    if (data == DataWait::kOver) return true;
    if (data == DataWait::kReady) SM_TRY(MakeStep());
    if (data == DataWait::kIdle) SM_TRY(MakeEmptyStep());
  }
  return false;
}

// No use is ever seen that is one too many.
Result<> ElasticWorker::Look(TrainingStep& step) {
  harm_.Enter(Phase::kReading, step.number());
  std::vector<float> some(16);
  const uint64_t begin = rng_.Below(plan_.rows - some.size());
  const Ticket ticket = SM_TRY(step.Pull(uses_, begin, some));
  SM_TRY(step.Wait(ticket));
  const auto above = [this](float value) { return value > static_cast<float>(plan_.epochs); };
  if (std::ranges::any_of(some, above)) {
    journal_.Write(Event::kViolation, step.number(),
                   "a row is used more often than there are epochs");
  }
  return {};
}

Result<> ElasticWorker::MakeStep() {
  std::this_thread::sleep_for(std::chrono::microseconds(rng_.Below(plan_.think_us + 1)));
  TrainingStep step = SM_TRY(session_->Begin(kStepLimit));
  const uint64_t number = step.number();
  SM_TRY(Look(step));
  harm_.Set(Phase::kPushing);
  ++filled_;
  const uint64_t takes = 1 + rng_.Below(3);
  uint64_t rows = 0;
  for (uint64_t i = 0; i < takes; ++i) {
    const DataRange places = step.TakeRows(1 + rng_.Below(5));
    if (places.size() == 0) break;
    rows += places.size();
    const bool lies = filled_ == kLyingStep && i == 0;
    if (lies && plan_.plant == Plant::kUnpushed) continue;
    SM_TRY(Use(step, places));
    if (lies && plan_.plant == Plant::kTwice) SM_TRY(Use(step, places));
  }
  harm_.Set(Phase::kEnding);
  SM_TRY(step.Finish(static_cast<double>(rows)));
  journal_.Write(Event::kCounted, number, std::to_string(rows));
  return {};
}

// Each epoch has its rows in another order: all of them, from another one on.
Result<> ElasticWorker::Use(TrainingStep& step, const DataRange& places) {
  const uint64_t first = Mix(plan_.seed ^ places.epoch) % plan_.rows;
  const std::vector<float> ones(places.size(), 1);
  const uint64_t begin = (places.begin + first) % plan_.rows;
  const uint64_t before_end = std::min(places.size(), plan_.rows - begin);
  const std::span<const float> all(ones);
  SM_TRY(step.Push(uses_, begin, all.first(before_end)));
  harm_.Touch();
  if (before_end < places.size()) SM_TRY(step.Push(uses_, 0, all.subspan(before_end)));
  harm_.Touch();
  return {};
}

Result<> ElasticWorker::MakeEmptyStep() {
  TrainingStep step = SM_TRY(session_->Begin(kStepLimit));
  SM_TRY(Look(step));
  SM_TRY(step.Finish(0));
  return {};
}

// All rows are used, by steps that are over; but their rounds may be open yet. Others are ahead of
// this worker by the bound and one more at most, so after as many empty steps, and those that a
// read may be behind, it sees all there is.
Result<> ElasticWorker::ReadEnd() {
  for (uint64_t i = 0; i < 2 * plan_.staleness + 3; ++i) SM_TRY(MakeEmptyStep());
  FinalValues values;
  values.uses.resize(plan_.rows);
  TrainingStep step = SM_TRY(session_->Begin(kStepLimit));
  const Ticket ticket = SM_TRY(step.Pull(uses_, 0, values.uses));
  SM_TRY(step.Wait(ticket));
  if (WriteFinal(FinalPath(plan_.journal), values)) return {};
  return Error{ErrorCode::kFailed, "cannot write what was read in the end"};
}

}  // namespace

bool CameTooLate(const Error& error) { return error.code == ErrorCode::kDone; }

Result<> RunElastic(const WorkerPlan& plan, JournalWriter journal) {
  StopSource stop;
  const std::unique_ptr<SignalWatcher> signals = SM_TRY(SignalWatcher::Start(&stop));
  return ElasticWorker(plan, journal, stop).Run();
}

}  // namespace shardmill::chaos
