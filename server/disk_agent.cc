#include "server/disk_agent.h"

#include <optional>

namespace shardmill {

DiskAgent::DiskAgent(BlobStore& store, const std::string& job, size_t shards)
    : store_(store), job_(job) {
  for (size_t i = 0; i < shards; ++i) {
    desks_.emplace_back(store, job);
    answers_.push_back(std::make_unique<Mailbox<DiskAnswer>>(kRoom));
  }
  thread_ = std::thread([this] { Run(); });
}

DiskAgent::~DiskAgent() {
  asked_.Close();
  for (const auto& answers : answers_) answers->Close();
  thread_.join();
}

bool DiskAgent::Line::TryAsk(DiskRequest& request) {
  std::pair<size_t, DiskRequest> asked(place_, std::move(request));
  if (agent_->asked_.TryPut(asked)) return true;
  request = std::move(asked.second);
  return false;
}

void DiskAgent::Run() {
  while (const auto asked = asked_.Take()) {
    const size_t place = asked->first;
    desks_[place].Do(asked->second, [&](DiskAnswer answer) -> Result<> {
      if (answers_[place]->Put(std::move(answer))) return {};
      return Error{ErrorCode::kUnavailable, "the process ends"};
    });
  }
}

}  // namespace shardmill
