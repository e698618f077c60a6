// The keys of [replication]: how many copies of the tables there are, and what waits for them.
#include <array>

#include "common/job/job.h"
#include "common/job/paths.h"

namespace shardmill {
namespace {

using config::Named;
using config::Section;

constexpr std::array<Named<AckLevel>, 4> kAckLevels = {{
    {AckLevel::kAuto, "auto"},
    {AckLevel::kMemory, "memory"},
    {AckLevel::kReplica, "replica"},
    {AckLevel::kDisk, "disk"},
}};

}  // namespace

void ReplicationOptions::Declare(Section& section) {
  section.Number("replicas", &replicas, {.at_most = 8},
                 "Copies of each shard beside its primary, each on another server: where a server "
                 "is lost, one of them goes on with nothing lost that was answered. Each takes as "
                 "much memory as the primary.");
  section.Choice(
      "ack", &ack, kAckLevels,
      "Where a step is before its worker is told that it is made: in the memory of its "
      "shards' primaries, in their replicas, too, or in their logs. The other keys say which "
      "of these there is; a job that wants one by name is refused where they say another.");
  section.Text("log", &log, {.form = kPathForm, .accepts = IsPathOrNone},
               "Folder on a disk of each server's own, where it writes down what its shards do "
               "before anybody is told: when everything has been killed, or the power was gone, "
               "the job goes on with nothing lost that was answered. Wants cluster.state, on a "
               "disk that lasts as well. Empty: no logs.");
  section.Number("min_in_sync", &min_in_sync, {.at_most = 8},
                 "So many replicas of a shard must have what an answer shows; with fewer in sync "
                 "answers wait, and the job says why. 0: with none in sync the primary answers "
                 "alone, and what it answers then is lost where it is lost.");
  section.OnlyWith("min_in_sync", "replicas", "1 or more", [this] { return replicas > 0; });
  section.Require({"log", "ack"}, [this]() -> std::string {
    if (ack == AckLevel::kDisk && !logs()) {
      return "\"replication.ack\" is \"disk\", and there are no logs; say with replication.log "
             "where they are to be";
    }
    if (!logs() || ack == AckLevel::kDisk || ack == AckLevel::kAuto) return "";
    return "\"replication.log\" is given, and \"replication.ack\" does not wait for it; leave one "
           "of them out";
  });
  section.Require({"replicas", "ack"}, [this]() -> std::string {
    if (ack == AckLevel::kMemory && replicas > 0) {
      return "\"replication.ack\" is \"memory\" and \"replication.replicas\" " +
             std::to_string(replicas) +
             "; replicas for which nobody waits would lose what was answered; leave one of them "
             "out";
    }
    if (ack != AckLevel::kReplica || replicas > 0) return "";
    return "\"replication.ack\" is \"replica\", and there are none; say with replication.replicas "
           "how many";
  });
  section.Require({"replicas", "min_in_sync"}, [this]() -> std::string {
    if (replicas == 0 || min_in_sync <= replicas) return "";
    return "\"replication.min_in_sync\" is " + std::to_string(min_in_sync) + ", and a shard has " +
           std::to_string(replicas) + " replicas (replication.replicas)";
  });
}

}  // namespace shardmill
