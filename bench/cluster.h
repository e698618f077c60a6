#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/benchmark.h"
#include "client/session.h"
#include "common/process/child.h"
#include "common/result.h"

namespace shardmill::bench {

struct ClusterOptions {
  std::string policy = "async";
  uint32_t servers = 1;
  uint32_t workers = 1;
  bool shared_memory = false;  // False: everything goes over TCP.
  bool keys = false;           // All connections are encrypted, and all processes have a key.
  bool spins = false;          // Both ends look for messages for a while before they sleep.
  std::string snapshots = {};  // A folder where one follows the other; empty: there are none.
  uint32_t replicas = 0;       // Of each shard, all of which must have what is acknowledged.
  bool logs = false;           // Each shard keeps one, and nothing is acknowledged before it.
  bool apart = false;          // All servers but the first as on another host; see AsNobody.
};

// A coordinator and servers as real processes on this machine, one shard each, for workers that the
// benchmark plays. Owned by a benchmark, on the thread that started it; its processes are killed
// when it goes.
class Cluster final {
 public:
  static Result<std::unique_ptr<Cluster>> Start(const Programs& programs,
                                                const ClusterOptions& options);

  Result<SessionOptions> WorkerOptions(uint32_t rank) const;
  const std::string& job() const { return job_; }  // The job file.
  // The coordinator's, HOST:PORT.
  const std::string& address() const { return address_; }

 private:
  explicit Cluster(const ClusterOptions& options) : options_(options) {}
  Result<> WriteJob();
  Result<std::string> Spawn(const std::string& name, std::vector<std::string> argv);

  ClusterOptions options_;
  std::string folder_;  // Its own.
  std::string job_;
  std::string address_;
  std::vector<std::unique_ptr<Child>> children_;
};

// How a worker reaches the coordinator of a job. The environment's settings count, as they do for
// the other processes.
Result<SessionOptions> WorkerOptionsOf(const std::string& job, const std::string& address,
                                       uint32_t rank);

// Starts a program that announces where it listens, and waits until it does; gives the address.
Result<std::string> SpawnAnnounced(const std::string& scratch, const std::string& name,
                                   const std::vector<std::string>& argv,
                                   std::unique_ptr<Child>* child);

// Runs a program to its end. Gives what it wrote.
Result<std::string> RunForOutput(const std::string& scratch, const std::string& name,
                                 const std::vector<std::string>& argv);
// The word, or the number, after `key` in that.
Result<std::string> RunForWord(const std::string& scratch, const std::string& name,
                               const std::vector<std::string>& argv, const std::string& key);
Result<double> RunForNumber(const std::string& scratch, const std::string& name,
                            const std::vector<std::string>& argv, const std::string& key);

}  // namespace shardmill::bench
