#include "sim/cluster.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "common/assert.h"
#include "common/frame.h"
#include "common/wire/coordinator_state.h"
#include "sim/reference.h"

namespace shardmill::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr uint64_t kFirstPeer = 2;
constexpr Duration kTick = milliseconds(1);
constexpr uint64_t kTwinsMax = 8;  // In one history.

}  // namespace

Cluster::Cluster(const Scenario& scenario, FramePool& frames)
    : scenario_(scenario),
      rng_(Mix(scenario.seed ^ 0xc1057e7)),
      network_(Mix(scenario.seed ^ 0x9e7)),
      model_(scenario.seed, scenario.ranks(), scenario.shards, scenario.steps, scenario.policy,
             scenario.leased()),
      ledger_(model_, scenario.policy, scenario.replicas > 0 || scenario.logs || scenario.move > 0),
      frames_(frames),
      vault_(scenario.seed, frames),
      fate_(Mix(scenario.seed ^ 0xd00)),
      thief_(Mix(scenario.seed ^ 0x7415f)),
      next_peer_(kFirstPeer) {
  for (uint32_t i = 1; i < scenario.ranks() && !scenario.any_rank; i += 2) {
    bound_.insert(WorkerId{i});
  }
  for (uint32_t i = 0; i < scenario.ranks(); ++i) {
    Identity key{Role::kWorker, std::nullopt, &bound_, "worker"};
    if (bound_.contains(WorkerId{i})) key.rank = WorkerId{i};
    worker_keys_[WorkerId{i}] = key;
  }
  if (scenario.wire) codec_.emplace(frames_, WireLimits());
  network_.SetFaults(scenario.faults);
  coordinator_ = std::make_unique<Coordinator>(CoordinatorSettings(), now_);
  disk_ = *coordinator_->TakeState();
  MakeShards();
  MakeServers();
  for (uint32_t i = 0; i < scenario.workers; ++i) StartWorker(WorkerId{i});
}

void Cluster::StartWorker(WorkerId rank, std::optional<PeerId> peer) {
  ProbeWorker::Options options;
  options.rank = rank;
  options.boot = BootId{next_boot_++};
  options.steps = scenario_.steps;
  options.lease = kLease;
  options.seed = rng_.Next();
  options.rows = scenario_.rows;
  options.any_rank = scenario_.any_rank;
  if (scenario_.elastic() && !healed_ && rng_.Chance(0.3)) options.leave_after = 1 + rng_.Below(12);
  Process process;
  process.peer = peer.value_or(PeerId{next_peer_});
  next_peer_ += peer ? 0 : 1;
  process.rank = rank;
  identities_[process.peer] = scenario_.any_rank ? &any_key_ : &worker_keys_.at(rank);
  process.worker = std::make_unique<ProbeWorker>(options, kCoordinator, model_, frames_, ledger_);
  processes_.push_back(std::move(process));
}

Outcome Cluster::Run() {
  TimePoint next_tick = now_;
  TimePoint limit = start_ + scenario_.faults_last + scenario_.heal_limit;
  const TimePoint endless = start_ + 20 * scenario_.heal_limit;  // As with steps without data.
  uint64_t acks = 0;
  while (!Finished() && ledger_.violations().empty()) {
    // A job of many steps may take longer, as long as it makes some.
    if (std::exchange(acks, ledger_.acks()) < ledger_.acks()) {
      limit = std::max(limit, now_ + scenario_.heal_limit / 2);
    }
    if (now_ > limit || now_ > endless) {
      ledger_.Violation("no progress: " + StuckWords());
      break;
    }
    if (!healed_ && now_ >= start_ + scenario_.faults_last) {
      healed_ = true;
      network_.SetFaults({});
      if (vault_.crashed()) vault_.Restart();
    }
    const auto message = network_.Next();
    if (message && *message <= next_tick) {
      now_ = std::max(now_, *message);
      Delivery delivery = network_.Take();
      Note(delivery);
      if (!codec_ || CrossWire(delivery.envelope)) Deliver(std::move(delivery));
    } else {
      now_ = next_tick;
      next_tick += kTick;
      if (!healed_) InjectFaults();
      InjectDiskFaults();
      if (!healed_) InjectShardFaults();
      if (!healed_) MoveShards();
      InjectLogFaults();
      StartFenced();
      StartAgain();
      ComeAndGo();
      SendForgeries();
      TickAll();
    }
    if (!outcome_.failed && coordinator_->state() == JobState::kFailed) {
      outcome_.failed = true;
      ledger_.SawFailure(coordinator_->words());
    }
    ++outcome_.events;
  }
  if (ledger_.violations().empty()) CheckAtRest();
  outcome_.violations = ledger_.violations();
  for (const Holder& holder : holders_) {
    const ShardCounters& counters = holder.node->counters();
    outcome_.stale_shards += counters.staleness_max > 0 ? 1 : 0;
    outcome_.skipped = std::max(outcome_.skipped, counters.skipped);
    outcome_.nonfinite += counters.nonfinite;
  }
  outcome_.discarded = ledger_.discarded();
  for (const Process& process : processes_) outcome_.leaves += process.worker->left_early() ? 1 : 0;
  return outcome_;
}

const Identity* Cluster::IdentityOf(PeerId node) const {
  if (!scenario_.keys) return nullptr;
  if (node == kCoordinator) return &coordinator_key_;
  const auto known = identities_.find(node);
  return known == identities_.end() ? &server_key_ : known->second;
}

// A worker's key, as a thief has it, says what is another's to say, under stamps that are right.
void Cluster::SendForgeries() {
  if (!scenario_.keys || worker_keys_.empty() || !thief_.Chance(0.02)) return;
  ++outcome_.forgeries;
  const View& view = coordinator_->view();
  const Member* victim = bound_.empty() ? nullptr : view.FindMember(*bound_.begin());
  const Sender sender = victim == nullptr ? Sender{} : Sender{victim->rank, victim->incarnation};
  const Holder& holder = holders_[thief_.Below(holders_.size())];
  std::vector<Message> lies{
      Register{ShardId{0}, "thief"},    Refused{Refusal::kFailed, 0, "a lie"},
      Freeze{view.number.Next()},       Install{view, {}},
      Replicas{holder.shard, 1000, {}}, Follow{holder.shard, 1000, 1, CopyEnd{}},
      Followed{holder.shard, 1, 1, ""}};
  if (victim != nullptr) {
    lies.insert(lies.end(), {Goodbye{sender, true, 0, "a lie"}, Renew{sender}, Join{sender.rank},
                             End{sender, 1 + thief_.Below(20)}});
  }
  const Message& lie = lies[thief_.Below(lies.size())];
  const Identity thief{Role::kWorker, std::nullopt, &bound_, "thief"};
  Outbox answers;
  Envelope envelope{PeerId{UINT64_MAX}, {}, lie, &thief};
  envelope.stamp = {Job(), view.generation, Term{}, holders_[0].boot, CoordinatorBoot()};
  coordinator_->Handle(now_, envelope, answers);
  envelope.peer = kCoordinator;
  envelope.stamp.from = CoordinatorBoot();
  envelope.stamp.to = holder.boot;
  const uint32_t shard = holder.shard.value;
  if (shard < view.shards.size()) envelope.stamp.term = view.shards[shard].term;
  holder.node->Take(now_, envelope, answers);
  for (const Outgoing& answer : answers) {
    const auto* refused = std::get_if<Refused>(&answer.message);
    if (refused != nullptr && refused->code == Refusal::kForbidden) continue;
    ledger_.Violation("a forged message was not refused as such");
  }
}

void Cluster::Note(const Delivery& delivery) {
  const uint64_t facts[] = {static_cast<uint64_t>(now_.time_since_epoch().count()),
                            delivery.envelope.peer.value, delivery.to.value,
                            delivery.envelope.message.index()};
  for (const uint64_t fact : facts) outcome_.digest = Mix(outcome_.digest ^ fact);
}

// It comes as what the codec makes of its bytes, in memory of the receiver's own.
bool Cluster::CrossWire(Envelope& envelope) {
  const size_t kind = envelope.message.index();
  Packet packet;
  packet.messages.emplace_back(envelope.stamp, std::move(envelope.message));
  std::vector<Frame> frames;
  for (const Frame& frame : codec_->Encode(packet)) frames.push_back(frames_.CopyOf(frame.bytes()));
  const Result<> read = codec_->Decode(frames, packet);
  if (!read.ok() || packet.messages.size() != 1) {
    ledger_.Violation("a message of kind " + std::to_string(kind) + " does not cross the wire: " +
                      (read.ok() ? "it comes as several" : read.error().message));
    return false;
  }
  std::tie(envelope.stamp, envelope.message) = std::move(packet.messages.front());
  return true;
}

void Cluster::Deliver(Delivery delivery) {
  if (delivery.to == PeerId{})
    return;  // Somebody of whom the coordinator has not heard since it began.
  delivery.envelope.identity = IdentityOf(delivery.envelope.peer);
  Outbox outbox;
  const auto caller = std::ranges::find(holders_, delivery.to, &Holder::caller);
  if (delivery.to == kCoordinator) {
    const auto from = std::ranges::find(holders_, delivery.envelope.peer, &Holder::caller);
    if (now_ < coordinator_back_ || (from != holders_.end() && now_ < from->deaf_until)) return;
    if (now_ < coordinator_still_) return network_.Hold(std::move(delivery), coordinator_still_);
    coordinator_->Handle(now_, delivery.envelope, outbox);
    WriteAndSend(outbox);
    return;
  }
  const auto called = holder_at_.find(delivery.to);
  const auto server = std::ranges::find(servers_, delivery.to, &Server::peer);
  if (server != servers_.end()) {
    server->keeper->Handle(now_, delivery.envelope, outbox);
  } else if (caller != holders_.end()) {
    if (now_ < caller->deaf_until) return;
    DeliverToShard(static_cast<uint32_t>(caller - holders_.begin()), delivery.envelope, outbox);
  } else if (called != holder_at_.end()) {
    if (holders_[called->second].peer != delivery.to) return;  // That process is gone.
    DeliverToShard(called->second, delivery.envelope, outbox);
  } else {
    for (Process& process : processes_) {
      if (process.peer != delivery.to || now_ < process.paused_until) continue;
      const auto* pulled = std::get_if<Pulled>(&delivery.envelope.message);
      if (pulled != nullptr && delivery.envelope.stamp.to == process.worker->boot()) {
        const Holder& holder = holders_[holder_at_.at(delivery.envelope.peer)];
        ledger_.SawAnswer(holder.shard, process.worker->boot(), *pulled);
      }
      process.worker->Handle(now_, delivery.envelope, outbox);
    }
  }
  Send(delivery.to, outbox);
}

// A shard calls the coordinator, and is called by workers: it has a number for each.
void Cluster::Send(PeerId from, Outbox& outbox) {
  const auto caller = std::ranges::find(holders_, from, &Holder::caller);
  const auto called = holder_at_.find(from);
  if (caller == holders_.end() && called == holder_at_.end()) {
    for (Outgoing& out : outbox) {
      if (auto* unit = std::get_if<Unit>(&out.message)) Spoil(*unit);
      network_.Send(now_, from, std::move(out));
    }
    return;
  }
  const Holder& holder = called != holder_at_.end() ? holders_[called->second] : *caller;
  for (Outgoing& out : outbox) {
    network_.Send(now_, out.peer == kCoordinator ? holder.caller : holder.peer, std::move(out));
  }
}

// The one float of a step that only the shard can see to be no number.
void Cluster::Spoil(Unit& unit) const {
  const std::optional<uint64_t> at = model_.SpoiltAt(unit.sender.rank, unit.step);
  const TablePlace* weights = coordinator_->decided().FindTable("weights");
  if (!at || weights == nullptr || unit.table != weights->id || unit.begin != *at) return;
  Buffer spoilt = Buffer::OfFloats(unit.gradient.floats().size());
  std::ranges::copy(unit.gradient.floats(), spoilt.floats().begin());
  spoilt.floats()[0] = NAN;
  unit.gradient = std::move(spoilt).Close();
}

void Cluster::TickAll() {
  const auto tick = [this](PeerId peer, auto& node) {
    Outbox outbox;
    node.Tick(now_, outbox);
    Send(peer, outbox);
  };
  TickCoordinator();
  TickServers();
  for (uint32_t i = 0; i < holders_.size(); ++i) {
    Holder& holder = holders_[i];
    if (IsAway(holder)) continue;
    SettleShard(i);
    AttachReplicas(holder);
    tick(holder.peer, *holder.node);
    Outbox said;
    vault_.Work(i, *holder.node, said);
    if (scenario_.logs) log_disks_[i]->Work(*holder.node, said);
    Send(holder.peer, said);
    if (holder.node->held_bytes() > kHeldBytesMax) ledger_.Violation("a shard holds too much");
  }
  for (Process& process : processes_) {
    if (now_ >= process.paused_until) tick(process.peer, *process.worker);
  }
}

void Cluster::InjectFaults() {
  if (coordinator_back_ == TimePoint{} && rng_.Chance(scenario_.restart)) EndCoordinator();
  if (rng_.Chance(scenario_.stall)) coordinator_still_ = now_ + microseconds(rng_.Below(150'000));
  for (Holder& holder : holders_) {
    if (!rng_.Chance(scenario_.relink)) continue;
    ++outcome_.relinks;
    EndLink(holder.caller);
    holder.caller = PeerId{next_peer_++};
  }
  std::vector<std::pair<WorkerId, std::optional<PeerId>>> start;
  for (size_t i = 0; i < processes_.size(); ++i) {
    Process& process = processes_[i];
    if (process.zombie || process.worker->over()) continue;
    if (rng_.Chance(scenario_.relink)) {
      ++outcome_.relinks;
      EndLink(process.peer);
      process.peer = PeerId{next_peer_++};
      identities_[process.peer] = scenario_.any_rank ? &any_key_ : &worker_keys_.at(process.rank);
    }
    if (rng_.Chance(scenario_.crash)) {
      // The process is gone; another takes the rank when the lease has ended, perhaps in its place,
      // where it hears what was meant for the one before.
      ++outcome_.crashes;
      // The coordinator may see that, or have to wait for the lease.
      if (rng_.Chance(0.5)) EndLink(process.peer);
      std::optional<PeerId> place;
      if (rng_.Chance(0.5)) place = process.peer;
      start.emplace_back(process.rank, place);
      processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(i--));
    } else if (rng_.Chance(scenario_.pause)) {
      ++outcome_.replaced;
      process.paused_until = now_ + kLease + microseconds(rng_.Below(200'000));
      process.zombie = true;
      start.emplace_back(process.rank, std::nullopt);
    } else if (rng_.Chance(scenario_.twin) && outcome_.twins < kTwinsMax) {
      ++outcome_.twins;
      start.emplace_back(process.rank, std::nullopt);
    }
  }
  for (const auto& [rank, place] : start) {
    if (!scenario_.elastic() || rng_.Chance(0.5)) StartWorker(rank, place);
  }
}

// Somebody comes, or has to: a job that has lost all its workers waits for another.
void Cluster::ComeAndGo() {
  if (!scenario_.elastic()) return;
  uint32_t here = 0;
  std::set<WorkerId> ranks;
  for (const Process& process : processes_) {
    const bool lives = !process.zombie && !process.worker->over();
    here += lives ? 1 : 0;
    if (lives) ranks.insert(process.rank);
  }
  const bool first = coordinator_->view().number.value == 0;
  if (first && !scenario_.any_rank) here = static_cast<uint32_t>(ranks.size());
  const uint32_t needed = first ? scenario_.workers : 1;
  const bool comes = !healed_ && rng_.Chance(scenario_.join) && here <= scenario_.workers_max;
  if (here >= needed && !comes) return;
  outcome_.joins += first ? 0 : 1;
  WorkerId rank{static_cast<uint32_t>(rng_.Below(scenario_.workers_max))};
  const auto taken = [&](const Process& process) {
    return process.rank == rank && !process.zombie && !process.worker->over();
  };
  // The first view needs as many ranks as workers.
  for (uint32_t i = 0; first && std::ranges::any_of(processes_, taken); ++i) {
    if (i == scenario_.workers_max) return;
    rank.value = (rank.value + 1) % scenario_.workers_max;
  }
  StartWorker(rank);
}

// A process that gives up says so once, which may be lost: another is started in its stead.
void Cluster::StartAgain() {
  std::vector<WorkerId> start;
  for (Process& process : processes_) {
    const bool gone = !process.zombie && process.worker->gave_up();
    if (!gone || coordinator_->state() == JobState::kFailed) continue;
    process.zombie = true;
    start.push_back(process.rank);
  }
  for (const WorkerId rank : start) StartWorker(rank);
}

// A job that has failed is over when everybody has been told.
bool Cluster::Finished() const {
  if (coordinator_->state() != JobState::kFailed) return coordinator_->state() == JobState::kDone;
  const auto told = [](const Holder& h) { return h.closed || h.node->failure().has_value(); };
  return std::ranges::all_of(holders_, told) &&
         std::ranges::all_of(processes_, [](const Process& p) { return p.worker->over(); });
}

void Cluster::CheckAtRest() {
  for (uint32_t i = 0; i < holders_.size(); ++i) SettleShard(i);
  for (uint32_t i = 0; i < scenario_.shards; ++i) {
    // A job that has failed while it went back has shards in two generations.
    const bool two = outcome_.failed && outcome_.lost_shards > 0;
    if (two || !IsThere(i)) continue;
    ledger_.SawEnd(ShardId{i}, *PrimaryOf(i).node, !outcome_.failed);
  }
  CheckSnapshots();
  CompareCopies();
  if (outcome_.failed) return;
  if (coordinator_->view().tables.size() != model_.tables().size()) {
    ledger_.Violation("there are " + std::to_string(coordinator_->view().tables.size()) +
                      " tables");
  }
  if (scenario_.leased()) ledger_.SawData(scenario_.epochs, scenario_.rows);
  bool whole = true;
  for (uint32_t i = 0; i < scenario_.shards; ++i) whole = whole && IsThere(i);
  if (whole && scenario_.policy.apply == ApplyRule::kPerStep && !scenario_.leased()) {
    Reference reference(model_, scenario_.policy, ledger_);
    reference.Train();
    std::vector<const Shard*> shards;
    for (uint32_t i = 0; i < scenario_.shards; ++i) shards.push_back(PrimaryOf(i).node.get());
    const std::string words = reference.Differs(coordinator_->view(), shards);
    if (!words.empty()) ledger_.Violation(words);
    outcome_.compared = true;
  }
  const Audit& audit = coordinator_->audit();
  if (audit.lost + audit.duplicated + audit.samples_lost + audit.samples_repeated > 0)
    ledger_.Violation("the audit counts losses");
}

std::string Cluster::StuckWords() const {
  std::string words = "the coordinator says \"" + coordinator_->words() + "\"";
  for (const Process& process : processes_) {
    const PsClient& client = process.worker->client();
    if (process.zombie && client.failure()) continue;  // It waits for nothing.
    words += "; worker " + std::to_string(client.rank().value) +
             (process.zombie ? " (replaced)" : "") + " at step " + std::to_string(client.step());
    if (client.failure()) {
      words += " failed: " + client.failure()->message;
    } else {
      words += " waits for " + client.WaitsFor();
    }
  }
  return words;
}

}  // namespace shardmill::sim
