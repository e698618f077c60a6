#pragma once

#include <array>
#include <mutex>
#include <set>
#include <string>

#include "common/job/job.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/net/stranger.h"
#include "common/result.h"

namespace shardmill {

// Says and counts who was not let in. Owned by a daemon's main, outlives the ZeroMQ context; called
// on several threads. The mutex guards what was said: each once, and at most kSaidMax of them.
class GateLog final : public GateObserver {
 public:
  GateLog(Registry& registry, const Log& log);

  void Refused(const Stranger& stranger) override;
  void Trouble(const std::string& words) override;

 private:
  static constexpr size_t kSaidMax = 1024;
  bool IsNew(const std::string& said);

  const Log& log_;
  std::array<Counter*, 4> counts_;  // By Stranger::Why.
  std::mutex mutex_;
  std::set<std::string> said_;
};

// Whether a daemon may listen at an endpoint that a flag names, "tcp://HOST:PORT".
Result<> CheckListen(const JobOptions& job, const std::string& endpoint);

// Says loudly that strangers may come in at an endpoint; and that they may read a page.
void WarnOfOpenDoor(const JobOptions& job, const std::string& endpoint, const Log& log);
void WarnOfOpenPage(const JobOptions& job, const Log& log);

}  // namespace shardmill
