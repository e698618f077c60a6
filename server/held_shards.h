#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/log/log.h"
#include "common/messages.h"
#include "common/process/signals.h"
#include "common/published.h"
#include "common/result.h"
#include "server/shard_agent.h"

namespace shardmill {

// "shard 2", or "shard 2, copy 1".
std::string NameOf(HostedCopy copy);

// The copies of shards that a server holds, each an agent on a thread of its own: opens and closes
// them as the coordinator says. Owned by main, on its thread.
class HeldShards final {
 public:
  // Makes the agent of a copy; `place`: the lowest number that no other agent has.
  using Make = std::function<Result<std::unique_ptr<ShardAgent>>(HostedCopy copy, uint32_t place)>;

  // `cpus`: for the threads, by place; or none. The stop and the log outlive it. The first agent
  // that fails requests the stop; but of one that nobody lets in others that were let in have
  // nothing to fear: it is opened anew.
  HeldShards(Make make, std::vector<uint32_t> cpus, StopSource& stop, const Log& log);
  ~HeldShards();
  HeldShards(const HeldShards&) = delete;
  HeldShards& operator=(const HeldShards&) = delete;

  // Opens what is missing and closes what is not named. Opens nothing once a stop is requested.
  Result<> Become(const std::vector<HostedCopy>& copies);
  // Copies whose work has lasted for `least`, and not yet for `most`.
  std::vector<BootId> BusyFor(Duration least, Duration most) const;
  // All agents have ended.
  bool Ended() const;
  // Waits for all, and says why the first that failed did; or else what `ran` says.
  Result<> End(const Result<>& ran);
  // Why this server does not serve, or not all that it holds; empty where it does. Any thread.
  std::string unready() const { return unready_.Get(); }

 private:
  struct Running {
    HostedCopy copy;
    uint32_t place = 0;
    std::unique_ptr<ShardAgent> agent;
    bool again = false;              // It is to be opened anew. Written before this one:
    std::atomic<bool> ended{false};  // Written by its thread, read by main's.
    std::thread thread;
  };

  Result<> Open(HostedCopy copy);
  void TakeEnd(Running& one, const Result<>& ran);
  uint32_t FreePlace() const;
  std::string UnreadyWords() const;

  Make make_;
  std::vector<uint32_t> cpus_;
  StopSource& stop_;
  const Log& log_;
  std::vector<std::unique_ptr<Running>> running_;
  std::atomic<bool> let_in_{
      false};  // One of them is. Written by main, read by the agents' threads.
  Published<std::optional<Error>> failure_;
  Published<std::string> unready_{"the coordinator has not said what this server is to hold"};
};

}  // namespace shardmill
