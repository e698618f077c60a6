// The part of a Cluster that is about its coordinator, and how it is started.
#include <filesystem>
#include <utility>

#include "common/http/http_client.h"
#include "common/keys/key_file.h"
#include "common/net/curve.h"
#include "tests/system/chaos/cluster.h"

namespace shardmill::chaos {
namespace {

constexpr milliseconds kHttpLimit{5000};
constexpr milliseconds kStartLimit{30'000};

Result<> AddKey(const std::string& folder, Role role, std::optional<WorkerId> rank) {
  KeyPair pair = MakeKeyPair();
  pair.certificate.name = DefaultKeyName(role, rank);
  pair.certificate.role = role;
  pair.certificate.rank = rank;
  return WriteKeyPair(folder, pair, false);
}

}  // namespace

Result<Announcement> WhereIs(const Child& daemon) {
  const std::optional<Announcement> where =
      SM_TRY(AnnouncementReader(daemon.announce_fd()).Read(kStartLimit));
  if (where) return *where;
  return Error{ErrorCode::kUnavailable, daemon.name() + " does not say where it is"};
}

Result<> Cluster::MakeKeys() {
  for (const Role role : {Role::kCoordinator, Role::kServer, Role::kWorker}) {
    SM_TRY(AddKey(Keys(), role, std::nullopt));
  }
  for (uint32_t rank = 0; rank < plan_.workers; ++rank) {
    SM_TRY(AddKey(Keys(), Role::kWorker, WorkerId{rank}));
  }
  return {};
}

Result<> Cluster::FindCoordinator() {
  const Announcement where = SM_TRY(WhereIs(*coordinator_));
  const std::string scheme = "tcp://";
  http_ = where.http;
  address_ = where.address;
  listens_ = address_.substr(scheme.size());
  if (proxy_ == nullptr) return {};
  const std::string between = SM_TRY(proxy_->Open(listens_, true));
  address_ = scheme + between;
  return {};
}

Result<> Cluster::StartCoordinator(const std::string& listen) {
  ++coordinators_;
  const std::string number = coordinators_ > 1 ? "-" + std::to_string(coordinators_) : "";
  return SpawnDaemon(coordinator_host_, "coordinator" + number, "server/shardmill-coordinator",
                     {"--listen", listen}, &coordinator_);
}

void Cluster::KillCoordinator() {
  coordinator_away_ = true;
  coordinator_->Kill();
  coordinator_->Wait(kStartLimit);
}

std::optional<ExitStatus> Cluster::AwaitCoordinatorEnd() {
  coordinator_away_ = true;
  Await("the coordinator ends", kTroubleLimit, [this] { return coordinator_->Poll().has_value(); });
  return coordinator_->Poll();
}

void Cluster::RestartCoordinator() {
  if (plan_.plant == Plant::kForgets) std::filesystem::remove_all(folder_ + "/state");
  const Result<> started = StartCoordinator(listens_);
  if (!started.ok()) Fail(started.error().message);
}

bool Cluster::AwaitCoordinator() {
  const Result<Announcement> where = WhereIs(*coordinator_);
  if (!where.ok()) {
    const auto ended = coordinator_->Poll();
    Fail(where.error().message + (ended ? ": " + ExitWords(*ended) : ""));
    return false;
  }
  http_ = where.value().http;
  coordinator_away_ = false;
  return true;
}

std::optional<JobStatus> Cluster::Status() const {
  const Result<std::string> text = HttpGetBody(http_, "/status", kHttpLimit);
  if (!text.ok()) return std::nullopt;
  Result<JobStatus> status = ParseJobStatus(text.value());
  return status.ok() ? std::optional(std::move(status).value()) : std::nullopt;
}

std::vector<std::string> Cluster::Pages() const {
  std::vector<std::string> pages{http_};
  pages.insert(pages.end(), server_http_.begin(), server_http_.end());
  return pages;
}

void Cluster::CheckStatus() {
  const std::optional<JobStatus> is = Status();
  if (!is) return Violation("the coordinator does not say how the job is");
  const uint64_t wrong = is->lost + is->duplicated + is->samples_lost + is->samples_repeated;
  if (wrong == 0 && is->state != JobStatus::State::kFailed) return;
  Violation("the coordinator says " + ToJson(*is));
}

void Cluster::Recovered(double seconds) { recovery_seconds_.push_back(seconds); }

}  // namespace shardmill::chaos
