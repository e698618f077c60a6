#include "common/daemon/gate.h"

#include <utility>

#include "common/job/address.h"

namespace shardmill {
namespace {

constexpr std::array<std::string_view, 4> kWhy = {"handshake", "key", "revoked", "local"};

// Of "10.0.0.7:40000": somebody who tries again comes from another port each time.
std::string HostOf(const std::string& from) { return from.substr(0, from.rfind(':')); }

// Of "tcp://HOST:PORT".
std::string HostAt(const std::string& endpoint) {
  constexpr std::string_view kScheme = "tcp://";
  return endpoint.substr(kScheme.size(), endpoint.rfind(':') - kScheme.size());
}

}  // namespace

GateLog::GateLog(Registry& registry, const Log& log) : log_(log), counts_{} {
  for (size_t i = 0; i < counts_.size(); ++i) {
    counts_[i] = &registry.AddCounter("shardmill_strangers_total",
                                      "Connections of those who are not let in.",
                                      {{"why", std::string(kWhy[i])}});
  }
}

void GateLog::Refused(const Stranger& stranger) {
  const auto why = static_cast<size_t>(stranger.why);
  counts_[why]->Add();
  if (!IsNew(std::string(kWhy[why]) + HostOf(stranger.from) + stranger.words)) return;
  log_.Warn("stranger",
            {{"from", stranger.from.empty() ? "unknown" : stranger.from}, {"why", stranger.words}});
}

void GateLog::Trouble(const std::string& words) {
  if (IsNew(words)) log_.Error("keys", {{"why", words}});
}

bool GateLog::IsNew(const std::string& said) {
  const std::scoped_lock lock(mutex_);
  return said_.size() < kSaidMax && said_.insert(said).second;
}

Result<> CheckListen(const JobOptions& job, const std::string& endpoint) {
  if (!job.security.keys.empty() || job.security.insecure || IsLoopback(HostAt(endpoint)))
    return {};
  return Error{ErrorCode::kBadUsage, OpenDoorWords("--listen", HostAt(endpoint))};
}

void WarnOfOpenDoor(const JobOptions& job, const std::string& endpoint, const Log& log) {
  if (!job.security.keys.empty() || IsLoopback(HostAt(endpoint))) return;
  log.Warn("insecure", {{"endpoint", endpoint},
                        {"why",
                         "there are no keys: whoever reaches this can read and change "
                         "everything"}});
}

void WarnOfOpenPage(const JobOptions& job, const Log& log) {
  if (!job.http.enabled || IsLoopback(job.http.bind)) return;
  log.Warn("http_is_open",
           {{"bind", job.http.bind}, {"why", "whoever reaches it may read the job's state"}});
}

}  // namespace shardmill
