#include "tests/system/servers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <utility>

#include "common/http/http_client.h"

namespace shardmill {

Servers::Servers(const std::vector<std::string>& settings, uint32_t workers, uint32_t servers) {
  std::vector<std::string> sets{
      "cluster.shards_per_server=1", "cluster.servers=" + std::to_string(servers),
      "cluster.workers=" + std::to_string(workers), "optimizer.learning_rate=1"};
  sets.insert(sets.end(), settings.begin(), settings.end());
  arguments_ = {WriteJob(1)};
  for (const std::string& set : sets) arguments_.insert(arguments_.end(), {"--set", set});
  coordinator_ = LaunchDaemon("coordinator", "server/shardmill-coordinator",
                              With({"--listen", "127.0.0.1:0"}));
  address_ = coordinator_.where.address.substr(std::string("tcp://").size());
  arguments_.insert(arguments_.end(), {"--set", "cluster.coordinator=" + address_});
  server_ = LaunchDaemon("server", "server/shardmill-ps", With({"--index", "0"}));
  for (uint32_t i = 1; i < servers; ++i) {
    const std::string index = std::to_string(i);
    more_.push_back(
        LaunchDaemon("server-" + index, "server/shardmill-ps", With({"--index", index})));
  }
}

std::vector<std::string> Servers::With(const std::vector<std::string>& more) const {
  std::vector<std::string> all = arguments_;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::vector<std::string> Servers::WorkerArguments(uint32_t rank) const {
  return With({"--rank", std::to_string(rank)});
}

SessionOptions Servers::OptionsOf(uint32_t rank) const {
  SessionOptions options;
  options.coordinator = address_;
  options.rank = rank;
  return options;
}

JobStatus Servers::Status() const {
  const auto text = HttpGetBody(coordinator_.where.http, "/status", std::chrono::seconds(10));
  const auto status = ParseJobStatus(text.ok() ? text.value() : "");
  EXPECT_TRUE(status.ok()) << status.error().message;
  return status.ok() ? status.value() : JobStatus{};
}

std::string Servers::Metrics() const {
  const auto text = HttpGetBody(server_.where.http, "/metrics", std::chrono::seconds(10));
  EXPECT_TRUE(text.ok()) << text.error().message;
  return text.ok() ? text.value() : "";
}

uint64_t Servers::MemoryMiB() const {
  constexpr uint64_t kPagesOfMiB = 256;
  std::ifstream file("/proc/" + std::to_string(server_.process->pid()) + "/statm");
  uint64_t pages = 0;
  file >> pages >> pages;  // The second number is what is resident.
  return pages / kPagesOfMiB;
}

}  // namespace shardmill
