#include "sim/network.h"

#include "common/assert.h"

namespace shardmill::sim {

void Network::Send(TimePoint now, PeerId from, Outgoing out) {
  if (IsLost(now, from, out.peer)) return;
  TimePoint leaves = now;
  if (faults_.clog > 0) {
    Clog& clog = clogs_[{from, out.peer}];
    if (now >= clog.until && rng_.Chance(faults_.clog)) {
      clog = {now + std::chrono::milliseconds(5 + rng_.Below(60)), 0};
    }
    if (now < clog.until) {
      if (++clog.waiting > kClogMax) return;
      leaves = clog.until;
    }
  }
  const auto fly = [&](Message message) {
    const auto spread = static_cast<uint64_t>((faults_.delay_max - faults_.delay_min).count());
    const Duration delay = faults_.delay_min + Duration(rng_.Below(spread + 1));
    flying_.emplace(std::pair(leaves + delay, sequence_++),
                    Delivery{out.peer, {from, out.stamp, std::move(message)}});
  };
  if (rng_.Chance(faults_.duplicate)) fly(out.message);
  fly(std::move(out.message));
}

void Network::Hold(Delivery delivery, TimePoint until) {
  flying_.emplace(std::pair(until, sequence_++), std::move(delivery));
}

bool Network::IsLost(TimePoint now, PeerId from, PeerId to) {
  if (rng_.Chance(faults_.loss)) return true;
  const auto bad = bad_links_.find({from, to});
  return bad != bad_links_.end() && now < bad->second.until && rng_.Chance(bad->second.loss);
}

std::optional<TimePoint> Network::Next() const {
  if (flying_.empty()) return std::nullopt;
  return flying_.begin()->first.first;
}

Delivery Network::Take() {
  SM_ASSERT(!flying_.empty());
  return std::move(flying_.extract(flying_.begin()).mapped());
}

}  // namespace shardmill::sim
