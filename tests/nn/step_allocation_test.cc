// Steps of a network that has every family of layers allocate nothing once they have met their
// largest batch: every operator new of this thread is counted, but for those inside oneDNN, which
// takes a little for each of its calls.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/nn/network_fixture.h"

namespace {

thread_local uint64_t allocations = 0;

bool IsOneDnn(void* caller) {
  Dl_info info{};
  return dladdr(caller, &info) != 0 && std::strstr(info.dli_fname, "libdnnl") != nullptr;
}

void* Counted(size_t size, size_t alignment, void* caller) {
  if (!IsOneDnn(caller)) ++allocations;
  void* memory = alignment == 0 ? std::malloc(size) : std::aligned_alloc(alignment, size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

size_t RoundedUp(size_t size, std::align_val_t to) {
  const auto alignment = static_cast<size_t>(to);
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

void* operator new(size_t size) { return Counted(size, 0, __builtin_return_address(0)); }
void* operator new(size_t size, std::align_val_t to) {
  return Counted(RoundedUp(size, to), static_cast<size_t>(to), __builtin_return_address(0));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace shardmill::nn {
namespace {

class StepAllocationTest : public testing::TestWithParam<Recompute> {};

TEST_P(StepAllocationTest, AllocatesNothingOnceTheLargestBatchHasBeenSeen) {
  NetworkSpec spec = ManyLayersSpec();
  spec.recompute = GetParam();
  NetworkFixture f(spec);
  constexpr uint64_t kRows = 12;
  f.MakeBatch(kRows);
  for (int step = 0; step < 2; ++step) {
    for (const uint64_t rows : {kRows, kRows - 5}) {
      ASSERT_TRUE(f.Train(rows).ok());
      ASSERT_TRUE(f.Evaluate(rows).ok());
    }
  }
  const uint64_t before = allocations;
  double loss = 0;
  for (int step = 0; step < 3; ++step) {
    for (const uint64_t rows : {kRows, kRows - 5}) {
      loss += f.Train(rows).value() + f.Evaluate(rows).value().loss;
    }
  }
  EXPECT_EQ(allocations, before);
  EXPECT_GT(loss, 0);
  EXPECT_EQ(f.network().memory().again.empty(), GetParam() == Recompute::kNever);
}

INSTANTIATE_TEST_SUITE_P(KeptAndMadeAgain, StepAllocationTest,
                         testing::Values(Recompute::kNever, Recompute::kAlways));

}  // namespace
}  // namespace shardmill::nn
