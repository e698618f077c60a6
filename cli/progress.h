#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/console.h"
#include "common/clock.h"
#include "common/status/job_status.h"

namespace shardmill {

// Shows on stderr how a job goes: one line that is drawn anew on a terminal, else a line every few
// seconds. Owned by the train command; one thread. Cannot fail.
class Progress final {
 public:
  // `steps`: the most of a worker; 0: as many as the epochs have.
  Progress(const Console& console, uint64_t epochs, uint64_t steps = 0)
      : console_(console), epochs_(epochs), steps_(steps) {}
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const JobStatus& status, TimePoint now);

  // Takes the line away, so that a message can stand where it was.
  void Clear();

 private:
  std::string Describe(const JobStatus& status);
  double Fraction(const JobStatus& status);
  std::string Bar(double fraction) const;

  const Console& console_;
  uint64_t epochs_;
  uint64_t steps_;
  double steps_per_epoch_ = 0;  // 0 while nobody has finished an epoch.
  bool drawn_ = false;
  std::string last_;
  std::optional<TimePoint> written_at_;
};

// "1:07", "2:00:05".
std::string FormatTimeLeft(double seconds);

}  // namespace shardmill
