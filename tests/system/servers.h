#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/session.h"
#include "common/status/job_status.h"
#include "tests/system/launch.h"

namespace shardmill {

// A coordinator and servers as real processes, whose workers the test plays. They end with it.
class Servers final {
 public:
  // `settings` as for --set, on top of one shard a server and a learning rate of one.
  Servers(const std::vector<std::string>& settings, uint32_t workers, uint32_t servers = 1);

  SessionOptions OptionsOf(uint32_t rank) const;
  // The coordinator's, HOST:PORT.
  const std::string& address() const { return address_; }
  // For shardmill-worker, to be one of the workers.
  std::vector<std::string> WorkerArguments(uint32_t rank) const;
  JobStatus Status() const;
  // What the first server says of itself, as Prometheus reads it.
  std::string Metrics() const;
  int server_pid() const { return server_.process->pid(); }
  // What the server takes of the machine's memory now.
  uint64_t MemoryMiB() const;

 private:
  std::vector<std::string> With(const std::vector<std::string>& more) const;

  std::vector<std::string> arguments_;  // Of every daemon: the job file and the settings.
  Daemon coordinator_;
  Daemon server_;             // The first,
  std::vector<Daemon> more_;  // and the others.
  std::string address_;
};

}  // namespace shardmill
