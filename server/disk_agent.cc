#include "server/disk_agent.h"

#include <optional>
#include <utility>

namespace shardmill {

DiskAgent::DiskAgent(BlobStore& store, const std::string& job, size_t shards)
    : store_(store), job_(job) {
  for (size_t i = 0; i < shards; ++i) {
    desks_.emplace_back(store, job);
    answers_.push_back(std::make_unique<Mailbox<Answered>>(kRoom));
  }
  thread_ = std::thread([this] { Run(); });
}

DiskAgent::~DiskAgent() {
  asked_.Close();
  for (const auto& answers : answers_) answers->Close();
  thread_.join();
}

bool DiskAgent::Line::TryAsk(DiskRequest& request) {
  Asked asked{place_, speaker_, std::move(request)};
  if (agent_->asked_.TryPut(asked)) return true;
  request = std::move(asked.what);
  return false;
}

void DiskAgent::Run() {
  while (const auto asked = asked_.Take()) {
    desks_[asked->place].Do(asked->what, [&](DiskAnswer answer) -> Result<> {
      if (answers_[asked->place]->Put({asked->speaker, std::move(answer)})) return {};
      return Error{ErrorCode::kUnavailable, "the process ends"};
    });
  }
}

}  // namespace shardmill
