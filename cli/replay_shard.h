#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/replay_gradients.h"
#include "cli/trace_reader.h"
#include "common/job/job.h"
#include "common/result.h"
#include "server/shard.h"

namespace shardmill {

// One shard of a replay: a real core, to which its trace's events happen again, in their order, by
// messages. Each must come out as it was recorded. Owned by a replay, on its thread.
class ReplayShard final {
 public:
  // Reads the trace once, to tell `workers` what to expect. Fails on a trace that is not whole.
  static Result<std::unique_ptr<ReplayShard>> Make(const JobOptions& job, const std::string& path,
                                                   ReplayGradients& workers);
  ~ReplayShard();

  // As far as it goes: to the end, or to a step whose gradient waits for what other shards serve.
  // Returns whether anything has happened.
  Result<bool> Advance();
  bool done() const { return done_; }
  // Where it stands, for people.
  std::string Place() const;

  const TraceHead& head() const { return reader_->head(); }
  const Shard& core() const { return *core_; }
  uint64_t applied() const { return applied_; }
  uint64_t served() const { return served_; }

 private:
  class Watch;

  ReplayShard(const JobOptions& job, ReplayGradients& workers);

  Result<> Begin(const std::string& path);
  Result<> Happen(const View& recorded);
  Result<> Happen(const TraceServed& recorded);
  // False: a gradient is not there yet.
  Result<bool> Happen(const LogEntry& recorded);
  Result<bool> HappenNext();

  void Finish(const Contribution& made, const ReplayGradients::Gradient* gradient,
              const std::vector<RankState>& close, bool signals);
  Unit LastStepUnit(const Contribution& made) const;
  Sender SenderOf(WorkerId rank) const;
  Outbox Say(PeerId peer, BootId from, Message message);
  Error Astray(const std::string& words) const;

  const JobOptions& job_;
  ReplayGradients& workers_;
  std::unique_ptr<TraceReader> reader_;
  std::unique_ptr<Watch> watch_;
  FramePool frames_{FramePool::Memory::kPrivate};
  std::unique_ptr<Shard> core_;
  AnswerFilter answers_;
  std::optional<TraceEvent> next_;
  uint64_t applied_ = 0;
  uint64_t served_ = 0;
  bool done_ = false;
};

}  // namespace shardmill
