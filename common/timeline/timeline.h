#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/log/log.h"
#include "common/result.h"
#include "common/timeline/lane.h"

namespace shardmill {

// What a part says beside what viewers know, under "args": of the process, when it began, in
// nanoseconds of the machine's monotonic clock; of a thread, how many of its events did not fit.
inline constexpr const char* kBeganKey = "began_ns";
inline constexpr const char* kLostKey = "lost_events";

// A process of a job, as a timeline shows it. A value.
struct TimelineProcess {
  std::string role;     // "worker", "server".
  uint32_t index = 0;   // Among those of its role.
  uint32_t number = 0;  // Among all processes of the job, from 1.

  static TimelineProcess Worker(uint32_t rank) { return {"worker", rank, rank + 1}; }
  static TimelineProcess Server(uint32_t index) { return {"server", index, kServersFrom + index}; }

  std::string Name() const { return role + " " + std::to_string(index); }
  // Of the process's part, in the folder of the timeline.
  std::string FileName() const { return role + "-" + std::to_string(index) + ".json"; }

 private:
  static constexpr uint32_t kServersFrom = (1U << 20) + 1;  // Behind all workers.
};

// One process's part of a timeline: the lanes of its threads, written when it goes, however the
// process comes to its end. Owned by main, which ends the threads first. The file is one that
// viewers of Chrome's trace events open, an event a line, its times counted from its begin; as that
// is there too, parts of one machine can be laid over each other. A part that cannot be begun is an
// error of Make; one that cannot be finished is logged.
class Timeline final {
 public:
  // The clock and the log outlive the timeline.
  static Result<std::unique_ptr<Timeline>> Make(const std::string& folder,
                                                const TimelineProcess& process, const Clock& clock,
                                                const Log& log);
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  // For a thread that is about to begin. Stays as long as the timeline.
  TimelineLane& AddLane(std::string name);

 private:
  Timeline(std::string path, const TimelineProcess& process, const Clock& clock, const Log& log);

  std::string path_;
  TimelineProcess process_;
  const Clock& clock_;
  const Log& log_;
  TimePoint began_;
  std::deque<TimelineLane> lanes_;
};

}  // namespace shardmill
