#include "worker/trainer.h"

#include <algorithm>
#include <utility>

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

Result<> Trainer::MakeTables() {
  for (const ParameterSpec& spec : model_.Parameters()) {
    Tensor tensor;
    // Where workers step by themselves, servers average whatever it is.
    const TableOptions options{.initial = spec.initial,
                               .update = local_ == nullptr ? spec.update : std::nullopt};
    tensor.table = SM_TRY(session_.Dense(spec.name, spec.size, options));
    tensor.values.resize(spec.size);
    tensor.gradient.resize(spec.size);
    tensors_.push_back(std::move(tensor));
  }
  for (Tensor& tensor : tensors_) {
    values_.emplace_back(tensor.values);
    gradients_.emplace_back(tensor.gradient);
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
  SM_TRY(WaitForAll(step));
  const TimePoint pulled = clock_.Now();
  const uint64_t nonfinite = progress_.nonfinite;
  const uint64_t rows = SM_TRY(Compute(number));
  // Where no batch counts for its gradient, that gradient tells the session to skip the step.
  const bool skips = rows == 0 && progress_.nonfinite > nonfinite;
  if (rows > 0 || skips) {
    const bool stepped = local_ != nullptr && !skips;
    for (Tensor& tensor : tensors_) {
      SM_TRY(step.Push(tensor.table, 0, stepped ? tensor.values : tensor.gradient));
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
  progress_.compute_seconds += Seconds(computed - pulled);
  progress_.wait_seconds += Seconds((pulled - begin) + (clock_.Now() - computed));
  return {};
}

Result<uint64_t> Trainer::Compute(uint64_t number) {
  const uint64_t epoch = EpochOf(number);
  const uint64_t all = batches_.steps_per_epoch();
  const uint64_t each = local_ == nullptr             ? 1
                        : options_.average_every == 0 ? all
                                                      : options_.average_every;
  const uint64_t first = (number - 1) % StepsPerEpoch() * each;
  uint64_t rows = 0;
  for (uint64_t at = first; at < std::min(first + each, all); ++at) {
    if (options_.stopped && options_.stopped()) {
      return Error{ErrorCode::kStopped, "stopped in step " + std::to_string(number)};
    }
    const Batch batch = ReadBatch(epoch, at);
    if (batch.rows == 0) continue;
    TimelineSpan span(options_.timeline, "compute", "step", number);
    span.Say("rows", batch.rows);
    progress_.loss = SM_TRY(model_.Train(batch, values_, gradients_));
    if (options_.clip_norm > 0) BoundLength(bounded_, options_.clip_norm);
    if (local_ != nullptr) {
      const bool may = SM_TRY(MayStep(number));
      if (!may) continue;
      local_->Step(epoch * all + at + 1, gradients_, parameters_);
    }
    rows += batch.rows;
  }
  return rows;
}

Batch Trainer::ReadBatch(uint64_t epoch, uint64_t index) {
  const TimelineSpan span(options_.timeline, "read batch");
  return batches_.At(epoch, index);
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
  for (const Ticket ticket : pulls_) SM_TRY(step.Wait(ticket));
  pulls_.clear();
  return {};
}

Result<> Trainer::Measure(uint64_t closed_min, bool last) {
  if (options_.rank != 0) return {};
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
  progress.epoch = (session_.next_step() - 1) / StepsPerEpoch();
  progress.samples = static_cast<double>(progress_.samples);
  progress.seconds = seconds_;
  progress.metrics = metrics;
  session_.Report(progress);
}

}  // namespace shardmill
