// The part of Cluster that holds copies of shards, and loses them.

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <utility>

#include "common/assert.h"
#include "sim/cluster.h"

namespace shardmill::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

// Of what a shard has of a table; one NaN is as good as another.
std::vector<std::pair<uint64_t, uint32_t>> BitsOf(const Shard& shard, const TablePlace& table) {
  std::vector<std::pair<uint64_t, uint32_t>> bits;
  const auto add = [&bits](uint64_t key, std::span<const float> values) {
    for (const float value : values) {
      bits.emplace_back(key, std::isnan(value) ? ~uint32_t{0} : std::bit_cast<uint32_t>(value));
    }
  };
  if (!table.spec.sparse()) add(0, shard.Snapshot(table.id));
  if (!table.spec.sparse()) return bits;
  for (const auto& [key, values] : shard.Rows(table.id)) add(key, values);
  return bits;
}

}  // namespace

void Cluster::MakeShards() {
  holders_.clear();
  terms_.assign(scenario_.shards, Term{});
  for (uint32_t i = 0; i < scenario_.shards * (1 + scenario_.replicas); ++i) {
    const uint32_t shard = i / (1 + scenario_.replicas);
    const uint32_t copy = i % (1 + scenario_.replicas);
    AddHolder({ShardId{shard}, copy}, (shard + copy) % scenario_.shards);
  }
}

void Cluster::AddHolder(HostedCopy copy, uint32_t host) {
  const auto index = static_cast<uint32_t>(holders_.size());
  Holder& holder = holders_.emplace_back();
  holder.shard = copy.shard;
  holder.copy = copy.copy;
  holder.host = host;
  if (log_disks_.size() <= index) {
    log_disks_.push_back(
        std::make_unique<LogDisk>(scenario_.seed ^ (uint64_t{index} << 40), holder.shard, frames_));
  }
  vault_.MakeRoom(index + 1);
  Begin(index);
}

void Cluster::MakeServers() {
  servers_.clear();
  if (scenario_.move == 0) return;
  for (uint32_t i = 0; i < scenario_.shards + scenario_.spare_servers; ++i) {
    HostOptions options;
    options.index = i;
    options.boot = BootId{next_boot_++};
    options.coordinator = kCoordinator;
    options.retry_after = milliseconds(20);
    options.ask_every = milliseconds(25);
    servers_.push_back({PeerId{next_peer_++}, std::make_unique<HostKeeper>(options)});
  }
}

// They hold what the coordinator says.
void Cluster::TickServers() {
  for (uint32_t i = 0; i < servers_.size(); ++i) {
    Outbox outbox;
    servers_[i].keeper->Tick(now_, outbox);
    for (Outgoing& out : outbox) network_.Send(now_, servers_[i].peer, std::move(out));
    if (!servers_[i].keeper->hosting()) continue;
    std::vector<HostedCopy> missing = servers_[i].keeper->hosting()->copies;
    for (Holder& holder : holders_) {
      if (holder.closed || holder.host != i) continue;
      const bool stays = std::erase(missing, HostedCopy{holder.shard, holder.copy}) > 0;
      holder.closed = !stays;
      outcome_.moved += stays ? 0 : 1;
    }
    for (const HostedCopy& copy : missing) {
      ++outcome_.moves;
      AddHolder(copy, i);
    }
  }
}

// As somebody has it who takes a server away, or gives it back.
void Cluster::MoveShards() {
  if (coordinator_back_ != TimePoint{} || outcome_.failed || !fate_.Chance(scenario_.move)) return;
  Rebalance request{{}, true};
  if (fate_.Chance(0.7)) {
    request.drained.push_back(static_cast<uint32_t>(fate_.Below(servers_.size())));
  }
  static constexpr PeerId kTool{UINT64_MAX - 1};
  const Identity tool{Role::kTool};
  Envelope envelope{kTool, {}, request, scenario_.keys ? &tool : nullptr};
  envelope.stamp = {Job(), coordinator_->view().generation, Term{}, BootId{1}, CoordinatorBoot()};
  Outbox outbox;
  coordinator_->Handle(now_, envelope, outbox);
  std::erase_if(outbox, [](const Outgoing& out) { return out.peer == kTool; });
  WriteAndSend(outbox);
}

// Another process takes the place, at another address.
void Cluster::Begin(uint32_t index) {
  Holder& holder = holders_[index];
  holder.boot = BootId{next_boot_++};
  holder.caller = PeerId{next_peer_++};
  holder.peer = NewAddress(index);
  ShardOptions options;
  options.id = holder.shard;
  options.boot = holder.boot;
  options.endpoint = std::to_string(holder.peer.value);
  options.coordinator = kCoordinator;
  options.held_bytes_max = kHeldBytesMax;
  options.key_lists_max = 8;
  options.retry_after = milliseconds(20);
  options.beat_every = milliseconds(50);
  options.replicas = scenario_.replicas;
  options.copy = holder.copy;
  options.check_every = milliseconds(20);
  options.window_bytes = 400;
  options.give_up_after = milliseconds(150);
  options.log = scenario_.logs;
  options.log_entries_bytes = 2000;
  log_disks_[index]->BeginAnew();
  auto shard = Shard::Make(options, frames_, ledger_.ObserverOf(holder.shard, holder.boot));
  SM_ASSERT(shard.ok());
  holder.node = std::move(shard).value();
}

PeerId Cluster::NewAddress(uint32_t index) {
  holder_at_[PeerId{next_peer_}] = index;
  return PeerId{next_peer_++};
}

Cluster::Holder& Cluster::PrimaryOf(uint32_t shard) {
  const BootId boot = coordinator_->shards()[shard].boot;
  const auto found = std::ranges::find(holders_, boot, &Holder::boot);
  return found == holders_.end() ? holders_[shard * (1 + scenario_.replicas)] : *found;
}

// Whether the shard's primary was there to the end: it may have been lost, or have stopped, when
// all was done.
bool Cluster::IsThere(uint32_t shard) {
  const Holder& holder = PrimaryOf(shard);
  return holder.boot == coordinator_->shards()[shard].boot && holder.node->ready();
}

void Cluster::DeliverToShard(uint32_t index, const Envelope& envelope, Outbox& outbox) {
  Holder& holder = holders_[index];
  if (IsAway(holder)) return;
  Shard& shard = *holder.node;
  const auto* install = std::get_if<Install>(&envelope.message);
  const ViewNumber number = shard.view().number;
  const bool primary = shard.primary();
  const Term term = shard.term();
  const bool own = envelope.stamp.to == holder.boot;
  if (install != nullptr && own) {
    SawInstall(*install);
    if (install->view.generation > shard.view().generation) {
      ledger_.Promoted(holder.shard, holder.boot, 0);
    }
  }
  // What it sets off is done at once, or some time after other messages have come.
  if (rng_.Chance(0.5)) {
    shard.Handle(now_, envelope, outbox);
  } else {
    shard.Take(now_, envelope, outbox);
    if (rng_.Chance(0.5)) shard.Settle(outbox);
  }
  // One that was the primary before may be so again; one that hears of it too late is none.
  Term& last = terms_[holder.shard.value];
  const bool is_now = shard.primary() && (!primary || shard.term() > term);
  if (is_now && shard.term() >= last && install == nullptr) {
    last = shard.term();
    ledger_.Promoted(holder.shard, holder.boot, shard.Status().version);
    outcome_.promotions += number.value > 0 ? 1 : 0;
    outcome_.restored += number.value > 0 && scenario_.replicas == 0 ? 1 : 0;
  }
  if (install == nullptr || shard.view().number == number) return;
  ledger_.SawCut(holder.shard, holder.boot, install->cut, shard.States());
}

void Cluster::SettleShard(uint32_t index) {
  Outbox outbox;
  while (holders_[index].node->Settle(outbox)) {
  }
  Send(holders_[index].peer, outbox);
}

void Cluster::AttachReplicas(Holder& holder) {
  for (const ReplicaPlace& place : holder.node->Unattached()) {
    holder.node->Attach(place.boot, PeerId{std::stoull(place.endpoint)});
  }
}

void Cluster::InjectShardFaults() {
  constexpr uint64_t kLossesMax = 8;
  if (outcome_.failed) return;
  if (scenario_.bad_link > 0 && fate_.Chance(scenario_.bad_link)) WorsenSomeLink();
  if (outcome_.lost_shards < kLossesMax && fate_.Chance(scenario_.lose_shard)) {
    const auto index = static_cast<uint32_t>(fate_.Below(holders_.size()));
    if (MayLose(holders_[index])) LoseShard(index);
  }
  if (outcome_.lost_shards < kLossesMax && scenario_.lose_shard > 0) LoseNewPrimary();
  if (scenario_.leave > 0 && fate_.Chance(scenario_.leave)) {
    const auto index = static_cast<uint32_t>(fate_.Below(holders_.size()));
    TellToStop(index);
    // What the primary has said is on its way still.
    const Holder& primary = PrimaryOf(holders_[index].shard.value);
    const bool falls = scenario_.lose_shard > 0 && outcome_.lost_shards < kLossesMax;
    if (falls && fate_.Chance(0.3) && MayLose(primary)) {
      LoseShard(static_cast<uint32_t>(&primary - holders_.data()));
    }
  }
  if (!fate_.Chance(scenario_.cut_off)) return;
  Holder& holder = holders_[fate_.Below(holders_.size())];
  if (!MayLose(holder)) return;
  ++outcome_.cut_off;
  holder.deaf_until = now_ + microseconds(fate_.Below(400'000));
}

// One that has just been given another's place, and may not have heard of it.
void Cluster::LoseNewPrimary() {
  for (uint32_t shard = 0; shard < scenario_.shards; ++shard) {
    const std::vector<ShardStatus>& replicas = coordinator_->replicas(ShardId{shard});
    if (std::ranges::none_of(replicas, &ShardStatus::retires) || !fate_.Chance(0.1)) continue;
    const Holder& primary = PrimaryOf(shard);
    if (!MayLose(primary)) continue;
    LoseShard(static_cast<uint32_t>(&primary - holders_.data()));
    return;
  }
}

// Of a worker to a shard or the coordinator, of a shard to the coordinator, or of two copies of
// one.
void Cluster::WorsenSomeLink() {
  if (processes_.empty()) return;
  const TimePoint until = now_ + microseconds(fate_.Below(300'000));
  const TimePoint forgotten = until + milliseconds(100);
  Holder& holder = holders_[fate_.Below(holders_.size())];
  PeerId one = processes_[fate_.Below(processes_.size())].peer;
  PeerId other = holder.peer;
  const uint64_t kind = fate_.Below(4);
  if (kind == 0) {
    other = kCoordinator;
  } else if (kind == 1) {
    if (!MayLose(holder)) return;
    one = holder.caller;
    other = kCoordinator;
    holder.bad_until = std::max(holder.bad_until, forgotten);
  } else if (kind == 2) {
    Holder& copy = holders_[fate_.Below(holders_.size())];
    if (copy.shard != holder.shard || copy.copy == holder.copy) return;
    one = copy.peer;
    for (Holder* end : {&copy, &holder}) end->bad_until = std::max(end->bad_until, forgotten);
  }
  ++outcome_.bad_links;
  const double loss = fate_.Chance(0.5) ? 1 : fate_.Uniform();
  const uint64_t ways = 1 + fate_.Below(3);
  if ((ways & 1) != 0) network_.Worsen(one, other, loss, until);
  if ((ways & 2) != 0) network_.Worsen(other, one, loss, until);
}

// A job without snapshots ends with the last copy of a shard that has all that was answered.
bool Cluster::MayLose(const Holder& holder) const {
  if (holder.closed) return false;
  if (scenario_.snapshot_every > Duration{}) return true;
  if (scenario_.logs) return coordinator_->Logged(holder.shard);
  if (coordinator_back_ != TimePoint{}) return false;
  if (IsNotNeeded(holder)) return true;
  const ShardStatus& primary = coordinator_->shards()[holder.shard.value];
  const std::vector<ShardStatus>& replicas = coordinator_->replicas(holder.shard);
  const auto known = [&](const Holder& other) {
    if (other.shard != holder.shard || other.closed) return true;
    if (!IsHeard(other)) return false;
    const auto copy = std::ranges::find(replicas, other.boot, &ShardStatus::boot);
    const ShardStatus* status = other.boot == primary.boot ? &primary : nullptr;
    if (copy != replicas.end()) status = &*copy;
    // Who was told to stop may go as soon as the coordinator has heard of that.
    return status != nullptr && status->leaves_at == TimePoint{};
  };
  // One that is silent for other reasons may be struck off just before its primary is missed. What
  // a new primary was before is no heir of it any more when it says that it stands still.
  const auto spare = [&](const ShardStatus& replica) {
    if (replica.in_sync) return now_ - replica.heard_at < milliseconds(15);
    const bool said = holder.boot == primary.boot && holder.node->primary();
    return replica.retires && !said && coordinator_->HasAll(holder.shard, replica);
  };
  return !replicas.empty() && std::ranges::all_of(holders_, known) &&
         std::ranges::all_of(replicas, spare);
}

// A copy on its way to another server, which nobody waits for yet.
bool Cluster::IsNotNeeded(const Holder& holder) const {
  const std::vector<ShardStatus>& replicas = coordinator_->replicas(holder.shard);
  const auto known = std::ranges::find(replicas, holder.boot, &ShardStatus::boot);
  if (known == replicas.end() || known->in_sync || holder.node->primary()) return false;
  return !holder.node->follows();
}

// Whoever else has a copy may be far behind: then it stays until somebody is not.
void Cluster::TellToStop(uint32_t index) {
  const auto stays = [&](const Holder& other) {
    if (other.closed || other.shard != holders_[index].shard) return true;
    return IsHeard(other) && !other.node->leaving();
  };
  if (!holders_[index].closed && std::ranges::all_of(holders_, stays)) {
    holders_[index].node->Leave();
  }
}

// Another process takes its place some time later; now and then the machine that is gone was the
// coordinator's, too.
void Cluster::LoseShard(uint32_t index) {
  Holder& holder = holders_[index];
  ++outcome_.lost_shards;
  if (fate_.Chance(0.5)) EndLink(holder.caller);
  holder.back = now_ + microseconds(fate_.Below(150'000));
  vault_.ForgetShard(index);
  Begin(index);
  if (coordinator_back_ != TimePoint{} || !fate_.Chance(0.4)) return;
  ++outcome_.lost_together;
  EndCoordinator();
}

// A process that has lost its place begins anew in it; one that was told to stop is followed by
// another some time later.
void Cluster::StartFenced() {
  for (uint32_t i = 0; i < holders_.size(); ++i) {
    const std::optional<Error>& failure = holders_[i].node->failure();
    if (!failure || failure->code != ErrorCode::kFenced || scenario_.replicas == 0) continue;
    if (holders_[i].closed) continue;
    if (holders_[i].node->leaving()) {
      ++outcome_.stopped;
      holders_[i].back = now_ + microseconds(fate_.Below(150'000));
    }
    vault_.ForgetShard(i);
    Begin(i);
  }
}

// Who is in sync has the bits of its primary.
void Cluster::CompareCopies() {
  for (Holder& holder : holders_) {
    const Holder& primary = PrimaryOf(holder.shard.value);
    const Shard& copy = *holder.node;
    const bool same = copy.Status().version == primary.node->Status().version &&
                      copy.view().generation == primary.node->view().generation;
    if (holder.closed || &holder == &primary || !copy.follows() || !same) continue;
    ++outcome_.copies;
    for (const TablePlace& table : copy.view().tables) {
      if (BitsOf(copy, table) == BitsOf(*primary.node, table)) continue;
      ledger_.Violation("copy " + std::to_string(holder.copy) + " of shard " +
                        std::to_string(holder.shard.value) + " has another \"" + table.spec.name +
                        "\" than its primary");
    }
  }
}

}  // namespace shardmill::sim
