// The part of a Cluster that is about its servers.
#include <utility>

#include "tests/system/chaos/cluster.h"

namespace shardmill::chaos {

Result<> Cluster::StartServer(size_t index) {
  if (index == servers_.size()) {
    servers_.emplace_back();
    server_http_.emplace_back();
    server_away_.push_back(false);
  }
  const std::string number = std::to_string(index);
  const std::string again =
      ++server_starts_ > plan_.servers ? "-" + std::to_string(server_starts_) : "";
  const Host host = SM_TRY(AddHost());
  SM_TRY(SpawnDaemon(host, "server-" + number + again, "server/shardmill-ps",
                     {"--index", number, "--set", "cluster.coordinator=" + address_},
                     &servers_[index]));
  server_http_[index] = SM_TRY(WhereIs(*servers_[index])).http;
  return {};
}

void Cluster::KillServer(size_t index) {
  server_away_[index] = true;
  servers_[index]->Kill();
  servers_[index]->Wait(kTroubleLimit);
}

void Cluster::StopServer(size_t index) {
  server_away_[index] = true;
  servers_[index]->Terminate();
  const std::optional<ExitStatus> status = servers_[index]->Wait(kTroubleLimit);
  if (status && status->ok()) return;
  Fail("a server that was told to stop " +
       (status ? "ended with " + ExitWords(*status) : std::string("did not")));
}

std::unique_ptr<Child> Cluster::ReplaceServer(size_t index) {
  std::unique_ptr<Child> before = std::move(servers_[index]);
  const Result<> started = StartServer(index);
  if (!started.ok()) Fail(started.error().message);
  server_away_[index] = !started.ok();
  return before;
}

size_t Cluster::AddServer() {
  const size_t index = servers_.size();
  const Result<> started = StartServer(index);
  if (!started.ok()) Fail(started.error().message);
  return index;
}

Result<std::unique_ptr<Child>> Cluster::Rebalance(const std::vector<size_t>& drained) {
  ChildOptions options;
  options.name = "rebalance-" + std::to_string(++rebalances_);
  options.argv = {programs_ + "/cli/shardmill", "rebalance", job_, "--set",
                  "cluster.coordinator=" + address_};
  for (const size_t index : drained) {
    options.argv.insert(options.argv.end(), {"--drain", std::to_string(index)});
  }
  options.log_path = folder_ + "/" + options.name + ".out";
  return Child::Spawn(options);
}

}  // namespace shardmill::chaos
