#include <cmath>
#include <utility>

#include "client/session_impl.h"
#include "common/config/text.h"

namespace shardmill {

TrainingStep::TrainingStep(TrainingStep&& other) noexcept
    : session_(std::exchange(other.session_, nullptr)), serial_(other.serial_) {}

TrainingStep::~TrainingStep() {
  if (session_ == nullptr) return;
  Session::Impl& impl = *session_->impl_;
  if (!impl.in_step || impl.step_serial != serial_) return;
  impl.in_step = false;
  impl.left_unfinished = true;
  // What was lent for pulls goes back to the caller now.
  impl.client().ForgetPulls();
}

Result<> TrainingStep::CheckOpen() const {
  Session::Impl& impl = *session_->impl_;
  const bool open = impl.in_step && impl.step_serial == serial_;
  if (open) SM_TRY(impl.TellRollback());
  if (open && !impl.client().ending()) return {};
  return Error{ErrorCode::kBadUsage, "this step is over, or Finish has been called for it"};
}

uint64_t TrainingStep::number() const { return session_->impl_->client().step(); }

Result<Ticket> TrainingStep::Pull(DenseTable table, uint64_t begin, std::span<float> into,
                                  const PullOptions& options) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  const TablePlace* place = SM_TRY(impl.Place(table.id, false));
  TimelineSpan span(impl.lane(), "ask for pull", "table", place->spec.name);
  const Ticket ticket =
      SM_TRY(impl.client().Pull(impl.Now(), *place, begin, into, options, impl.outbox()));
  impl.Flush();
  return ticket;
}

Result<Ticket> TrainingStep::Read(DenseTable table, uint64_t begin, uint64_t count,
                                  const PullOptions& options) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  const TablePlace* place = SM_TRY(impl.Place(table.id, false));
  TimelineSpan span(impl.lane(), "ask for pull", "table", place->spec.name);
  const Ticket ticket =
      SM_TRY(impl.client().Read(impl.Now(), *place, begin, count, options, impl.outbox()));
  impl.Flush();
  return ticket;
}

std::span<const ReadPiece> TrainingStep::Pieces(Ticket ticket) const {
  return session_->impl_->client().Pieces(ticket);
}

void TrainingStep::GiveBack(Ticket ticket) { session_->impl_->client().GiveBack(ticket); }

Result<Ticket> TrainingStep::Push(DenseTable table, uint64_t begin,
                                  std::span<const float> gradient) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  const TablePlace* place = SM_TRY(impl.Place(table.id, false));
  TimelineSpan span(impl.lane(), "push", "table", place->spec.name);
  span.Say("bytes", gradient.size_bytes());
  const Ticket ticket =
      SM_TRY(impl.client().Push(impl.Now(), *place, begin, gradient, impl.outbox()));
  impl.FlushIfMuch(gradient.size_bytes());
  return ticket;
}

Result<Ticket> TrainingStep::Pull(KeySet keys, std::span<float> into, const PullOptions& options) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  TimelineSpan span(impl.lane(), "ask for pull", "rows", keys.count);
  const Ticket ticket = SM_TRY(impl.client().Pull(impl.Now(), keys, into, options, impl.outbox()));
  impl.Flush();
  return ticket;
}

Result<Ticket> TrainingStep::Push(KeySet keys, std::span<const float> gradient) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  TimelineSpan span(impl.lane(), "push", "bytes", gradient.size_bytes());
  const Ticket ticket = SM_TRY(impl.client().Push(impl.Now(), keys, gradient, impl.outbox()));
  impl.FlushIfMuch(gradient.size_bytes());
  return ticket;
}

bool TrainingStep::Done(Ticket ticket) {
  Session::Impl& impl = *session_->impl_;
  // A failure stays and is told by the Wait that follows.
  const bool open = impl.in_step && impl.step_serial == serial_ && !impl.client().ending();
  return open && impl.Move().ok() && !impl.client().rolled_back() && impl.client().Done(ticket);
}

Result<Served> TrainingStep::Wait(Ticket ticket) {
  SM_TRY(CheckOpen());
  Session::Impl& impl = *session_->impl_;
  if (impl.client().IsForNextStep(ticket)) {
    return Error{ErrorCode::kBadUsage, "this was asked for the next step: wait for it there"};
  }
  const Result<> waited =
      impl.AwaitInStep("wait for pull", [&] { return impl.client().Done(ticket); });
  if (!waited.ok()) {
    impl.client().ForgetPulls();
    return waited.error();
  }
  return impl.client().Take(ticket);
}

Result<Finished> TrainingStep::Finish(double samples) {
  SM_TRY(CheckOpen());
  if (!std::isfinite(samples) || samples < 0) {
    return Error{ErrorCode::kBadUsage, "a step of " + config::FormatReal(samples) +
                                           " samples; Finish takes a number that is not negative"};
  }
  Session::Impl& impl = *session_->impl_;
  {
    TimelineSpan span(impl.lane(), "end of step", "step", number());
    impl.client().EndStep(impl.Now(), samples, impl.outbox());
    impl.Flush();
  }
  const Result<> ended =
      impl.AwaitInStep("wait for end of step", [&] { return impl.client().Ended(); });
  if (!ended.ok()) {
    impl.client().ForgetPulls();
    return ended.error();
  }
  const Finished finished = impl.client().finished();
  impl.client().NextStep();
  impl.in_step = false;
  ++impl.counters.steps;
  if (!finished.counted) ++impl.counters.discarded;
  if (finished.skipped) ++impl.counters.skipped;
  return finished;
}

}  // namespace shardmill
