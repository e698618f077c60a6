#include "cli/job_finder.h"

#include <chrono>
#include <filesystem>
#include <vector>

#include "cli/run_folder.h"
#include "common/http/http_client.h"
#include "common/job/address.h"
#include "common/job/job.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kTimeout{2'000};
constexpr size_t kRunsTriedMax = 20;  // Old runs are many, and none of them answers.

Result<FoundJob> Ask(const std::string& http) {
  return FoundJob{http, SM_TRY(AskCoordinator(http))};
}

// The newest run that answers; of the job of that name, if one is given.
Result<FoundJob> AskNewest(const std::string& runs, const std::string& name) {
  size_t tried = 0;
  for (const std::string& folder : FindRuns(runs)) {
    const Result<RunRecord> record = ReadRunRecord(folder);
    if (!record.ok() || (!name.empty() && record.value().name != name)) continue;
    Result<FoundJob> found = Ask(record.value().http);
    if (found.ok()) return found;
    if (++tried == kRunsTriedMax) break;
  }
  return Error{ErrorCode::kUnavailable,
               "no run " + (name.empty() ? "" : "of a job \"" + name + "\" ") + "under \"" + runs +
                   "\" answers; name another folder with --runs, or a coordinator by the HOST:PORT "
                   "that its log has as http="};
}

// A run on this machine, or the daemons where the file says.
Result<FoundJob> AskJobOf(const std::string& file, const Console& console) {
  const Job job = SM_TRY(LoadJob(file, {{}, console.environment}));
  const JobOptions& options = job.options;
  Result<FoundJob> local = AskNewest(options.job.runs, options.job.name);
  if (local.ok() || options.http.port == 0) return local;
  const std::string host = ParseAddress(options.cluster.coordinator)->host;
  return Ask(host + ":" + std::to_string(options.http.port));
}

}  // namespace

// Whoever else answers there may say anything: its words would only confuse.
Result<JobStatus> AskCoordinator(const std::string& http) {
  const HttpResponse response = SM_TRY(HttpGet(http, "/status", kTimeout));
  const auto no_coordinator = [&](const std::string& why) {
    return Error{ErrorCode::kBadInput, http + " is no shardmill coordinator: " + why};
  };
  if (response.status != 200) {
    return no_coordinator("it answers /status with HTTP status " + std::to_string(response.status));
  }
  Result<JobStatus> status = ParseJobStatus(response.body);
  if (status.ok()) return status;
  return no_coordinator("its /status is no status of a job");
}

Result<FoundJob> FindJob(const JobPlace& place, const Console& console) {
  if (!place.http.empty()) return Ask(place.http);
  if (place.job.empty()) return AskNewest(place.runs, "");
  if (std::filesystem::is_regular_file(place.job)) return AskJobOf(place.job, console);
  if (ParseAddress(place.job)) return Ask(place.job);
  return AskNewest(place.runs, place.job);
}

}  // namespace shardmill
