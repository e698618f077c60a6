#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/log/log.h"
#include "common/result.h"
#include "server/shard.h"
#include "server/trace_format.h"

namespace shardmill {

// Writes what its shard does to `folder`/shard-K.trace. Owned by the shard's agent, on its thread;
// the log must outlive it. Lines gather in memory and are written when there are many, each second,
// and at the end. A file that cannot be made is an error of Make; a line that cannot be written
// ends the trace there, is logged once and counted, and never stops the shard.
class TraceWriter final : public ShardObserver {
 public:
  // `workers`: of the whole job. Replaces what an earlier run left under that name.
  static Result<std::unique_ptr<TraceWriter>> Make(const std::string& folder, ShardId shard,
                                                   uint32_t workers, const Log& log);
  ~TraceWriter() override;  // Closes the trace, if nobody has.

  void TookView(JobId job, const View& view) override;
  void Restored(uint64_t version, const std::vector<RankState>& ranks) override;
  void Applied(const LogEntry& entry) override;
  void Served(const Pull& pull, BootId reader, const Pulled& answer) override;

  // Writes what has gathered, where a second has gone by since the last time.
  void Tick(TimePoint now);
  // Writes what has gathered and the last line. What comes after is left out.
  void Close();

  // Events that the file lacks.
  uint64_t lost() const { return lost_; }

 private:
  TraceWriter(std::string path, ShardId shard, uint32_t workers, const Log& log);

  void Add(const std::string& line);
  void Write();

  std::string path_;
  ShardId shard_;
  uint32_t workers_;
  const Log& log_;
  std::ofstream file_;
  std::string gathered_;
  uint64_t gathered_events_ = 0;
  uint64_t events_ = 0;
  uint64_t lost_ = 0;
  bool broken_ = false;
  bool closed_ = false;
  std::optional<TimePoint> written_at_;
};

}  // namespace shardmill
