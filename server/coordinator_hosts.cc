// The part of Coordinator that knows servers, and says which of them holds which copies of shards.

#include <algorithm>
#include <utility>

#include "server/coordinator.h"

namespace shardmill {

// As a job begins: a server's shards one after the other, and their replicas on the servers behind
// it, in a ring.
void Coordinator::PlaceCopies() {
  for (uint32_t i = 0; i < copies_.size(); ++i) {
    Copies& copies = copies_[i];
    const uint32_t home = i / options_.shards_per_server;
    shards_[i].host = home;
    copies.number = options_.logs ? 1 : 0;
    copies.given = 1 + options_.replicas;
    copies.replicas.resize(options_.replicas);
    for (uint32_t k = 0; k < options_.replicas; ++k) {
      copies.replicas[k].copy = k + 1;
      copies.replicas[k].host = (home + k + 1) % options_.servers();
    }
  }
}

bool Coordinator::HasPlace(ShardId id, uint32_t copy) const {
  return shards_[id.value].copy == copy ||
         std::ranges::find(copies_[id.value].replicas, copy, &ShardStatus::copy) !=
             copies_[id.value].replicas.end();
}

Hosting Coordinator::HostingOf(uint32_t host) const {
  Hosting hosting{hosting_};
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].host == host) hosting.copies.push_back({ShardId{i}, shards_[i].copy});
    for (const ShardStatus& replica : copies_[i].replicas) {
      if (replica.host == host) hosting.copies.push_back({ShardId{i}, replica.copy});
    }
  }
  const auto order = [](const HostedCopy& one) { return std::pair(one.copy, one.shard); };
  std::ranges::sort(hosting.copies, {}, order);
  return hosting;
}

void Coordinator::On(const Host& said, TimePoint now, const Envelope& from, Outbox& outbox) {
  if (said.index >= kHostsMax) {
    Refuse(Refusal::kBadRank, said.index, "no job has so many servers", from, outbox);
    return;
  }
  hosts_[said.index] = {from.peer, from.stamp.from, now + options_.lease, said.leaving};
  for (const BootId boot : said.busy) HeardOfBusy(boot, now);
  Send(from.peer, from.stamp.from, HostingOf(said.index), outbox);
}

// That its server says it keeps its lease, but does not make it one that has spoken.
void Coordinator::HeardOfBusy(BootId boot, TimePoint now) {
  const auto extend = [&](ShardStatus& copy) {
    if (!copy.registered || copy.boot != boot || copy.link_ended) return;
    copy.busy_until = copy.lease_until = now + options_.lease;
  };
  for (ShardStatus& primary : shards_) extend(primary);
  for (Copies& copies : copies_) std::ranges::for_each(copies.replicas, extend);
}

// Its server hears of that, and its shard's primary.
void Coordinator::RemoveCopy(ShardId id, uint32_t copy) {
  std::erase_if(copies_[id.value].replicas,
                [copy](const ShardStatus& replica) { return replica.copy == copy; });
  ++copies_[id.value].number;
  ++hosting_;
  changed_ = true;
}

// One that this process has not heard of yet may be about to speak.
bool Coordinator::HostLives(uint32_t host, TimePoint now) const {
  const auto found = hosts_.find(host);
  if (found == hosts_.end()) return now - started_ < 2 * options_.lease;
  return now <= found->second.lease_until && !found->second.leaving;
}

// Whether all that hold something had time to say that they are there.
bool Coordinator::KnowsHosts(TimePoint now) const {
  if (epoch_ == Term{1} || now - started_ >= 2 * options_.lease) return true;
  const auto spoke = [this](const ShardStatus& copy) { return hosts_.contains(copy.host); };
  return std::ranges::all_of(shards_, spoke) && std::ranges::all_of(copies_, [&](const Copies& c) {
           return std::ranges::all_of(c.replicas, spoke);
         });
}

void Coordinator::TellHosts(Outbox& outbox) {
  if (hosting_told_ == hosting_) return;
  hosting_told_ = hosting_;
  for (const auto& [index, host] : hosts_) Send(host.peer, host.boot, HostingOf(index), outbox);
}

}  // namespace shardmill
