#include "nn/ops/cpu/backend.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/sanitized.h"

namespace shardmill::nn {
namespace {

TEST(CpuBackendTest, LendsMemoryAtCacheLinesAndSaysWhereThereIsNone) {
  CpuBackend backend;
  EXPECT_STREQ(backend.name(), "cpu");
  float* const memory = backend.Allocate(5);
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0U);
  backend.Release(memory);
  EXPECT_EQ(backend.Allocate(UINT64_MAX), nullptr);
  // A sanitizer ends the program where the system would say no.
  if (!kSanitized) {
    EXPECT_EQ(backend.Allocate(uint64_t{1} << 59), nullptr);
  }
}

TEST(CpuBackendTest, CopiesToItsMemoryAndBackInOrder) {
  CpuBackend backend;
  const std::vector<float> numbers{1, 2, 3};
  std::vector<float> there(3), back(3);
  backend.CopyIn(numbers, {there, {3}});
  const Event copied = backend.Record(Stream::kCopyIn);
  backend.Wait(Stream::kCopyOut, copied);
  backend.CopyOut({there, {3}}, back);
  EXPECT_TRUE(backend.Synchronize(backend.Record(Stream::kCopyOut)));
  EXPECT_EQ(back, numbers);
}

TEST(CpuBackendTest, CopiesAPartOfTheColumns) {
  CpuBackend backend;
  const std::vector<float> from{1, 2, 3, 4, 5, 6};
  std::vector<float> to(8, 9.0F);
  backend.Copy(ConstMatrix(ConstTensor(from, {2, 3})).Columns(1, 2),
               Matrix(Tensor(to, {2, 4})).Columns(1, 2));
  EXPECT_EQ(to, (std::vector<float>{9, 2, 3, 9, 9, 5, 6, 9}));
}

TEST(CpuBackendTest, ConvolvesTheSameBitsWhateverItDidBefore) {
  CpuBackend backend;
  const Convolution how{.window = {.height = 3, .width = 3, .padding = 1}};
  const auto run = [&](uint64_t rows) {
    const std::vector<float> input(rows * 25 * 8, 0.3F), weight(9 * 8 * 16, 0.1F), bias(16, 1.0F);
    std::vector<float> output(rows * 25 * 16);
    backend.Convolve(how, {input, {rows, 5, 5, 8}}, {weight, {3, 3, 8, 16}}, {bias, {16}},
                     {Activation::kRelu}, {output, {rows, 5, 5, 16}});
    return output;
  };
  const std::vector<float> first = run(2);
  EXPECT_NEAR(first[0], 1 + 4 * 8 * 0.03, 1e-5);
  EXPECT_EQ(run(7).size(), 7U * 400);
  EXPECT_EQ(run(2), first);
}

}  // namespace
}  // namespace shardmill::nn
