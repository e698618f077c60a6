#include "tests/system/servers.h"

#include <fstream>
#include <utility>

namespace shardmill {

Servers::Servers(const std::vector<std::string>& settings, uint32_t workers) {
  std::vector<std::string> sets{"cluster.shards_per_server=1",
                                "cluster.workers=" + std::to_string(workers),
                                "optimizer.learning_rate=1"};
  sets.insert(sets.end(), settings.begin(), settings.end());
  const std::string job = WriteJob(1);
  const auto start = [&](const std::string& name, const std::string& program,
                         std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), job);
    for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
    return LaunchDaemon(name, program, std::move(arguments));
  };
  coordinator_ = start("coordinator", "server/shardmill-coordinator", {"--listen", "127.0.0.1:0"});
  address_ = coordinator_.where.address.substr(std::string("tcp://").size());
  server_ = start("server", "server/shardmill-ps",
                  {"--index", "0", "--set", "cluster.coordinator=" + address_});
}

SessionOptions Servers::OptionsOf(uint32_t rank) const {
  SessionOptions options;
  options.coordinator = address_;
  options.rank = rank;
  return options;
}

uint64_t Servers::MemoryMiB() const {
  constexpr uint64_t kPagesOfMiB = 256;
  std::ifstream file("/proc/" + std::to_string(server_.process->pid()) + "/statm");
  uint64_t pages = 0;
  file >> pages >> pages;  // The second number is what is resident.
  return pages / kPagesOfMiB;
}

}  // namespace shardmill
