#include "server/state_log.h"

#include <algorithm>
#include <chrono>

#include "common/net/endpoint.h"

namespace shardmill {

bool StateLog::Look(Coordinator& coordinator, TimePoint now) {
  const JobState before = state_;
  for (const std::string& what : coordinator.TakeUpdateChanges()) {
    log_.Info("update_changed", {{"what", what}});
  }
  LookAtRanks(coordinator);
  LookAtWords(coordinator, now);
  LookAtRollbacks(coordinator);
  LookAtReplicas(coordinator);
  if (coordinator.decided().number != view_) {
    view_ = coordinator.decided().number;
    log_.Info("view", {{"number", view_.value},
                       {"members", coordinator.decided().members.size()},
                       {"tables", coordinator.decided().tables.size()}});
  }
  state_ = coordinator.state();
  if (state_ == before) return false;
  if (state_ == JobState::kTraining) log_.Info("job_training");
  if (state_ == JobState::kFailed) log_.Error("job_failed", {{"why", coordinator.words()}});
  if (state_ == JobState::kDone) {
    const Audit& audit = coordinator.audit();
    log_.Info(
        "job_done",
        {{"lost", audit.lost}, {"duplicated", audit.duplicated}, {"next", "idle until stopped"}});
    if (coordinator.final_lost()) log_.Error("last_snapshot_lost", {{"why", coordinator.words()}});
  }
  return true;
}

void StateLog::LookAtRanks(const Coordinator& coordinator) {
  using State = RankStatus::State;
  ranks_.resize(coordinator.ranks().size());
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const RankStatus& rank = coordinator.ranks()[i];
    const Seen before = ranks_[i];
    ranks_[i] = {rank.state, rank.incarnation};
    if (rank.state == State::kSilent && before.state != State::kSilent) {
      log_.Warn("worker_silent", {{"rank", i}, {"lease", "over"}});
    }
    if (before.state != State::kSilent || rank.state == State::kSilent) continue;
    if (rank.state == State::kAbsent) {
      log_.Warn("worker_lost", {{"rank", i},
                                {"incarnation", rank.incarnation.value},
                                {"next", "the job goes on without it; its rank is free"}});
    } else if (rank.state == State::kWaiting || rank.incarnation != before.incarnation) {
      log_.Info("worker_replaced", {{"rank", i}});
    } else {
      log_.Info("worker_heard", {{"rank", i}, {"incarnation", rank.incarnation.value}});
    }
  }
}

void StateLog::LookAtRollbacks(const Coordinator& coordinator) {
  if (rollbacks_ && *rollbacks_ < coordinator.rollbacks()) {
    log_.Warn("rolled_back", {{"why", coordinator.rollback_words()},
                              {"generation", coordinator.decided().generation.value},
                              {"snapshot", coordinator.base()},
                              {"lost", "all steps made since"}});
  }
  rollbacks_ = coordinator.rollbacks();
}

void StateLog::LookAtReplicas(const Coordinator& coordinator) {
  const bool first = shards_.empty();
  shards_.resize(coordinator.shards().size());
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const ShardStatus& primary = coordinator.shards()[i];
    const std::vector<ShardStatus>& replicas = coordinator.replicas(ShardId{i});
    const SeenShard before = shards_[i];
    const auto counts = [](const ShardStatus& r) { return r.in_sync && !r.replaces; };
    const auto in_sync = static_cast<uint32_t>(std::ranges::count_if(replicas, counts));
    shards_[i] = {primary.copy, in_sync, primary.beat.differing};
    if (first) continue;
    if (primary.copy != before.copy) {
      log_.Warn("promoted", {{"shard", i},
                             {"copy", primary.copy},
                             {"endpoint", Endpoint::Parse(primary.endpoint).tcp}});
    }
    if (primary.beat.differing != 0 && primary.beat.differing != before.differing) {
      log_.Error("replica_given_up", {{"shard", i}, {"why", primary.beat.why}});
    }
    if (in_sync == before.in_sync) continue;
    if (in_sync == replicas.size()) {
      log_.Info("all_in_sync", {{"shard", i}, {"replicas", replicas.size()}});
    } else if (in_sync < before.in_sync) {
      log_.Warn("degraded", {{"shard", i}, {"in_sync", in_sync}, {"replicas", replicas.size()}});
    }
  }
}

void StateLog::LookAtWords(const Coordinator& coordinator, TimePoint now) {
  const std::string& words = coordinator.words();
  const bool ended =
      coordinator.state() == JobState::kDone || coordinator.state() == JobState::kFailed;
  if (ended || words.empty()) {
    if (named_at_ && !ended) {
      const auto waited = std::chrono::duration<double>(now - *waits_since_);
      log_.Info("waited", {{"seconds", waited.count()}});
    }
    waits_since_.reset();
    named_at_.reset();
    return;
  }
  if (!waits_since_) waits_since_ = now;
  if (now - *waits_since_ < kNamedAfter) return;
  if (named_at_ && (words == named_ || now - *named_at_ < kNamedAgainAfter)) return;
  named_at_ = now;
  named_ = words;
  log_.Warn("waits", {{"why", words}});
}

}  // namespace shardmill
