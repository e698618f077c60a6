#include "client/lease_keeper.h"

#include <variant>

namespace shardmill {

void LeaseKeeper::Handle(TimePoint now, const Envelope& envelope) {
  if (envelope.peer != coordinator_) return;
  if (std::holds_alternative<Renewed>(envelope.message)) heard_at_ = now;
  const auto* refused = std::get_if<Refused>(&envelope.message);
  if (refused == nullptr || envelope.stamp.to != stamp_.from || failure_) return;
  if (refused->code == Refusal::kFenced) {
    failure_ = Error{ErrorCode::kFenced, "the coordinator: " + refused->words};
  } else if (refused->code == Refusal::kForbidden) {
    failure_ = Error{ErrorCode::kBadUsage, "the coordinator: " + refused->words};
  } else if (refused->code == Refusal::kFailed) {
    failure_ = Error{ErrorCode::kFailed, "the coordinator: " + refused->words};
  } else if (refused->code == Refusal::kWrongBoot || refused->code == Refusal::kWrongJob) {
    failure_ =
        Error{ErrorCode::kFailed, "the coordinator was started again and has forgotten this job"};
  }
}

void LeaseKeeper::Tick(TimePoint now, Outbox& outbox) {
  if (asked_at_ && now - *asked_at_ < every_) return;
  asked_at_ = now;
  if (!heard_at_) heard_at_ = now;
  outbox.push_back({coordinator_, stamp_, Renew{sender_}});
}

}  // namespace shardmill
