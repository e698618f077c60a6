#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/session.h"
#include "tests/system/launch.h"

namespace shardmill {

// A coordinator and a server as real processes, whose workers the test plays. They end with it.
class Servers final {
 public:
  // `settings` as for --set, on top of one shard and a learning rate of one.
  Servers(const std::vector<std::string>& settings, uint32_t workers);

  SessionOptions OptionsOf(uint32_t rank) const;
  // The coordinator's, HOST:PORT.
  const std::string& address() const { return address_; }
  int server_pid() const { return server_.process->pid(); }
  // What the server takes of the machine's memory now.
  uint64_t MemoryMiB() const;

 private:
  Daemon coordinator_;
  Daemon server_;
  std::string address_;
};

}  // namespace shardmill
