#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "common/clock.h"
#include "common/ids.h"
#include "common/messages.h"
#include "common/rng.h"

namespace shardmill::sim {

// What the network does to messages while it is bad. All of it stops when the cluster heals, and so
// does what single links do.
struct NetworkFaults {
  double loss = 0;
  double duplicate = 0;
  double clog = 0;  // Chance that a message finds its link clogged from here on for some time.
  Duration delay_min = std::chrono::microseconds(50);
  Duration delay_max = std::chrono::milliseconds(5);  // Wider than a step: messages overtake.
};

// A message on its way to a node. A node is named by the PeerId that others know it by.
struct Delivery {
  PeerId to;
  Envelope envelope;
};

// Carries messages between nodes of one simulated cluster, in seeded disorder. Owned by a Cluster;
// one thread.
class Network final {
 public:
  explicit Network(uint64_t seed) : rng_(seed) {}

  void SetFaults(const NetworkFaults& faults) {
    faults_ = faults;
    bad_links_.clear();
  }
  // Until then messages from the one to the other are lost with that chance; 1: the link is cut.
  void Worsen(PeerId from, PeerId to, double loss, TimePoint until) {
    bad_links_[{from, to}] = {loss, until};
  }
  void Send(TimePoint now, PeerId from, Outgoing out);
  // It is there, and read no earlier than that.
  void Hold(Delivery delivery, TimePoint until);

  std::optional<TimePoint> Next() const;
  // The earliest message, which must be there.
  Delivery Take();

 private:
  struct BadLink {
    double loss = 0;
    TimePoint until{};
  };
  bool IsLost(TimePoint now, PeerId from, PeerId to);

  Rng rng_;
  NetworkFaults faults_;
  uint64_t sequence_ = 0;
  // A link that stands still: until when, and how many messages wait in it.
  struct Clog {
    TimePoint until{};
    uint32_t waiting = 0;
  };
  static constexpr uint32_t kClogMax = 40;  // What more comes is lost.

  std::map<std::pair<PeerId, PeerId>, Clog> clogs_;
  std::map<std::pair<PeerId, PeerId>, BadLink> bad_links_;  // One way each.
  std::map<std::pair<TimePoint, uint64_t>, Delivery> flying_;
};

}  // namespace shardmill::sim
