#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/cluster.h"
#include "bench/statistics.h"
#include "bench/stopwatch.h"
#include "client/session.h"

namespace shardmill::bench {

// What a step reads and pushes to: so many tables, whole.
struct StepSize {
  int tables = 0;
  uint64_t floats = 0;  // Of each.
  double GigabytesBothWays() const {
    return 2 * tables * static_cast<double>(floats * sizeof(float)) / 1e9;
  }
};
inline constexpr StepSize kLargeStep{40, uint64_t{1} << 20};
inline constexpr StepSize kSmallStep{1, 16};

// The median of 300 calls, in microseconds.
template <class Run>
Result<double> MedianMicrosecondsOf(Run run) {
  std::vector<double> times(300);
  for (double& time : times) {
    const Stopwatch watch;
    SM_TRY(run());
    time = watch.Seconds() * 1e6;
  }
  return Median(times);
}

// Dense tables that sum what is pushed, one worker, a cluster of its own. Owned by a benchmark, on
// one thread.
class DenseRunner final {
 public:
  // In place: what is read is used where it came in.
  static Result<std::unique_ptr<DenseRunner>> Start(const Programs& programs,
                                                    const ClusterOptions& cluster,
                                                    const StepSize& size, bool in_place = false);

  // One step: all tables are read into the caller's memory and pushed to, and it is acknowledged.
  // What was read was asked for with the end of the step before: it holds all that was pushed.
  Result<> Step();

  // Of one step, in GB/s, both ways.
  Result<double> GigabytesPerSecond();
  Result<double> MedianMicroseconds();

 private:
  Result<> AskForAll(TrainingStep& step, const PullOptions& options);

  StepSize size_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Session> session_;
  std::vector<DenseTable> tables_;
  std::vector<std::vector<float>> into_;
  bool in_place_ = false;
  std::optional<Memory> gradient_;  // Goes to the shard without a copy.
  std::vector<Ticket> tickets_;
};

}  // namespace shardmill::bench
