// That the card of software shows what it is there to show: each test is a program with a mistake,
// beside the same one without.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/nn/soft_card/settings.h"

extern "C" const shardmill::soft::Control* shardmill_soft_card();

namespace shardmill::soft {
namespace {

constexpr unsigned kThreads = 256;
constexpr uint64_t kSeeds = 20;

// Memory of the card, one of the host, and two streams.
class SoftCardTest : public testing::Test {
 protected:
  void SetUp() override { Begin(1); }
  void TearDown() override { End(); }

  void Begin(uint64_t seed) {
    shardmill_soft_card()->reset({.seed = seed, .memory_bytes = 1 << 20});
    cudaMalloc(&there_, kThreads * sizeof(float));
    cudaMallocHost(&here_, kThreads * sizeof(float));
    cudaStreamCreateWithFlags(&one_, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&other_, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event_, cudaEventDisableTiming);
  }

  void End() {
    cudaFree(there_);
    cudaFreeHost(here_);
    cudaStreamDestroy(one_);
    cudaStreamDestroy(other_);
    cudaEventDestroy(event_);
    EXPECT_EQ(shardmill_soft_card()->held(), 0U);
  }

  template <class... Parameters, class... Arguments>
  static cudaError_t Launch(cudaStream_t stream, unsigned blocks, unsigned threads,
                            void (*kernel)(Parameters...), Arguments... arguments) {
    const cudaLaunchConfig_t how{
        .gridDim = blocks, .blockDim = threads, .dynamicSmemBytes = 0, .stream = stream};
    return cudaLaunchKernelEx(&how, kernel, arguments...);
  }

  void CopyOut(cudaStream_t stream) {
    cudaMemcpyAsync(here_, there_, kThreads * sizeof(float), cudaMemcpyDeviceToHost, stream);
  }

  // The first number, in each of many orders of a run.
  template <class Run>
  std::set<std::string> Ends(Run run) {
    std::set<std::string> ends;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      End();
      Begin(seed);
      run();
      cudaDeviceSynchronize();
      ends.insert(std::isnan(here_[0]) ? "nan" : std::to_string(std::lround(here_[0])));
    }
    return ends;
  }

  float* there_ = nullptr;
  float* here_ = nullptr;
  cudaStream_t one_ = nullptr;
  cudaStream_t other_ = nullptr;
  cudaEvent_t event_ = nullptr;
};

__global__ void Set(float* numbers, float value) { numbers[threadIdx.x] = value; }

TEST_F(SoftCardTest, DoesNothingBeforeSomebodyWaits) {
  here_[0] = 0;
  Launch(one_, 1, kThreads, Set, there_, 3.0F);
  CopyOut(one_);
  EXPECT_EQ(here_[0], 0);
  cudaEventRecord(event_, one_);
  EXPECT_EQ(cudaEventQuery(event_), cudaErrorNotReady);
  EXPECT_EQ(here_[0], 0);
  EXPECT_EQ(cudaEventSynchronize(event_), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(event_), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  EXPECT_EQ(here_[0], 3);
}

TEST_F(SoftCardTest, ShowsThatAStreamDoesNotWait) {
  const auto without = [this] {
    Launch(one_, 1, kThreads, Set, there_, 3.0F);
    CopyOut(other_);
  };
  const auto with = [this] {
    Launch(one_, 1, kThreads, Set, there_, 3.0F);
    cudaEventRecord(event_, one_);
    cudaStreamWaitEvent(other_, event_, 0);
    CopyOut(other_);
  };
  EXPECT_EQ(Ends(without), (std::set<std::string>{"3", "nan"}));
  EXPECT_EQ(Ends(with), std::set<std::string>{"3"});
}

TEST_F(SoftCardTest, ShowsThatTheHostWritesTooEarly) {
  const auto early = [this](bool waits) {
    const auto fill = [this](float value) { std::fill_n(here_, kThreads, value); };
    fill(3);
    cudaMemcpyAsync(there_, here_, kThreads * sizeof(float), cudaMemcpyHostToDevice, one_);
    cudaEventRecord(event_, one_);
    if (waits) cudaEventSynchronize(event_);
    fill(4);
    CopyOut(one_);
  };
  EXPECT_EQ(Ends([&] { early(false); }), std::set<std::string>{"4"});
  EXPECT_EQ(Ends([&] { early(true); }), std::set<std::string>{"3"});
}

template <bool kSynchronizes>
__global__ void Turn(float* numbers) {
  __shared__ float shared[kThreads];
  shared[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (kSynchronizes) __syncthreads();
  numbers[threadIdx.x] = shared[kThreads - 1 - threadIdx.x];
}

TEST_F(SoftCardTest, ShowsThatThreadsDoNotWaitForEachOther) {
  const auto run = [this](void (*kernel)(float*)) {
    return [this, kernel] {
      Launch(one_, 3, kThreads, kernel, there_);
      CopyOut(one_);
    };
  };
  EXPECT_EQ(Ends(run(&Turn<false>)), (std::set<std::string>{"255", "nan"}));
  EXPECT_EQ(Ends(run(&Turn<true>)), std::set<std::string>{"255"});
}

// The sum of all, twice: the second one must not write before all have read the first.
template <bool kSynchronizes>
__global__ void SumTwice(float* numbers) {
  __shared__ float parts[kThreads / 32];
  float sum = 1;
  for (int round = 0; round < 2; ++round) {
    for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(~0U, sum, apart);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (const float part : parts) sum += part;
    if (kSynchronizes) __syncthreads();
  }
  if (threadIdx.x == 0) numbers[0] = sum;
}

TEST_F(SoftCardTest, ShowsThatAWarpRunsAheadOfWhatItShares) {
  const auto run = [this](void (*kernel)(float*)) {
    return [this, kernel] {
      Launch(one_, 1, kThreads, kernel, there_);
      CopyOut(one_);
    };
  };
  EXPECT_GT(Ends(run(&SumTwice<false>)).size(), 1U);
  EXPECT_EQ(Ends(run(&SumTwice<true>)), std::set<std::string>{"65536"});
}

__global__ void WaitInPart() {
  if (threadIdx.x < 40) __syncthreads();
}

TEST_F(SoftCardTest, EndsWhereThreadsWaitInVain) {
  EXPECT_DEATH(
      {
        Launch(one_, 1, kThreads, WaitInPart);
        cudaDeviceSynchronize();
      },
      "threads of a block wait for others that never come");
}

__global__ void Read(const float* from, float* to) { to[threadIdx.x] = from[threadIdx.x]; }

TEST_F(SoftCardTest, EndsWhereAKernelIsLentMemoryOfTheHost) {
  const std::vector<float> numbers(kThreads);
  EXPECT_DEATH(Launch(one_, 1, kThreads, Read, numbers.data(), there_),
               "a kernel is lent memory of the host");
  EXPECT_DEATH(Launch(one_, 1, kThreads, Read, here_, there_),
               "a kernel is lent memory of the host");
}

TEST_F(SoftCardTest, EndsWhereTheHostReadsTheCardsMemory) {
  EXPECT_DEATH(std::printf("%f", static_cast<double>(there_[0])), "");
}

TEST_F(SoftCardTest, EndsWhereAKernelReadsBeyondABlock) {
  EXPECT_DEATH(
      {
        Launch(one_, 1, kThreads, Read, there_ + 1, there_);
        cudaDeviceSynchronize();
      },
      "");
}

TEST_F(SoftCardTest, EndsWhereACopyOutlivesTheHostsMemory) {
  EXPECT_DEATH(
      {
        CopyOut(one_);
        cudaFreeHost(here_);
        cudaDeviceSynchronize();
      },
      "memory of the host that was given back");
}

TEST_F(SoftCardTest, EndsWhereAKernelOutlivesItsMemory) {
  EXPECT_DEATH(
      {
        Launch(one_, 1, kThreads, Set, there_, 3.0F);
        cudaFree(there_);
        cudaDeviceSynchronize();
      },
      "");
}

__global__ void Double(float* numbers) { numbers[threadIdx.x] *= 2; }

TEST_F(SoftCardTest, DoesWhatItHasRecordedWheneverItIsBegun) {
  Launch(one_, 1, kThreads, Set, there_, 3.0F);
  EXPECT_EQ(cudaStreamBeginCapture(one_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  Launch(one_, 1, kThreads, Double, there_);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t made = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(one_, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphInstantiate(&made, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (const float want : {3.0F, 6.0F, 12.0F}) {
    CopyOut(one_);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(here_[0], want);
    EXPECT_EQ(cudaGraphLaunch(made, one_), cudaSuccess);
  }
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(made), cudaSuccess);
}

TEST_F(SoftCardTest, SpoilsWhatIsRecordedByWhatIsNotAllowedMeanwhile) {
  cudaEventRecord(event_, other_);
  float* more = nullptr;
  const std::vector<std::pair<std::function<cudaError_t()>, cudaError_t>> calls = {
      {[&] { return cudaMalloc(&more, 4); }, cudaErrorStreamCaptureUnsupported},
      {[&] { return cudaFree(there_); }, cudaErrorStreamCaptureUnsupported},
      {[&] { return cudaMallocHost(&more, 4); }, cudaErrorStreamCaptureUnsupported},
      {[&] { return cudaFreeHost(here_); }, cudaErrorStreamCaptureUnsupported},
      {[] { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported},
      {[this] { return cudaEventSynchronize(event_); }, cudaErrorStreamCaptureUnsupported},
      {[this] { return cudaStreamWaitEvent(one_, event_, 0); }, cudaErrorStreamCaptureIsolation},
  };
  cudaGraph_t graph = nullptr;
  for (const auto& [call, want] : calls) {
    cudaStreamBeginCapture(one_, cudaStreamCaptureModeThreadLocal);
    EXPECT_EQ(call(), want);
    EXPECT_EQ(Launch(one_, 1, kThreads, Set, there_, 3.0F), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaStreamEndCapture(one_, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
  }
  EXPECT_EQ(Launch(one_, 1, kThreads, Set, there_, 3.0F), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(SoftCardTest, RefusesToWaitForWhatIsOnlyRecorded) {
  cudaStreamBeginCapture(one_, cudaStreamCaptureModeThreadLocal);
  EXPECT_EQ(cudaEventRecord(event_, one_), cudaSuccess);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(one_, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(event_), cudaErrorCapturedEvent);
  EXPECT_DEATH(cudaStreamWaitEvent(other_, event_, 0), "waits for one that is recorded");
  EXPECT_EQ(cudaEventRecord(event_, one_), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(event_), cudaSuccess);
}

TEST_F(SoftCardTest, RefusesWhatACardRefuses) {
  const std::vector<float> numbers(kThreads);
  EXPECT_EQ(Launch(one_, 1, 1025, Set, there_, 3.0F), cudaErrorInvalidConfiguration);
  EXPECT_EQ(Launch(one_, 0, kThreads, Set, there_, 3.0F), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaMemcpyAsync(here_, numbers.data(), 4, cudaMemcpyHostToDevice, one_),
            cudaErrorInvalidValue);
  float* more = nullptr;
  EXPECT_EQ(cudaMalloc(&more, 1 << 20), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

}  // namespace
}  // namespace shardmill::soft
