#include "cli/rebalance_command.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <utility>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/daemon/daemon.h"
#include "common/fresh_id.h"
#include "common/identity.h"
#include "common/job/address.h"
#include "common/job/job.h"
#include "common/keys/key_ring.h"
#include "common/net/messenger.h"
#include "common/net/peer_transport.h"
#include "common/net/zmq_transport.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kAskEvery{250};
constexpr std::chrono::seconds kPatience{15};  // For one answer.

// A caller of a job's coordinator who asks one thing again and again.
class Caller final {
 public:
  Caller(Transport& transport, FramePool& frames, const JobOptions& job, PeerId coordinator)
      : transport_(transport),
        messenger_(transport, frames, WireLimitsOf(job)),
        coordinator_(coordinator) {}

  // The coordinator's answer.
  Result<Balance> Ask(const Rebalance& request, const StopSource& stop) {
    const TimePoint since = clock_.Now();
    std::optional<TimePoint> asked;
    while (clock_.Now() - since < kPatience) {
      if (stop.requested()) return Error{ErrorCode::kStopped, "stopped; what has begun goes on"};
      if (!asked || clock_.Now() - *asked >= kAskEvery) {
        asked = clock_.Now();
        Say(request);
      }
      std::vector<Envelope> messages;
      std::vector<BadPacket> bad;
      SM_TRY(messenger_.Poll(std::chrono::milliseconds(20), messages, bad));
      for (Envelope& envelope : messages) {
        std::optional<Result<Balance>> answer = Take(envelope, request);
        if (answer) return std::move(*answer);
      }
    }
    const std::string trouble = transport_.Trouble(coordinator_);
    return Error{ErrorCode::kUnavailable,
                 "the coordinator does not answer" + (trouble.empty() ? "" : ": " + trouble)};
  }

 private:
  void Say(const Rebalance& request) {
    Outbox outbox{{coordinator_, {job_, Generation{}, Term{}, boot_, coordinator_boot_}, Hello{}}};
    if (coordinator_boot_.value != 0) outbox.front().message = request;
    messenger_.Send(outbox);
  }

  std::optional<Result<Balance>> Take(Envelope& from, const Rebalance& request) {
    if (from.peer != coordinator_ || from.stamp.to != boot_ || !ForbiddenWords(from).empty()) {
      return {};
    }
    if (std::holds_alternative<Welcome>(from.message) && coordinator_boot_.value == 0) {
      job_ = from.stamp.job;
      coordinator_boot_ = from.stamp.from;
      Say(request);
    } else if (auto* balance = std::get_if<Balance>(&from.message)) {
      return std::move(*balance);
    } else if (const auto* refused = std::get_if<Refused>(&from.message)) {
      return Error{refused->code == Refusal::kForbidden ? ErrorCode::kBadUsage : ErrorCode::kFailed,
                   "the coordinator: " + refused->words};
    }
    return {};
  }

  SteadyClock clock_;
  Transport& transport_;
  Messenger messenger_;
  PeerId coordinator_;
  BootId boot_{FreshId()};
  BootId coordinator_boot_;
  JobId job_;
};

// Says what is new of it.
void Tell(const Balance& balance, std::vector<Move>* told, std::ostream& out) {
  for (const Move& move : balance.moves) {
    if (std::ranges::find(*told, move) == told->end()) out << DescribeMove(move) << "\n";
  }
  *told = balance.moves;
  out << std::flush;
}

}  // namespace

std::string DescribeMove(const Move& move) {
  return "shard " + std::to_string(move.shard.value) +
         (move.primary ? "" : ", copy " + std::to_string(move.copy)) + ": server " +
         std::to_string(move.from) + " -> " + std::to_string(move.to) +
         (move.words.empty() ? "" : ", " + move.words);
}

Result<> RunRebalance(const RebalanceFlags& flags, const Console& console, const StopSource& stop) {
  const Job loaded = SM_TRY(LoadJob(flags.job.file, {flags.job.sets, console.environment}));
  const JobOptions& job = loaded.options;
  const std::unique_ptr<KeyRing> keys = SM_TRY(KeyRing::Open(job.security.keys, Role::kTool));
  ZmqContext context(1, {}, keys.get(), nullptr);
  FramePool frames(FramePool::Memory::kPrivate);
  PeerOptions peers = PeerOptionsOf(job);
  peers.shared_memory = false;
  PeerTransport transport(context, frames, peers);
  const PeerId coordinator =
      SM_TRY(transport.Connect(ParseAddress(job.cluster.coordinator)->Endpoint()));
  Caller caller(transport, frames, job, coordinator);
  std::vector<Move> told;
  for (Rebalance request{flags.drained, false};; request.begin = true) {
    const Balance balance = SM_TRY(caller.Ask(request, stop));
    if (!balance.problem.empty()) return Error{ErrorCode::kFailed, balance.problem};
    Tell(balance, &told, console.out);
    if (balance.moves.empty()) {
      console.out << "each server that is there has its share\n";
      return {};
    }
    if (flags.dry_run) return {};
    if (request.begin) stop.WaitFor(kAskEvery);
  }
}

}  // namespace shardmill
