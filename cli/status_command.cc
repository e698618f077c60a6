#include "cli/status_command.h"

#include <algorithm>
#include <chrono>
#include <ostream>
#include <string>
#include <vector>

#include "cli/run_folder.h"
#include "cli/table.h"
#include "cli/train_result.h"
#include "common/config/text.h"
#include "common/http/http_client.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kTimeout{2'000};
constexpr size_t kRunsTriedMax = 20;  // Old runs are many, and none of them answers.
constexpr double kSilentShownSeconds = 2;

std::string MetricsWords(const JobStatus::Worker& worker) {
  std::string words;
  for (const auto& [name, value] : worker.metrics) {
    words += (words.empty() ? "" : ", ") + name + " " + FormatMetric(value);
  }
  return words;
}

std::string StateWords(const JobStatus::Worker& worker) {
  std::string words(NameOf(worker.state));
  const bool done = worker.state == JobStatus::Worker::State::kDone;
  if (!done && worker.silent_seconds >= kSilentShownSeconds) {
    words += ", not heard for " + FormatCount(worker.silent_seconds) + " s";
  }
  return words;
}

std::string WaitingWords(const JobStatus& status, const JobStatus::Shard& shard) {
  if (!Waits(status, shard)) return "-";
  std::string words = "rank " + std::to_string(shard.waiting_for);
  if (shard.parked_pulls > 0) words += " (" + std::to_string(shard.parked_pulls) + " pulls)";
  return words;
}

std::string PolicyWords(const JobStatus& status) {
  return status.policy == "stale" ? "stale (" + std::to_string(status.staleness) + ")"
                                  : status.policy;
}

std::string SnapshotWords(const JobStatus::Snapshots& snapshots) {
  std::string words = "no snapshot yet";
  if (snapshots.number > 0) {
    words = "snapshot " + std::to_string(snapshots.number) + ", " +
            config::FormatSize(snapshots.bytes) + ", " + FormatCount(snapshots.age_seconds) +
            " s ago";
  }
  if (snapshots.under_way > 0) words += "; " + std::to_string(snapshots.under_way) + " is written";
  if (snapshots.given_up > 0) words += "; " + std::to_string(snapshots.given_up) + " given up";
  if (snapshots.damaged > 0) words += "; " + std::to_string(snapshots.damaged) + " unreadable";
  if (!snapshots.problem.empty()) words += ": " + snapshots.problem;
  if (!snapshots.awaited.empty()) words += "; " + snapshots.awaited;
  return words;
}

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

Result<JobStatus> AskNewest(const std::string& runs) {
  std::vector<std::string> folders = FindRuns(runs);
  if (folders.size() > kRunsTriedMax) folders.resize(kRunsTriedMax);
  for (const std::string& folder : folders) {
    const Result<RunRecord> record = ReadRunRecord(folder);
    if (!record.ok()) continue;
    Result<JobStatus> status = AskCoordinator(record.value().http);
    if (status.ok()) return status;
  }
  return Error{ErrorCode::kUnavailable,
               "no job is running: none of the runs under \"" + runs +
                   "\" answers; name a folder with --runs or a coordinator with --http HOST:PORT"};
}

}  // namespace

std::string DescribeStatus(const JobStatus& status) {
  std::string text(NameOf(status.state));
  if (!status.words.empty()) text += ": " + status.words;
  text += "\npolicy " + PolicyWords(status) + ", view " + std::to_string(status.view) +
          ", generation " + std::to_string(status.generation);
  if (status.rollbacks > 0) text += ", rolled back " + std::to_string(status.rollbacks) + " times";
  if (status.promotions > 0) {
    text += ", replicas promoted " + std::to_string(status.promotions) + " times";
  }
  text += "\n";
  for (const JobStatus::Shard& shard : status.shards) {
    if (shard.degraded.empty()) continue;
    text += "shard " + std::to_string(shard.id) + " is degraded: " + shard.degraded + "\n";
  }
  if (status.snapshots) text += SnapshotWords(*status.snapshots) + "\n";
  text += "\n";
  std::vector<TableRow> rows = {
      {"rank", "state", "epoch", "step", "samples/s", "staleness", "metrics"}};
  for (const JobStatus::Worker& worker : status.workers) {
    rows.push_back({std::to_string(worker.rank), StateWords(worker), std::to_string(worker.epoch),
                    FormatCount(static_cast<double>(worker.step)),
                    worker.seconds > 0 ? FormatCount(worker.samples / worker.seconds) : "-",
                    std::to_string(worker.staleness_max), MetricsWords(worker)});
  }
  text += AlignTable(rows) + "\n";
  rows = {{"shard", "closed", "version", "units", "held", "staleness", "waiting for", "server",
           "endpoint"}};
  const bool copies = std::ranges::any_of(status.shards, &JobStatus::Shard::replicas);
  if (copies) rows.front().insert(rows.front().begin() + 1, "in sync");
  for (const JobStatus::Shard& shard : status.shards) {
    rows.push_back({std::to_string(shard.id), FormatCount(static_cast<double>(shard.closed)),
                    FormatCount(static_cast<double>(shard.version)),
                    FormatCount(static_cast<double>(shard.units)),
                    config::FormatSize(shard.held_bytes), std::to_string(shard.staleness_max),
                    WaitingWords(status, shard),
                    std::to_string(shard.host) + (shard.moving ? " (moves)" : ""),
                    shard.endpoint.empty() ? "not there yet" : shard.endpoint});
    if (!copies) continue;
    rows.back().insert(rows.back().begin() + 1,
                       std::to_string(shard.in_sync) + " of " + std::to_string(shard.replicas));
  }
  text += AlignTable(rows);
  if (status.state == JobStatus::State::kDone) {
    text += "\nlost " + std::to_string(status.lost) + ", duplicated " +
            std::to_string(status.duplicated);
    if (status.data > 0) {
      text += "; samples lost " + std::to_string(status.samples_lost) + ", repeated " +
              std::to_string(status.samples_repeated);
    }
    text += "\n";
  }
  return text;
}

Result<> RunStatus(const StatusFlags& flags, const Console& console) {
  const JobStatus status =
      SM_TRY(flags.http.empty() ? AskNewest(flags.runs) : AskCoordinator(flags.http));
  console.out << (flags.json ? ToJson(status) + "\n" : DescribeStatus(status)) << std::flush;
  return {};
}

}  // namespace shardmill
