// shardmill-bench-peer: the other process of a benchmark.
//   echo --announce-fd N         a bare ZeroMQ ROUTER that sends back what comes
//   worker JOB COORDINATOR RANK  a worker that trains in step with others until it is killed
//   net NET ROWS SECONDS         trains a net by itself, on one thread
//   hot-paths                    runs each hot path a fixed number of times, for callgrind
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "bench/cluster.h"
#include "bench/hot_paths.h"
#include "bench/lockstep.h"
#include "bench/net_runner.h"
#include "bench/zmq_echo.h"
#include "common/process/large_blocks.h"

namespace shardmill::bench {
namespace {

Result<> TrainForever(const SessionOptions& options) {
  const std::unique_ptr<LockstepWorker> worker = SM_TRY(LockstepWorker::Join(options));
  while (true) SM_TRY(worker->Step());
}

Result<> TrainAlone(const std::string& net, uint64_t rows, double seconds) {
  const std::unique_ptr<NetRunner> runner = SM_TRY(NetRunner::Make(net, rows));
  const double rate = SM_TRY(runner->Run(seconds, NetRunner::Time::kWall));
  std::cout << "samples_per_second " << rate << std::endl;
  return {};
}

Result<> Run(const std::vector<std::string>& arguments) {
  const std::string mode = arguments.empty() ? "" : arguments[0];
  if (mode == "echo" && arguments.size() == 3) return ServeZmqEcho(std::atoi(arguments[2].c_str()));
  if (mode == "worker" && arguments.size() == 4) {
    const auto rank = static_cast<uint32_t>(std::atoi(arguments[3].c_str()));
    return TrainForever(SM_TRY(WorkerOptionsOf(arguments[1], arguments[2], rank)));
  }
  if (mode == "net" && arguments.size() == 4) {
    return TrainAlone(arguments[1], std::strtoull(arguments[2].c_str(), nullptr, 10),
                      std::strtod(arguments[3].c_str(), nullptr));
  }
  if (mode == "hot-paths" && arguments.size() == 1) {
    RunHotPaths();
    return {};
  }
  return Error{ErrorCode::kBadUsage, "this program is started by `shardmill bench`"};
}

}  // namespace
}  // namespace shardmill::bench

int main(int argc, char** argv) {
  shardmill::KeepLargeBlocks();  // As the worker does.
  const shardmill::Result<> ran =
      shardmill::bench::Run(std::vector<std::string>(argv + 1, argv + argc));
  if (ran.ok()) return 0;
  std::cerr << "shardmill-bench-peer: " << ran.error().message << "\n";
  return ran.error().code == shardmill::ErrorCode::kBadUsage ? 2 : 1;
}
