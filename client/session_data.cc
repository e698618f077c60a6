// The part of Session for workers that lease their data.

#include "client/session_impl.h"

namespace shardmill {

Result<> Session::WantData(uint64_t rows) {
  SM_TRY(impl_->CheckOpen());
  if (rows == 0) return Error{ErrorCode::kBadUsage, "a data set of no rows"};
  impl_->client().WantData(rows);
  return {};
}

Result<DataWait> Session::AwaitData(std::chrono::milliseconds limit) {
  SM_TRY(impl_->CheckOpen());
  PsClient& client = impl_->client();
  if (!client.wants_data()) return Error{ErrorCode::kBadUsage, "WantData comes first"};
  if (impl_->in_step) {
    return Error{ErrorCode::kBadUsage, "a step is under way: finish it before the next"};
  }
  const TimePoint end = impl_->Now() + limit;
  DataWait found = DataWait::kNone;
  const auto look = [&] {
    const TimePoint now = impl_->Now();
    if (client.data().over()) {
      found = DataWait::kOver;
    } else if (client.data().ready()) {
      found = DataWait::kReady;
    } else if (client.MayIdle(now)) {
      found = DataWait::kIdle;
    }
    return found != DataWait::kNone || now >= end;
  };
  SM_TRY(impl_->Move());
  SM_TRY(impl_->Await(end + std::chrono::hours(1), look, {}));
  return found;
}

uint32_t Session::rank() const { return impl_->client().rank().value; }

bool Session::is_first() const {
  const View& view = impl_->client().view();
  return view.members.empty() || view.members.front().rank == impl_->client().rank();
}

DataRange TrainingStep::TakeRows(uint64_t rows_max) {
  Session::Impl& impl = *session_->impl_;
  if (!CheckOpen().ok() || !impl.client().wants_data()) return {};
  return impl.client().data().Next(rows_max);
}

}  // namespace shardmill
