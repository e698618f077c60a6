// The part of a Cluster that is about the hosts of its processes, where they are apart.
#include "tests/system/chaos/cluster.h"

namespace shardmill::chaos {

Result<Cluster::Host> Cluster::AddHost() {
  if (hosts_ == nullptr) return Host();
  return Host(SM_TRY(hosts_->Add()));
}

void Cluster::Lose(const std::vector<Hosts::Loss>& losses) {
  const Result<> lose = hosts_->Lose(losses);
  if (!lose.ok()) Fail(lose.error().message);
}

void Cluster::Reset(size_t host) {
  const Result<> reset = hosts_->Reset(host);
  if (!reset.ok()) Fail(reset.error().message);
}

void Cluster::Remove(size_t host) {
  const Result<> removed = hosts_->Remove(host);
  if (!removed.ok()) Fail(removed.error().message);
}

}  // namespace shardmill::chaos
