// OpenMPI's all-reduce of 25.5 million floats: prints the median milliseconds of one.
#include <mpi.h>

#include <cstdio>
#include <vector>

#include "bench/statistics.h"

int main(int argc, char** argv) {
  constexpr int kFloats = 25'500'000;
  constexpr int kWarmUps = 1;
  constexpr int kRuns = 5;
  MPI_Init(&argc, &argv);
  std::vector<float> gradient(kFloats, 1.0F);
  std::vector<float> sum(kFloats);
  std::vector<double> times;
  for (int i = 0; i < kWarmUps + kRuns; ++i) {
    MPI_Barrier(MPI_COMM_WORLD);
    const double begin = MPI_Wtime();
    MPI_Allreduce(gradient.data(), sum.data(), kFloats, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    if (i >= kWarmUps) times.push_back(1e3 * (MPI_Wtime() - begin));
  }
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) std::printf("milliseconds %f\n", shardmill::bench::Median(times));
  MPI_Finalize();
  return sum.front() == 2.0F ? 0 : 1;
}
