// A model of ResNet-50's size between two workers that train in step, against all-reduce.
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/benchmarks.h"
#include "bench/cluster.h"
#include "bench/lockstep.h"
#include "bench/stopwatch.h"
#include "common/process/nobody.h"

namespace shardmill::bench {
namespace {

namespace fs = std::filesystem;

// The program that makes the baseline's all-reduce, and with what.
enum class Reducer : uint8_t { kMpiShared, kMpiTcp, kGloo };

constexpr int kSteps = 3;
constexpr const char* kMpirun = "/usr/bin/mpirun";

class ReduceSides final : public Sides {
 public:
  ReduceSides(const Programs& programs, Reducer reducer) : programs_(programs), reducer_(reducer) {}

  // `apart`: each worker shares its host with one of the servers, as far as can be told.
  static Result<Prepared> Prepare(const Programs& programs, Reducer reducer, bool apart) {
    const std::string missing = Missing(programs, reducer, apart);
    if (!missing.empty()) return Prepared{nullptr, missing};
    auto sides = std::make_unique<ReduceSides>(programs, reducer);
    sides->cluster_ = SM_TRY(Cluster::Start(
        programs,
        {.policy = "sync", .servers = 2, .workers = 2, .shared_memory = true, .apart = apart}));
    ChildOptions other;
    other.name = "worker-1";
    other.argv = {programs.peer, "worker", sides->cluster_->job(), sides->cluster_->address(), "1"};
    if (apart) other.argv = AsNobody(std::move(other.argv));
    other.log_path = programs.scratch + "/worker-1.log";
    sides->other_ = SM_TRY(Child::Spawn(other));
    const SessionOptions options = SM_TRY(sides->cluster_->WorkerOptions(0));
    sides->worker_ = SM_TRY(LockstepWorker::Join(options));
    return Prepared{std::move(sides), ""};
  }

  Result<double> Product() override {
    // The other worker has used the time of the baseline to get ahead, as far as it may.
    SM_TRY(worker_->Step());
    const Stopwatch watch;
    for (int i = 0; i < kSteps; ++i) SM_TRY(worker_->Step());
    return watch.Seconds() * 1e3 / kSteps;
  }
  // It is started anew each time: a rank of MPI that waits takes a whole processor.
  Result<double> Baseline() override {
    if (reducer_ != Reducer::kGloo) return Mpi();
    const fs::path meet = fs::path(programs_.scratch) / ("gloo-" + std::to_string(runs_++));
    fs::create_directories(meet);
    ChildOptions other;
    other.name = "gloo-1";
    other.argv = {programs_.gloo, meet.string(), "1"};
    other.log_path = programs_.scratch + "/gloo-1.log";
    const std::unique_ptr<Child> child = SM_TRY(Child::Spawn(other));
    return RunForNumber(programs_.scratch, "gloo-0", {programs_.gloo, meet.string(), "0"},
                        "milliseconds");
  }

 private:
  static std::string Missing(const Programs& programs, Reducer reducer, bool apart) {
    if (apart && geteuid() != 0) return "needs root: one of two hosts is played by another user";
    if (reducer == Reducer::kGloo) {
      if (!programs.gloo.empty()) return "";
      return "Gloo's side is not built: apt-get install libgloo-dev && bazel build "
             "//bench:gloo_all_reduce";
    }
    if (!programs.mpi.empty() && access(kMpirun, X_OK) == 0) return "";
    return "OpenMPI's side is not built: apt-get install libopenmpi-dev openmpi-bin && bazel build "
           "//bench:mpi_all_reduce";
  }

  Result<double> Mpi() {
    const std::string transport = reducer_ == Reducer::kMpiTcp ? "tcp,self" : "vader,self";
    return RunForNumber(programs_.scratch, "mpirun",
                        {kMpirun, "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
                         "-np", "2", "--mca", "pml", "ob1", "--mca", "btl", transport, "--mca",
                         "btl_tcp_if_include", "lo", programs_.mpi},
                        "milliseconds");
  }

  Programs programs_;
  Reducer reducer_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Child> other_;
  std::unique_ptr<LockstepWorker> worker_;
  int runs_ = 0;
};

Benchmark Reduce(const std::string& name, Reducer reducer, bool apart, double target,
                 const std::string& baseline) {
  return {name,
          "ms",
          "a step of 25.5 million floats (ResNet-50), 2 workers in step, 2 shards, " +
              std::string(apart ? "one beside each worker, TCP loopback between the pairs"
                                : "shared memory") +
              "; baseline: all-reduce of as much between two processes by " + baseline,
          Judge::kTimesFaster,
          target,
          [reducer, apart](const Programs& programs) {
            return ReduceSides::Prepare(programs, reducer, apart);
          },
          20};
}

}  // namespace

std::vector<Benchmark> ReduceBenchmarks() {
  return {Reduce("reduce.shared", Reducer::kMpiShared, false, 1.7, "OpenMPI over shared memory"),
          Reduce("reduce.tcp.openmpi", Reducer::kMpiTcp, true, 1, "OpenMPI over TCP"),
          Reduce("reduce.tcp.gloo", Reducer::kGloo, true, 1, "Gloo over TCP")};
}

}  // namespace shardmill::bench
