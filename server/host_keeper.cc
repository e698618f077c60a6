#include "server/host_keeper.h"

#include <utility>
#include <variant>

#include "common/identity.h"

namespace shardmill {

void HostKeeper::Handle(TimePoint /*now*/, const Envelope& envelope, Outbox& /*outbox*/) {
  const Stamp& stamp = envelope.stamp;
  const bool known = coordinator_boot_.value != 0;
  if (envelope.peer != options_.coordinator || stamp.to != options_.boot) return;
  if (!ForbiddenWords(envelope).empty()) return;
  if (std::holds_alternative<Welcome>(envelope.message)) {
    if (known) return;
    job_ = stamp.job;
    coordinator_boot_ = stamp.from;
    asked_at_.reset();
  } else if (const auto* refused = std::get_if<Refused>(&envelope.message)) {
    Take(*refused, stamp);
  } else if (const auto* hosting = std::get_if<Hosting>(&envelope.message)) {
    // What a coordinator that was started again says has a higher term.
    if (stamp.from != coordinator_boot_ || stamp.term < coordinator_term_) return;
    coordinator_term_ = stamp.term;
    if (!hosting_ || hosting->number >= hosting_->number) hosting_ = *hosting;
  }
}

void HostKeeper::Take(const Refused& refused, const Stamp& stamp) {
  const bool usage = refused.code == Refusal::kVersion || refused.code == Refusal::kBadRank ||
                     refused.code == Refusal::kForbidden;
  const bool other = refused.code == Refusal::kWrongJob ||
                     (refused.code == Refusal::kWrongBoot && stamp.from != coordinator_boot_);
  if (!usage && !other) return;
  failure_ =
      Error{usage ? ErrorCode::kBadUsage : ErrorCode::kFailed, "the coordinator: " + refused.words};
}

void HostKeeper::Tick(TimePoint now, Outbox& outbox) {
  if (!began_at_) began_at_ = now;
  if (failure_) return;
  if (!hosting_ && now - *began_at_ >= options_.start_timeout) {
    failure_ = Error{ErrorCode::kUnavailable, "the coordinator did not answer in time"};
    return;
  }
  const Duration wait = hosting_ ? options_.ask_every : options_.retry_after;
  if (asked_at_ && now - *asked_at_ < wait) return;
  asked_at_ = now;
  if (coordinator_boot_.value != 0) {
    Send(Host{options_.index, leaving_, busy_}, outbox);
    return;
  }
  Hello hello;
  hello.role = Role::kServer;
  Send(hello, outbox);
}

void HostKeeper::Send(Message message, Outbox& outbox) const {
  outbox.push_back({options_.coordinator,
                    {job_, Generation{}, Term{}, options_.boot, coordinator_boot_},
                    std::move(message)});
}

}  // namespace shardmill
