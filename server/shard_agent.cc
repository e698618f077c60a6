#include "server/shard_agent.h"

#include <utility>

#include "common/fresh_id.h"

namespace shardmill {
namespace {

// So long the agent waits for messages; or for the disk, where that is what it waits for.
constexpr std::chrono::milliseconds kPoll{20};

}  // namespace

Result<std::unique_ptr<ShardAgent>> ShardAgent::Make(const Options& options,
                                                     std::unique_ptr<Transport> transport,
                                                     FramePool& frames, const Clock& clock,
                                                     Registry& registry, const Log& log) {
  Options filled = options;
  filled.shard.endpoint = SM_TRY(transport->Bind(options.bind));
  filled.shard.coordinator = SM_TRY(transport->Connect(options.coordinator));
  std::unique_ptr<ShardAgent> agent(
      new ShardAgent(filled, std::move(transport), frames, clock, registry, log));
  if (!options.trace_folder.empty()) {
    agent->trace_ =
        SM_TRY(TraceWriter::Make(options.trace_folder, options.shard.id, options.workers, log));
  }
  SM_TRY(agent->MakeShard());
  return agent;
}

ShardAgent::ShardAgent(const Options& options, std::unique_ptr<Transport> transport,
                       FramePool& frames, const Clock& clock, Registry& registry, const Log& log)
    : options_(options),
      endpoint_(Endpoint::Parse(options.shard.endpoint)),
      transport_(std::move(transport)),
      frames_(frames),
      messenger_(*transport_, frames, options.limits),
      clock_(clock),
      metrics_(options.shard.id, options.shard.log, clock, registry),
      pump_(timed_, messenger_, clock, log),
      log_(log) {}

Result<> ShardAgent::MakeShard() {
  ShardObserver* observer = trace_.get();
  if (options_.lane != nullptr) {
    timeline_ = std::make_unique<ShardTimeline>(id(), *options_.lane, observer);
    observer = timeline_.get();
  }
  metrics_.Begin(observer);
  shard_ = SM_TRY(Shard::Make(options_.shard, frames_, &metrics_));
  timed_.Set(*shard_, timeline_.get());
  boot_.store(options_.shard.boot.value, std::memory_order_relaxed);
  return {};
}

// Nothing of what it was may be left: who still speaks to it speaks to a process that is gone.
Result<> ShardAgent::BeginAnew(const Error& why) {
  log_.Warn("shard_begins_anew", {{"shard", id().value}, {"copy", copy()}, {"why", why.message}});
  for (const auto& [copy, link] : links_) transport_->Disconnect(link.peer);
  links_.clear();
  to_disk_.reset();
  to_log_.reset();
  if (options_.disk) options_.disk->BeginAnew();
  if (options_.log) options_.log->BeginAnew();
  options_.shard.boot = BootId{FreshId()};
  primary_ = false;
  ready_.store(false, std::memory_order_relaxed);
  let_in_.store(false, std::memory_order_relaxed);
  return MakeShard();
}

Result<> ShardAgent::AttachReplicas() {
  for (const ReplicaPlace& place : shard_->Unattached()) {
    Link& link = links_[place.copy];
    if (link.boot != place.boot) {
      if (link.boot.value != 0) transport_->Disconnect(link.peer);
      link.peer = SM_TRY(transport_->Connect(place.endpoint));
      link.boot = place.boot;
    }
    shard_->Attach(place.boot, link.peer);
  }
  return {};
}

Result<> ShardAgent::Run(const StopSource& stop) {
  log_.Info("shard_listens",
            {{"shard", id().value}, {"copy", copy()}, {"endpoint", endpoint_.tcp}});
  Result<> result;
  bool disk_busy = false;
  while (!MayStop(stop)) {
    turned_at_.store(clock_.Now(), std::memory_order_relaxed);
    result = pump_.Turn(disk_busy ? std::chrono::milliseconds(0) : kPoll);
    disk_busy = WorkDisk();
    disk_busy = WorkLog() || disk_busy;
    if (trace_ != nullptr) trace_->Tick(clock_.Now());
    Publish();
    if (result.ok()) result = AttachReplicas();
    if (result.ok()) result = CheckFolder();
    if (result.ok() && shard_->failure() && !shard_->leaving() && !shard_->over())
      result = TakeFailure(*shard_->failure());
    if (!result.ok()) break;
  }
  if (trace_ != nullptr) trace_->Close();
  return result;
}

std::optional<BootId> ShardAgent::BusyFor(Duration least, Duration most) const {
  const Duration lasts = clock_.Now() - turned_at_.load(std::memory_order_relaxed);
  if (lasts < least || lasts >= most) return std::nullopt;
  return BootId{boot_.load(std::memory_order_relaxed)};
}

// Another copy takes the place of this one first, where there is one or can be.
bool ShardAgent::MayStop(const StopSource& stop) {
  if (closed_.load(std::memory_order_relaxed)) return true;
  if (!stop.requested()) return false;
  const bool hands_over = stop.reason() == StopReason::kTerminate && !options_.shard.log;
  if (!hands_over || !shard_->ready() || shard_->failure()) return true;
  if (!leaves_by_) {
    leaves_by_ = clock_.Now() + options_.leave_timeout;
    shard_->Leave();
    log_.Info("shard_leaves", {{"shard", id().value}, {"copy", copy()}});
  }
  if (clock_.Now() < *leaves_by_) return false;
  log_.Warn("shard_not_taken_over", {{"shard", id().value}, {"copy", copy()}});
  return true;
}

// An error where it cannot go on.
Result<> ShardAgent::TakeFailure(Error why) {
  if (why.code == ErrorCode::kFenced && options_.shard.replicas > 0) return BeginAnew(why);
  const std::string trouble = transport_->Trouble(options_.shard.coordinator);
  if (!trouble.empty()) why.message += ": " + trouble;
  return why;
}

Result<> ShardAgent::CheckFolder() {
  if (folder_checked_ || !options_.disk || !shard_->job()) return {};
  folder_checked_ = true;
  return options_.check_folder(*shard_->job());
}

bool ShardAgent::WorkDisk() {
  // So many rows are copied between two looks at the network.
  constexpr uint64_t kRows = 2048;
  // So many answers are taken between two looks at it.
  constexpr int kAnswers = 16;
  if (!options_.disk) return false;
  Outbox outbox;
  // Who restores has nothing else to do: it goes on as soon as the disk does.
  std::optional<DiskAnswer> answer =
      shard_->Restores() ? options_.disk->AwaitAnswer(kPoll) : options_.disk->NextAnswer();
  for (int i = 1; answer; ++i) {
    shard_->Handle(std::move(*answer), outbox);
    answer.reset();
    if (i < kAnswers) answer = options_.disk->NextAnswer();
  }
  messenger_.Send(outbox);
  const bool more = to_disk_ || shard_->DiskWaits();
  if (!to_disk_ && more) to_disk_ = shard_->NextDiskRequest(kRows);
  if (to_disk_) {
    // The other shards of the process ask the same disk: waiting here would keep messages waiting.
    if (!options_.disk->TryAsk(*to_disk_)) return shard_->Restores();
    to_disk_.reset();
  }
  return more || shard_->Restores();
}

bool ShardAgent::WorkLog() {
  if (!options_.log) return false;
  Outbox outbox;
  // Who reads its log has nothing else to do.
  std::optional<LogAnswer> answer =
      shard_->ReadsLog() ? options_.log->AwaitAnswer(kPoll) : options_.log->NextAnswer();
  for (; answer; answer = options_.log->NextAnswer()) {
    if (const auto* written = std::get_if<LogWritten>(&*answer)) {
      metrics_.LogAnswered(*written);
      if (!written->bytes.ok()) {
        log_.Warn("log_failed", {{"shard", id().value}, {"why", written->bytes.error().message}});
      }
    }
    shard_->Handle(std::move(*answer), outbox);
  }
  messenger_.Send(outbox);
  if (!to_log_) {
    to_log_ = shard_->NextLogRequest();
    if (to_log_) metrics_.LogAsked(*to_log_);
  }
  // Where there is no room the agent is woken when there is.
  if (to_log_ && options_.log->TryAsk(*to_log_)) to_log_.reset();
  return shard_->ReadsLog();
}

void ShardAgent::Publish() {
  if (shard_->held_words() != held_words_) {
    held_words_ = shard_->held_words();
    if (!held_words_.empty()) {
      log_.Info("shard_waits", {{"shard", id().value}, {"why", held_words_}});
    }
  }
  if (shard_->serves() && !ready()) {
    log_.Info("shard_ready",
              {{"shard", id().value}, {"copy", copy()}, {"view", shard_->view().number.value}});
  }
  if (shard_->over() && !ready()) {
    log_.Info("shard_is_idle", {{"shard", id().value}, {"why", shard_->failure()->message}});
  }
  ready_.store(shard_->serves() || shard_->over(), std::memory_order_relaxed);
  if (shard_->job()) let_in_.store(true, std::memory_order_relaxed);
  if (shard_->primary() != primary_) {
    primary_ = shard_->primary();
    if (options_.shard.replicas > 0) {
      log_.Info("shard_is_primary", {{"shard", id().value}, {"copy", copy()}});
    }
  }
  metrics_.Publish(*shard_, clock_.Now());
  metrics_.Publish(messenger_.counters(), transport_->reach());
  metrics_.CountBusy(pump_.busy());
  metrics_.CountForbidden(pump_.forbidden());
  if (trace_ != nullptr) metrics_.CountTraceLost(trace_->lost());
}

}  // namespace shardmill
