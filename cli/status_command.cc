#include "cli/status_command.h"

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "cli/job_finder.h"
#include "cli/table.h"
#include "cli/train_result.h"
#include "common/config/text.h"

namespace shardmill {
namespace {

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

std::string WaitingWords(const JobStatus::Shard& shard) {
  if (!shard.waits()) return "-";
  return "rank " + std::to_string(shard.waiting_for) + " (" + std::to_string(shard.parked_pulls) +
         " wait)";
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

std::string ShareWords(double share) { return std::to_string(std::lround(share * 100)) + " %"; }

std::string WorkerTable(const JobStatus& status) {
  std::vector<TableRow> rows = {
      {"rank", "state", "epoch", "step", "samples/s", "awaited", "staleness", "metrics"}};
  for (const JobStatus::Worker& worker : status.workers) {
    rows.push_back({std::to_string(worker.rank), StateWords(worker), std::to_string(worker.epoch),
                    FormatCount(static_cast<double>(worker.step)),
                    worker.seconds > 0 ? FormatCount(worker.samples / worker.seconds) : "-",
                    ShareWords(worker.awaited_share), std::to_string(worker.staleness_max),
                    MetricsWords(worker)});
  }
  return AlignTable(rows);
}

std::string ShardTable(const JobStatus& status) {
  std::vector<TableRow> rows = {{"shard", "closed", "version", "units", "held", "staleness",
                                 "waiting for", "server", "endpoint"}};
  const bool copies = std::ranges::any_of(status.shards, &JobStatus::Shard::replicas);
  if (copies) rows.front().insert(rows.front().begin() + 1, "in sync");
  for (const JobStatus::Shard& shard : status.shards) {
    rows.push_back({std::to_string(shard.id), FormatCount(static_cast<double>(shard.closed)),
                    FormatCount(static_cast<double>(shard.version)),
                    FormatCount(static_cast<double>(shard.units)),
                    config::FormatSize(shard.held_bytes), std::to_string(shard.staleness_max),
                    WaitingWords(shard),
                    std::to_string(shard.host) + (shard.moving ? " (moves)" : ""),
                    shard.endpoint.empty() ? "not there yet" : shard.endpoint});
    if (!copies) continue;
    rows.back().insert(rows.back().begin() + 1,
                       std::to_string(shard.in_sync) + " of " + std::to_string(shard.replicas));
  }
  return AlignTable(rows);
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
  if (const JobStatus::Worker* slow = SlowWorker(status)) {
    text += "rank " + std::to_string(slow->rank) + " is slow: shards wait for it " +
            ShareWords(slow->awaited_share) + " of the time\n";
  }
  text += "\n" + WorkerTable(status) + "\n" + ShardTable(status);
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
  const JobStatus status = SM_TRY(FindJob(flags.where, console)).status;
  console.out << (flags.json ? ToJson(status) + "\n" : DescribeStatus(status)) << std::flush;
  return {};
}

}  // namespace shardmill
