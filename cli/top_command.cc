#include "cli/top_command.h"

#include <chrono>
#include <memory>
#include <ostream>
#include <string>

#include "cli/job_finder.h"
#include "cli/live_screen.h"
#include "cli/run_folder.h"
#include "cli/status_command.h"
#include "common/clock.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kKeyWait{50};
constexpr std::chrono::seconds kAwayMax{15};  // A coordinator that is started again is soon there.

bool Over(const JobStatus& status) {
  return status.state == JobStatus::State::kDone || status.state == JobStatus::State::kFailed;
}

// Until it is time to ask again. Whether to end instead.
bool WaitOrEnd(const LiveScreen& screen, const StopSource& stop, TimePoint until) {
  const SteadyClock clock;
  while (clock.Now() < until) {
    if (stop.requested() || screen.AskedToEnd(kKeyWait)) return true;
  }
  return stop.requested();
}

Result<> Watch(const LiveScreen& screen, Duration every, const StopSource& stop, FoundJob* job) {
  const SteadyClock clock;
  TimePoint heard = clock.Now();
  std::string trouble;
  while (true) {
    const TimePoint asked = clock.Now();
    screen.Show(job->http + (trouble.empty() ? "  " + UtcStamp() + "  q ends" : trouble) + "\n\n" +
                DescribeStatus(job->status));
    if (WaitOrEnd(screen, stop, asked + every)) return {};
    Result<JobStatus> status = AskCoordinator(job->http);
    if (status.ok()) {
      job->status = std::move(status).value();
      heard = clock.Now();
      trouble.clear();
      continue;
    }
    if (Over(job->status)) return {};
    const auto away = std::chrono::duration_cast<std::chrono::seconds>(clock.Now() - heard);
    if (away >= kAwayMax) return status.error();
    trouble = " does not answer for " + std::to_string(away.count()) + " s";
  }
}

}  // namespace

Result<> RunTop(const TopFlags& flags, const Console& console, const StopSource& stop) {
  FoundJob job = SM_TRY(FindJob(flags.where, console));
  std::unique_ptr<LiveScreen> screen = SM_TRY(LiveScreen::Open());
  const auto every =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(flags.every));
  Result<> watched = Watch(*screen, every, stop, &job);
  screen.reset();
  console.out << DescribeStatus(job.status) << std::flush;
  return watched;
}

}  // namespace shardmill
