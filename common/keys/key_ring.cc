#include "common/keys/key_ring.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace shardmill {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;
// The clock of file systems ticks some hundred times a second: what was changed that lately may be
// changed again without another time.
constexpr int64_t kTickNs = 50'000'000;

int64_t Ns(const timespec& time) { return int64_t{time.tv_sec} * kNanoseconds + time.tv_nsec; }

int64_t ChangedAt(const std::string& folder) {
  struct stat status {};
  return stat(folder.c_str(), &status) == 0 ? Ns(status.st_mtim) : 0;
}

bool IsRecent(int64_t changed_ns) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::abs(Ns(now) - changed_ns) <= kTickNs;
}

}  // namespace

Result<std::unique_ptr<KeyRing>> KeyRing::Open(const std::string& folder, Role role,
                                               std::optional<WorkerId> rank) {
  if (folder.empty()) return std::unique_ptr<KeyRing>();
  const std::string secrets = folder + "/" + kSecretFolder + "/";
  std::string path = secrets + DefaultKeyName(role, rank) + std::string(kSecretEnding);
  if (rank && access(path.c_str(), F_OK) != 0) {
    path = secrets + DefaultKeyName(role, std::nullopt) + std::string(kSecretEnding);
  }
  KeyPair own = SM_TRY(ReadKeyPair(path));
  if (own.certificate.role != role) {
    return Error{ErrorCode::kBadUsage, path + ": is a " +
                                           std::string(NameOf(own.certificate.role)) +
                                           "'s key, and this is a " + std::string(NameOf(role))};
  }
  std::unique_ptr<KeyRing> ring(new KeyRing(folder, std::move(own)));
  std::vector<Error> troubles;
  ring->Note(ring->Look());
  ring->allowed_.Set(SM_TRY(AllowList::Read(folder, troubles)));
  if (!troubles.empty()) return troubles.front();
  if (ring->allowed()->Only(Role::kCoordinator) == nullptr) {
    return Error{ErrorCode::kBadUsage,
                 folder + "/" + kPublicFolder +
                     ": wants one certificate of a coordinator; others find it by that"};
  }
  return ring;
}

KeyRing::Stamp KeyRing::Look() const {
  return {ChangedAt(folder_ + "/" + kPublicFolder), ChangedAt(folder_ + "/" + kRevokedFolder)};
}

bool KeyRing::Refresh(std::vector<Error>& troubles) {
  const std::scoped_lock lock(mutex_);
  const Stamp now = Look();
  if (now == read_) return readable_;
  Result<std::shared_ptr<const AllowList>> list = AllowList::Read(folder_, troubles);
  const bool readable = list.ok();
  if (readable) {
    allowed_.Set(std::move(list).value());
    version_.fetch_add(1, std::memory_order_release);
  } else if (readable_) {
    troubles.push_back(list.error());
  }
  readable_ = readable;
  if (readable) Note(now);
  return readable_;
}

void KeyRing::Note(const Stamp& read) {
  read_.reset();
  if (!IsRecent(read.public_ns) && !IsRecent(read.revoked_ns)) read_ = read;
}

}  // namespace shardmill
