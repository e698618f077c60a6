// A job with keys, and strangers at all its doors, many at once: those who have no key that is let
// in, and those who have a worker's and speak as somebody else. The job must not notice.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "common/http/http_client.h"
#include "common/net/curve.h"
#include "common/net/messenger.h"
#include "common/net/zmq_transport.h"
#include "tests/common/net/knock.h"
#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

namespace fs = std::filesystem;

constexpr milliseconds kHttpLimit{5000};
constexpr uint64_t kWaves = 3;
constexpr uint64_t kGrowthMax = kSanitized ? UINT64_MAX : uint64_t{6} << 20;

// Where strangers come to: one agent's socket, and the process that it is of.
struct Door {
  std::string endpoint = {};
  Key owner = {};
  size_t daemon = 0;  // 0: the coordinator; then the servers.
};

// What one daemon has, and has counted.
struct Reading {
  uint64_t handshakes = 0;
  uint64_t keys = 0;
  uint64_t forbidden = 0;
  uint64_t files = 0;
  uint64_t bytes = 0;  // Of memory.
};

// All series of a counter together.
uint64_t Count(const std::string& page, const std::string& series) {
  std::istringstream lines(page);
  uint64_t sum = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series)) sum += std::stoull(line.substr(line.rfind(' ')));
  }
  return sum;
}

class Siege final {
 public:
  Siege(Rng& rng, Cluster& cluster) : rng_(rng), cluster_(cluster), expected_(Daemons()) {}

  void Run();

 private:
  size_t Daemons() const { return 1 + cluster_.plan().servers; }
  Child& Daemon(size_t index) {
    return index == 0 ? cluster_.coordinator() : cluster_.server(index - 1);
  }
  bool Prepare();
  std::optional<Reading> Read(size_t daemon);
  void Wave();
  void Impersonate(const Door& door, std::optional<WorkerId> rank);
  void AwaitCounts();
  void CheckLogs();

  Rng& rng_;
  Cluster& cluster_;
  std::vector<Door> doors_ = {};
  StrangersKeys keys_ = {};
  std::vector<Reading> expected_;  // Refusals so far, by daemon.
};

// Finds the doors, and gives strangers their keys.
bool Siege::Prepare() {
  const std::string folder = cluster_.Keys();
  const Result<Certificate> coordinator = ReadCertificate(folder + "/public/coordinator.pub");
  const Result<Certificate> server = ReadCertificate(folder + "/public/server.pub");
  const Result<Certificate> worker = ReadCertificate(folder + "/public/worker.pub");
  const std::optional<JobStatus> status = cluster_.Status();
  if (!coordinator.ok() || !server.ok() || !worker.ok() || !status) return false;
  doors_.push_back({cluster_.address(), coordinator.value().key, 0});
  for (const JobStatus::Shard& shard : status->shards) {
    const std::string endpoint = shard.endpoint.substr(0, shard.endpoint.find(';'));
    doors_.push_back(
        {endpoint, server.value().key, 1 + shard.id / cluster_.plan().shards_per_server});
  }
  keys_.listed.certificate = worker.value();
  keys_.unlisted = MakeKeyPair();
  keys_.unlisted.certificate.name = "unlisted";
  keys_.unlisted.certificate.role = Role::kWorker;
  keys_.revoked = MakeKeyPair();
  keys_.revoked.certificate.name = "revoked";
  keys_.revoked.certificate.role = Role::kWorker;
  const bool lets_in = cluster_.plan().plant == Plant::kLetsIn;
  return WriteKeyPair(folder, keys_.revoked, false).ok() && RevokeKey(folder, "revoked").ok() &&
         (!lets_in || WriteKeyPair(folder, keys_.unlisted, false).ok());
}

std::optional<Reading> Siege::Read(size_t daemon) {
  const Result<std::string> page = HttpGetBody(cluster_.Pages()[daemon], "/metrics", kHttpLimit);
  if (!page.ok()) return std::nullopt;
  Reading reading;
  reading.handshakes = Count(page.value(), "shardmill_strangers_total{why=\"handshake\"}");
  reading.keys = Count(page.value(), "shardmill_strangers_total{why=\"key\"}");
  reading.forbidden = Count(page.value(), "shardmill_forbidden_total");
  const std::string process = "/proc/" + std::to_string(Daemon(daemon).pid());
  for ([[maybe_unused]] const auto& file : fs::directory_iterator(process + "/fd")) ++reading.files;
  std::ifstream memory(process + "/statm");
  uint64_t pages = 0;
  memory >> pages >> pages;
  reading.bytes = pages * 4096;
  return reading;
}

// Somebody with a worker's key, who greets as it may, and with what it learns so says what it may
// not: each would end the job or spoil it if it were heard.
void Siege::Impersonate(const Door& door, std::optional<WorkerId> rank) {
  const Result<std::unique_ptr<KeyRing>> ring = KeyRing::Open(cluster_.Keys(), Role::kWorker, rank);
  if (!ring.ok()) return cluster_.Fail(ring.error().message);
  ZmqContext context(1, {}, ring.value().get());
  ZmqTransport transport(context, {});
  FramePool frames(FramePool::Memory::kPrivate);
  Messenger messenger(transport, frames, {});
  const std::string key = door.daemon == 0 ? "" : ";key=" + HexadecimalOf(door.owner);
  const Result<PeerId> peer = transport.Connect(door.endpoint + key);
  if (!peer.ok()) return cluster_.Fail(peer.error().message);
  const BootId boot{rng_.Next()};
  Outbox outbox = {{peer.value(),
                    {.job = {}, .generation = {}, .term = {}, .from = boot, .to = {}},
                    Hello{.role = Role::kWorker}}};
  messenger.Send(outbox);
  std::vector<Envelope> heard;
  std::vector<BadPacket> bad;
  const bool welcome = cluster_.Await("a worker's key is greeted", kAdvanceLimit, [&] {
    return messenger.Poll(milliseconds(5), heard, bad).ok() && !heard.empty();
  });
  if (!welcome) return;
  const Stamp told = heard[0].stamp;
  const Stamp stamp{told.job, told.generation, told.term, boot, told.from};
  const uint32_t other = rank ? (rank->value + 1) % cluster_.plan().workers : 0;
  const Sender sender{WorkerId{other}, Incarnation{1}};
  const std::vector<Message> lies = {
      Freeze{ViewNumber{1000}},
      Install{},
      Frozen{ViewNumber{1000}, {}},
      Installed{ViewNumber{1000}},
      Beat{},
      Granted{WorkerId{other}, Incarnation{1}, 7},
      Farewell{WorkerId{other}},
      Join{WorkerId{other}},
      Renew{sender},
      Goodbye{.sender = sender, .done = true, .acked = 1, .failure = ""},
      Goodbye{.sender = sender, .done = false, .acked = 0, .failure = "a lie"},
  };
  for (const Message& lie : lies) {
    if (rng_.Chance(0.3)) continue;
    outbox.push_back({peer.value(), stamp, lie});
    ++expected_[door.daemon].forbidden;
  }
  messenger.Send(outbox);
  const auto counted = [&] {
    const bool polled = messenger.Poll(milliseconds(1), heard, bad).ok();
    const std::optional<Reading> now = Read(door.daemon);
    return polled && now && now->forbidden >= expected_[door.daemon].forbidden;
  };
  cluster_.Await("what a key may not say is counted", kAdvanceLimit, counted);
}

void Siege::AwaitCounts() {
  std::string words;
  const auto counted = [&] {
    words.clear();
    for (size_t i = 0; i < Daemons(); ++i) {
      const Reading now = Read(i).value_or(Reading{});
      const Reading& wanted = expected_[i];
      if (now.handshakes >= wanted.handshakes && now.keys >= wanted.keys) continue;
      words += Daemon(i).name() + " counts " + std::to_string(now.handshakes) + " of " +
               std::to_string(wanted.handshakes) + " handshakes and " + std::to_string(now.keys) +
               " of " + std::to_string(wanted.keys) + " keys; ";
    }
    return words.empty();
  };
  if (!cluster_.Await("all strangers are refused and counted", kAdvanceLimit, counted)) {
    cluster_.Violation(words);
  }
}

void Siege::Wave() {
  Knockers knockers(keys_);
  const uint64_t count = 30 + rng_.Below(40);
  for (uint64_t i = 0; i < count; ++i) {
    const auto way = static_cast<Way>((i + rng_.Below(2)) % static_cast<uint64_t>(Way::kCount));
    const Door& door = doors_[rng_.Below(doors_.size())];
    knockers.Knock(way, door.endpoint, door.owner, rng_);
    Reading& expected = expected_[door.daemon];
    ++(IsOfKey(way) ? expected.keys : expected.handshakes);
  }
  // Where others come through their handshakes meanwhile, of one who hangs up without a word nobody
  // can tell that it was refused: impostors come after those are counted.
  AwaitCounts();
  Impersonate(doors_[rng_.Below(doors_.size())], std::nullopt);
  const auto rank = static_cast<uint32_t>(rng_.Below(cluster_.plan().workers));
  Impersonate(doors_[rng_.Below(doors_.size())], WorkerId{rank});
}

// Each kind of refusal is said once a host, and all who were counted are among them.
void Siege::CheckLogs() {
  for (size_t i = 0; i < Daemons(); ++i) {
    std::ifstream log(cluster_.folder() + "/" + Daemon(i).name() + ".out");
    std::set<std::string> said;
    for (std::string line; std::getline(log, line);) {
      const size_t from = line.find(" stranger from=");
      const size_t why = line.find(" why=");
      if (from == std::string::npos || why == std::string::npos) continue;
      const std::string host = line.substr(from, line.find(':', from) - from);
      if (said.insert((why < from ? "" : host.substr(0, why - from)) + line.substr(why)).second) {
        continue;
      }
      cluster_.Violation(Daemon(i).name() + " says twice:" + line.substr(from));
    }
    if (said.empty() && expected_[i].handshakes + expected_[i].keys > 0) {
      cluster_.Violation(Daemon(i).name() + " says nothing of strangers");
    }
  }
}

void Siege::Run() {
  const auto failed = [&] { return !cluster_.violations().empty(); };
  for (uint32_t rank = 0; rank < cluster_.plan().workers; ++rank) cluster_.AwaitStep(rank, 2);
  if (failed()) return;
  if (!Prepare()) return cluster_.Fail("the job does not show where it is");
  std::vector<Reading> before;
  for (size_t i = 0; i < Daemons(); ++i) before.push_back(Read(i).value_or(Reading{}));
  std::vector<Reading> first;
  for (uint64_t wave = 0; wave < kWaves && !failed(); ++wave) {
    Wave();
    for (size_t i = 0; wave == 0 && i < Daemons(); ++i) {
      first.push_back(Read(i).value_or(Reading{}));
    }
  }
  if (failed()) return;
  const auto closed = [&] {
    for (size_t i = 0; i < Daemons(); ++i) {
      const std::optional<Reading> now = Read(i);
      if (!now || now->files > before[i].files) return false;
    }
    return true;
  };
  cluster_.Await("all connections of strangers are closed", kAdvanceLimit, closed);
  for (size_t i = 0; i < Daemons(); ++i) {
    const Reading now = Read(i).value_or(Reading{});
    const std::string name = Daemon(i).name();
    if (now.bytes > first[i].bytes + std::min(kGrowthMax, UINT64_MAX - first[i].bytes)) {
      cluster_.Violation(name + " has grown by " + std::to_string(now.bytes - first[i].bytes) +
                         " bytes");
    }
    // Some who are refused for their key are counted under "handshake" too.
    const Reading& wanted = expected_[i];
    if (now.handshakes > wanted.handshakes + wanted.keys || now.keys != wanted.keys ||
        now.forbidden != wanted.forbidden) {
      cluster_.Violation(name + " counts more than there was: " + std::to_string(now.handshakes) +
                         " handshakes, " + std::to_string(now.keys) + " keys, " +
                         std::to_string(now.forbidden) + " forbidden messages");
    }
  }
  CheckLogs();
}

void Run(Rng& rng, Cluster& cluster) {
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) cluster.StartWorker(rank);
  Siege(rng, cluster).Run();
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) {
    if (cluster.Acked(rank) == cluster.plan().steps) {
      cluster.Violation("the training was over before the strangers were");
    }
    cluster.Healed(rank);
  }
}

void Shape(Rng& rng, ClusterPlan& plan) {
  plan.keyed = true;
  plan.backups = 0;  // Then the weights are a function of the seed alone.
  plan.lease = milliseconds(2000);
  plan.steps = 500;
  plan.think_us = 8000 + rng.Below(8000);
}

}  // namespace

const Scenario kStrangers{"strangers", Shape, Run};

}  // namespace shardmill::chaos
