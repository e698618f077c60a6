#include "worker/trainer.h"

#include <algorithm>
#include <utility>

#include "optim/rate.h"
#include "worker/checksum.h"

namespace shardmill {
namespace {

constexpr uint32_t kTestRows = 1000;  // Measured at a time.

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Trainer::Trainer(const TrainerOptions& options, Session& session, Model& model, Batches& batches,
                 LocalSteps* local, const DataSet& test, const Clock& clock, const Log& log)
    : options_(options),
      session_(session),
      model_(model),
      batches_(batches),
      local_(local),
      test_(test),
      clock_(clock),
      log_(log) {}

uint64_t Trainer::StepsPerEpoch() const {
  const uint64_t batches = batches_.steps_per_epoch();
  if (local_ == nullptr) return batches;
  return options_.average_every == 0 ? 1 : (batches - 1) / options_.average_every + 1;
}

Result<> Trainer::Run(const std::function<void(const TrainerProgress&)>& watch) {
  if (tensors_.empty()) SM_TRY(MakeTables());
  while (true) {
    pulls_.clear();
    Result<> trained = TrainToEnd(watch);
    if (trained.ok() || trained.error().code != ErrorCode::kRolledBack) return trained;
    ++progress_.rollbacks;
    log_.Warn("rolled_back", {{"why", trained.error().message}});
  }
}

Result<> Trainer::TrainToEnd(const std::function<void(const TrainerProgress&)>& watch) {
  if (batches_.leased()) return TrainLeased(watch);
  const uint64_t steps = options_.epochs * StepsPerEpoch();
  log_.Info("training", {{"from_step", session_.next_step()}, {"to_step", steps}});
  while (session_.next_step() <= steps) {
    const uint64_t step = session_.next_step();
    const TimePoint begin = clock_.Now();
    SM_TRY(MakeStep(step));
    seconds_ += Seconds(clock_.Now() - begin);
    watch(progress_);
    WatchCoordinator();
    // The next step is not always the one after: see Finished.
    const uint64_t next = session_.next_step();
    const bool epoch_ends = EpochOf(next) != EpochOf(step);
    if (epoch_ends && next <= steps) SM_TRY(Measure(0, false));
    if (epoch_ends || step % options_.report_every == 0) Report();
  }
  SM_TRY(Measure(steps, true));
  Report();
  return {};
}

// Whatever there is when it asks is this worker's, until all is used.
Result<> Trainer::TrainLeased(const std::function<void(const TrainerProgress&)>& watch) {
  constexpr std::chrono::milliseconds kLook{100};
  SM_TRY(session_.WantData(batches_.rows_per_epoch()));
  log_.Info("training", {{"from_step", session_.next_step()}, {"epochs", options_.epochs}});
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
    if (epoch_ > epoch) SM_TRY(Measure(0, false));
    if (epoch_ > epoch || step % options_.report_every == 0) Report();
  }
  SM_TRY(Measure(0, true));
  Report();
  return {};
}

// Others may wait for this worker's step: it reads a little, so that it runs no further ahead than
// one that has data, and pushes nothing.
Result<> Trainer::MakeEmptyStep() {
  TrainingStep step = SM_TRY(session_.Begin(options_.step_timeout));
  if (pulls_.empty()) {
    Tensor& first = tensors_.front();
    pulls_.push_back(SM_TRY(step.Pull(first.table, 0, std::span(first.values).first(1))));
  }
  SM_TRY(WaitForAll(step));
  SM_TRY(step.Finish(0));
  ++progress_.steps;
  return {};
}

Result<> Trainer::MakeTables() {
  for (const ParameterSpec& spec : model_.Parameters()) {
    // Where workers step by themselves, servers average whatever it is.
    const TableOptions options{.initial = spec.initial,
                               .update = local_ == nullptr ? spec.update : std::nullopt};
    const DenseTable table = SM_TRY(session_.Dense(spec.name, spec.size, options));
    Memory gradient = SM_TRY(session_.Allocate(spec.size));
    tensors_.push_back({table, std::vector<float>(spec.size), std::move(gradient)});
  }
  for (Tensor& tensor : tensors_) {
    values_.emplace_back(tensor.values);
    gradients_.push_back(tensor.gradient.floats());
    tables_.push_back(tensor.table);
    parameters_.emplace_back(tensor.values);
  }
  for (size_t i = 0; i < gradients_.size(); ++i) {
    if (model_.Parameters()[i].trained) bounded_.push_back(gradients_[i]);
  }
  return {};
}

Result<> Trainer::MakeStep(uint64_t number) {
  TimelineSpan span(options_.timeline, "step", "step", number);
  const TimePoint begin = clock_.Now();
  TrainingStep step = SM_TRY(session_.Begin(options_.step_timeout));
  if (pulls_.empty()) SM_TRY(AskForAll(step, {}));
  if (!options_.overlap) SM_TRY(WaitForAll(step));
  const TimePoint pulled = clock_.Now();
  const uint64_t nonfinite = progress_.nonfinite;
  StepFlow flow(step, pulls_, clock_);
  if (SendsEarly()) flow.SendFrom(tables_, gradients_);
  const uint64_t rows = SM_TRY(Compute(step, number, flow));
  SM_TRY(WaitForAll(step));
  // Where no batch counts for its gradient, that gradient tells the session to skip the step.
  const bool skips = rows == 0 && progress_.nonfinite > nonfinite;
  if ((rows > 0 && !SendsEarly()) || skips) {
    const bool stepped = local_ != nullptr && !skips;
    for (Tensor& tensor : tensors_) {
      SM_TRY(step.Push(tensor.table, 0, stepped ? tensor.values : tensor.gradient.floats()));
    }
  }
  // An epoch's end is measured first, in a step of its own.
  if (EpochOf(number + 1) == EpochOf(number)) SM_TRY(AskForAll(step, {.next_step = true}));
  const TimePoint computed = clock_.Now();
  const Finished finished = SM_TRY(step.Finish(static_cast<double>(rows)));
  ++progress_.steps;
  if (!finished.counted) ++progress_.discarded;
  if (finished.skipped) ++progress_.skipped;
  progress_.samples += finished.counted && !finished.skipped ? rows : 0;
  progress_.compute_seconds += Seconds(computed - pulled - flow.waited());
  progress_.wait_seconds += Seconds((pulled - begin) + flow.waited() + (clock_.Now() - computed));
  return {};
}

Result<uint64_t> Trainer::Compute(TrainingStep& step, uint64_t number, StepFlow& flow) {
  uint64_t rows = 0;
  for (uint64_t index = 0;; ++index) {
    if (options_.stopped && options_.stopped() && !batches_.leased()) {
      return Error{ErrorCode::kStopped, "stopped in step " + std::to_string(number)};
    }
    const std::optional<Batch> batch = NextBatch(step, number, index);
    if (!batch) return rows;
    if (batch->rows == 0) continue;
    TimelineSpan span(options_.timeline, "compute", "step", number);
    span.Say("rows", batch->rows);
    progress_.loss = SM_TRY(model_.TrainInFlow(*batch, values_, gradients_, flow));
    if (options_.clip_norm > 0) BoundLength(bounded_, options_.clip_norm);
    if (local_ != nullptr) {
      const bool may = SM_TRY(MayStep(number));
      if (!may) continue;
      local_->Step(local_steps_, gradients_, parameters_);
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
  const std::optional<size_t> which = FirstNonfinite(gradients_);
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

Result<> Trainer::AskForAll(TrainingStep& step, const PullOptions& options) {
  for (Tensor& tensor : tensors_) {
    pulls_.push_back(SM_TRY(step.Pull(tensor.table, 0, tensor.values, options)));
  }
  return {};
}

Result<> Trainer::WaitForAll(TrainingStep& step) {
  for (const Ticket ticket : pulls_) {
    if (ticket.id != StepFlow::kWaitedFor.id) SM_TRY(step.Wait(ticket));
  }
  pulls_.clear();
  return {};
}

Result<> Trainer::Measure(uint64_t closed_min, bool last) {
  if (!Measures()) return {};
  const TimelineSpan span(options_.timeline, "measure");
  {
    // A step that is only read, and left unfinished: the next Begin makes it.
    TrainingStep step = SM_TRY(session_.Begin(options_.step_timeout));
    pulls_.clear();
    SM_TRY(AskForAll(step, {.closed_min = closed_min}));
    SM_TRY(WaitForAll(step));
  }
  SM_TRY(Test());
  if (!last) return {};
  metrics_.emplace_back("weights_crc32", static_cast<double>(WeightsChecksum(values_)));
  return {};
}

Result<> Trainer::Test() {
  Evaluation sum;
  for (uint32_t begin = 0; begin < test_.rows; begin += kTestRows) {
    sum.Add(SM_TRY(model_.Evaluate(test_.Slice(begin, kTestRows), values_)));
  }
  const double rows = std::max<double>(1, static_cast<double>(sum.rows));
  metrics_.clear();
  measured_ = true;
  for (const std::string& name : options_.metrics) {
    const double value = name == "accuracy" ? static_cast<double>(sum.correct) : sum.loss;
    metrics_.emplace_back(name, value / rows);
  }
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
  std::vector<std::pair<std::string, double>> metrics = metrics_;
  metrics.emplace_back("train_loss", progress_.loss);
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
  if (std::exchange(measured_, false)) point.values = metrics_;
  point.values.emplace_back("train_loss", progress_.loss);
  const double seconds = seconds_ - std::exchange(tracked_seconds_, seconds_);
  const uint64_t samples = progress_.samples - std::exchange(tracked_samples_, progress_.samples);
  if (seconds > 0) {
    point.values.emplace_back("samples_per_second", static_cast<double>(samples) / seconds);
  }
  point.values.emplace_back("learning_rate",
                            RateAt(options_.rate, std::max<uint64_t>(step, 1), options_.workers));
  point.values.emplace_back("gradient_length", LengthOf(gradients_));
  options_.track(point);
}

}  // namespace shardmill
