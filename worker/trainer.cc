#include "worker/trainer.h"

#include <algorithm>
#include <utility>

#include "optim/rate.h"
#include "worker/checksum.h"

namespace shardmill {
namespace {

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Trainer::Trainer(const TrainerOptions& options, const TrainerParts& parts, const Clock& clock,
                 const Log& log)
    : options_(options),
      session_(parts.session),
      model_(parts.model),
      batches_(parts.batches),
      local_(parts.local),
      examiner_(parts.examiner),
      clock_(clock),
      log_(log),
      tables_(session_, model_.Parameters(), options.lent_bytes_max),
      stop_(session_),
      part_gradients_(model_, options.part_rows) {}

uint64_t Trainer::StepsPerEpoch() const {
  const uint64_t batches = batches_.steps_per_epoch();
  if (local_ == nullptr) return batches;
  return options_.average_every == 0 ? 1 : (batches - 1) / options_.average_every + 1;
}

uint64_t Trainer::LastStep() const {
  uint64_t last = options_.train.epochs * StepsPerEpoch();
  for (const uint64_t bound : {options_.train.steps, stop_.last_step()}) {
    if (bound > 0) last = std::min(last, bound);
  }
  return last;
}

Result<> Trainer::Run(const std::function<void(const TrainerProgress&)>& watch) {
  // Where workers step by themselves, servers average whatever it is.
  if (!tables_.made()) {
    SM_TRY(tables_.Make(local_ == nullptr));
    if (!options_.train.stop.empty()) SM_TRY(stop_.Make());
  }
  while (true) {
    tables_.Forget();
    stop_.Forget();
    Result<> trained = TrainToEnd(watch);
    if (trained.ok() || trained.error().code != ErrorCode::kRolledBack) return trained;
    ++progress_.rollbacks;
    last_step_ = 0;
    examiner_.ForgetAfter(session_.next_step() - 1);
    log_.Warn("rolled_back", {{"why", trained.error().message}});
  }
}

Result<> Trainer::TrainToEnd(const std::function<void(const TrainerProgress&)>& watch) {
  if (batches_.leased()) return TrainLeased(watch);
  log_.Info("training", {{"from_step", session_.next_step()}, {"to_step", LastStep()}});
  while (session_.next_step() <= LastStep()) {
    const uint64_t step = session_.next_step();
    const TimePoint begin = clock_.Now();
    const bool made = SM_TRY(MakeStep(step));
    seconds_ += Seconds(clock_.Now() - begin);
    if (!made) break;
    watch(progress_);
    WatchCoordinator();
    // The next step is not always the one after: see Finished.
    const uint64_t next = session_.next_step();
    const bool looks = LooksAfter(step) || EpochOf(next) != EpochOf(step);
    if (looks && next <= LastStep()) SM_TRY(Look(step, 0, false));
    if (looks || step % options_.train.report_every == 0) Report();
  }
  SM_TRY(Look(LastStep(), LastStep(), true));
  Report();
  return {};
}

// Whatever there is when it asks is this worker's, until all is used.
Result<> Trainer::TrainLeased(const std::function<void(const TrainerProgress&)>& watch) {
  constexpr std::chrono::milliseconds kLook{100};
  SM_TRY(session_.WantData(batches_.rows_per_epoch()));
  log_.Info("training", {{"from_step", session_.next_step()}, {"epochs", options_.train.epochs}});
  while (true) {
    if (options_.stopped && options_.stopped()) {
      return Error{ErrorCode::kStopped,
                   "stopped before step " + std::to_string(session_.next_step())};
    }
    WatchCoordinator();
    const DataWait data = SM_TRY(session_.AwaitData(kLook));
    if (data == DataWait::kOver) break;
    if (data == DataWait::kNone) continue;
    const uint64_t step = session_.next_step();
    const uint64_t epoch = epoch_;
    const TimePoint begin = clock_.Now();
    if (data == DataWait::kReady) {
      SM_TRY(MakeStep(step));
    } else {
      SM_TRY(MakeEmptyStep());
    }
    seconds_ += Seconds(clock_.Now() - begin);
    watch(progress_);
    if (epoch_ > epoch) SM_TRY(Look(step, 0, false));
    if (epoch_ > epoch || step % options_.train.report_every == 0) Report();
  }
  SM_TRY(Look(session_.next_step() - 1, 0, true));
  Report();
  return {};
}

// Others may wait for this worker's step: it reads a little, so that it runs no further ahead than
// one that has data, and pushes nothing.
Result<> Trainer::MakeEmptyStep() {
  TrainingStep step = SM_TRY(session_.Begin(options_.step_timeout));
  SM_TRY(tables_.AskLittle(step));
  SM_TRY(tables_.Wait(step));
  SM_TRY(step.Finish(0));
  tables_.EndStep();
  ++progress_.steps;
  return {};
}

Result<bool> Trainer::MakeStep(uint64_t number) {
  TimelineSpan span(options_.timeline, "step", "step", number);
  const TimePoint begin = clock_.Now();
  TrainingStep step = SM_TRY(session_.Begin(options_.step_timeout));
  SM_TRY(tables_.AskDense(step, {}, local_ == nullptr));
  SM_TRY(stop_.Ask(step, {}));
  const std::optional<Batch> batch = NextBatch(step, number, 0);
  if (batch) SM_TRY(tables_.AskRows(step, *batch, {}));
  if (!options_.overlap) SM_TRY(tables_.Wait(step));
  SM_TRY(stop_.Wait(step));
  if (number > LastStep() && !batches_.leased()) return false;
  const TimePoint pulled = clock_.Now();
  const uint64_t nonfinite = progress_.nonfinite;
  if (local_ != nullptr) local_->Renew();
  StepFlow flow(step, tables_, clock_, SendsEarly());
  const uint64_t rows = SM_TRY(Compute(step, number, batch, flow));
  SM_TRY(tables_.Wait(step));
  // Where no batch counts for its gradient, that gradient tells the session to skip the step.
  const bool skips = rows == 0 && progress_.nonfinite > nonfinite;
  if ((rows > 0 && !SendsEarly()) || skips) {
    const bool stepped = local_ != nullptr && !skips;
    if (stepped) SM_TRY(local_->Fetch(tables_.parameters()));
    if (local_ != nullptr && skips) SM_TRY(local_->FetchGradients(tables_.gradients()));
    const Result<> pushed = stepped ? tables_.PushValues(step) : tables_.PushGradients(step);
    if (!pushed.ok()) return pushed.error();
  }
  // Again and again until it is read: a step may count for nothing.
  if (last_step_ > 0 && stop_.last_step() == 0) {
    SM_TRY(stop_.Push(step, number + options_.stop_after));
  }
  SM_TRY(AskAhead(step, number));
  const TimePoint computed = clock_.Now();
  const Finished finished = SM_TRY(step.Finish(static_cast<double>(rows)));
  tables_.EndStep();
  ++progress_.steps;
  if (!finished.counted) ++progress_.discarded;
  if (finished.skipped) ++progress_.skipped;
  progress_.samples += finished.counted && !finished.skipped ? rows : 0;
  progress_.compute_seconds += Seconds(computed - pulled - flow.waited());
  progress_.wait_seconds += Seconds((pulled - begin) + flow.waited() + (clock_.Now() - computed));
  return true;
}

bool Trainer::LooksAfter(uint64_t steps) const {
  return !batches_.leased() && examiner_.Wants(steps, StepsPerEpoch());
}

Result<> Trainer::AskAhead(TrainingStep& step, uint64_t number) {
  // What is measured is read in a step of its own.
  if (EpochOf(number + 1) != EpochOf(number) || LooksAfter(number)) return {};
  SM_TRY(tables_.AskDense(step, {.next_step = true}, local_ == nullptr));
  return stop_.Ask(step, {.next_step = true});
}

Result<uint64_t> Trainer::Compute(TrainingStep& step, uint64_t number, std::optional<Batch> batch,
                                  StepFlow& flow) {
  uint64_t rows = 0;
  for (uint64_t index = 1;; batch = NextBatch(step, number, index++)) {
    if (options_.stopped && options_.stopped() && !batches_.leased()) {
      return Error{ErrorCode::kStopped, "stopped in step " + std::to_string(number)};
    }
    if (!batch) return rows;
    if (batch->rows == 0) continue;
    TimelineSpan span(options_.timeline, "compute", "step", number);
    span.Say("rows", batch->rows);
    progress_.loss =
        SM_TRY(part_gradients_.Train(*batch, tables_.values(), tables_.gradients(), &flow));
    if (options_.clip_norm > 0 && local_ == nullptr) {
      BoundLength(tables_.trained(), options_.clip_norm);
    }
    if (local_ != nullptr) {
      if (options_.clip_norm > 0) local_->Bound(tables_.gradients(), options_.clip_norm);
      const bool may = SM_TRY(MayStep(number));
      if (!may) continue;
      local_->Step(local_steps_, tables_.gradients(), tables_.parameters());
    }
    rows += batch->rows;
  }
}

std::optional<Batch> Trainer::NextBatch(TrainingStep& step, uint64_t number, uint64_t index) {
  const TimelineSpan span(options_.timeline, "read batch");
  const uint64_t all = batches_.steps_per_epoch();
  const uint64_t each = local_ == nullptr             ? 1
                        : options_.average_every == 0 ? all
                                                      : options_.average_every;
  if (index >= each) return {};
  if (batches_.leased()) {
    const DataRange places = step.TakeRows(batches_.batch_rows());
    if (places.size() == 0) return {};
    epoch_ = places.epoch;
    local_steps_ = epoch_ * all + places.begin / batches_.batch_rows() + 1;
    return batches_.At(places);
  }
  const uint64_t at = (number - 1) % StepsPerEpoch() * each + index;
  if (at >= all) return {};
  local_steps_ = EpochOf(number) * all + at + 1;
  return batches_.At(EpochOf(number), at);
}

// Parameters are checked when they are pushed, but by then a NaN is in the state of the rule too,
// and would be in every step that follows.
Result<bool> Trainer::MayStep(uint64_t step) {
  const std::optional<size_t> which = local_->FirstNonfinite(tables_.gradients());
  if (!which) return true;
  ++progress_.nonfinite;
  if (options_.on_nonfinite != OnNonfinite::kReject) {
    return options_.on_nonfinite == OnNonfinite::kAccept;
  }
  return Error{ErrorCode::kBadInput,
               "the gradient of table \"" + model_.Parameters()[*which].name + "\" in step " +
                   std::to_string(step) +
                   " has a NaN or an infinity in it (policy.on_nonfinite = \"reject\")"};
}

Result<> Trainer::Look(uint64_t steps, uint64_t closed_min, bool last) {
  const bool wanted = last || batches_.leased() || LooksAfter(steps);
  if (!Measures() || !wanted) return {};
  const TimelineSpan span(options_.timeline, "measure");
  ServerReader reader(session_, tables_, model_.Parameters(), closed_min, options_.step_timeout);
  SM_TRY(reader.Begin());
  stop_.Forget();
  measured_ = true;
  const uint64_t epochs = batches_.leased() ? epoch_ : steps / StepsPerEpoch();
  if (last) return examiner_.Finish(epochs, steps, reader);
  const bool stop = SM_TRY(examiner_.Look(epochs, steps, reader));
  if (!stop || last_step_ > 0) return {};
  last_step_ = steps + 1;
  log_.Info("stops", {{"why", examiner_.reason()}, {"measured_after_step", steps}});
  return {};
}

void Trainer::WatchCoordinator() {
  const std::chrono::milliseconds silent = session_.coordinator_silent();
  const bool away = silent > options_.lease;
  if (away && !coordinator_away_) {
    log_.Warn("coordinator_silent", {{"for_ms", silent.count()},
                                     {"training", "goes on; the end of the job waits for it"}});
  }
  if (!away && coordinator_away_) log_.Info("coordinator_heard");
  coordinator_away_ = away;
}

void Trainer::Report() {
  std::vector<std::pair<std::string, double>> metrics = examiner_.figures();
  metrics.emplace_back("train_loss", progress_.loss);
  if (options_.bad_rows > 0) {
    metrics.emplace_back("bad_rows", static_cast<double>(options_.bad_rows));
  }
  Session::Progress progress;
  progress.epoch = EpochOf(session_.next_step());
  progress.samples = static_cast<double>(progress_.samples);
  progress.seconds = seconds_;
  progress.metrics = metrics;
  session_.Report(progress);
  if (options_.track) Track();
}

void Trainer::Track() {
  const uint64_t step = session_.next_step() - 1;
  TrackPoint point{step, EpochOf(step + 1), seconds_, static_cast<double>(progress_.samples), {}};
  if (std::exchange(measured_, false)) point.values = examiner_.course();
  point.values.emplace_back("train_loss", progress_.loss);
  const double seconds = seconds_ - std::exchange(tracked_seconds_, seconds_);
  const uint64_t samples = progress_.samples - std::exchange(tracked_samples_, progress_.samples);
  if (seconds > 0) {
    point.values.emplace_back("samples_per_second", static_cast<double>(samples) / seconds);
  }
  point.values.emplace_back("learning_rate",
                            RateAt(options_.rate, std::max<uint64_t>(step, 1), options_.workers));
  const auto gradients = tables_.gradients();
  point.values.emplace_back("gradient_length",
                            local_ == nullptr ? LengthOf(gradients) : local_->Length(gradients));
  options_.track(point);
}

}  // namespace shardmill
