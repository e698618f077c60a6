// Gloo's all-reduce of 25.5 million floats between two processes: prints the median milliseconds of
// one. Arguments: the folder where they meet, and this one's rank.
#include <gloo/allreduce.h>
#include <gloo/barrier.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "bench/statistics.h"
#include "bench/stopwatch.h"

int main(int argc, char** argv) {
  constexpr size_t kFloats = 25'500'000;
  constexpr int kWarmUps = 1;
  constexpr int kRuns = 5;
  if (argc != 3) return 2;
  const int rank = std::atoi(argv[2]);
  gloo::transport::tcp::attr where;
  where.hostname = "127.0.0.1";
  auto device = gloo::transport::tcp::CreateDevice(where);
  auto context = std::make_shared<gloo::rendezvous::Context>(rank, 2);
  gloo::rendezvous::FileStore store(argv[1]);
  context->connectFullMesh(store, device);
  std::vector<float> gradient(kFloats, 1.0F);
  std::vector<float> sum(kFloats);
  std::vector<double> times;
  for (int i = 0; i < kWarmUps + kRuns; ++i) {
    gloo::BarrierOptions barrier(context);
    gloo::barrier(barrier);
    const shardmill::bench::Stopwatch watch;
    gloo::AllreduceOptions options(context);
    options.setInput(gradient.data(), kFloats);
    options.setOutput(sum.data(), kFloats);
    options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
    using Reduce = void (*)(void*, const void*, const void*, size_t);
    options.setReduceFunction(static_cast<Reduce>(&gloo::sum<float>));
    gloo::allreduce(options);
    if (i >= kWarmUps) times.push_back(1e3 * watch.Seconds());
  }
  if (rank == 0) std::printf("milliseconds %f\n", shardmill::bench::Median(times));
  return sum.front() == 2.0F ? 0 : 1;
}
