#include "common/process/cpu.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace shardmill {
namespace {

constexpr unsigned kAll = kCpuAvx | kCpuAvx2 | kCpuFma | kCpuBmi1 | kCpuBmi2;

TEST(CpuTest, NamesTheFirstExtensionThatIsMissing) {
  EXPECT_EQ(MissingCpuFeature(kAll, kAll), nullptr);
  EXPECT_EQ(MissingCpuFeature(0, 0), nullptr);
  EXPECT_STREQ(MissingCpuFeature(kAll, kCpuAvx), "AVX2");
  EXPECT_STREQ(MissingCpuFeature(kAll, kAll & ~kCpuBmi2), "BMI2");
  EXPECT_EQ(MissingCpuFeature(kCpuAvx, kAll), nullptr);
}

TEST(CpuTest, SaysWhatIsMissingAndHowToMendIt) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_FALSE(CheckCpu(kAll, kAll & ~kCpuFma, ends[1]));
  char words[200] = {};
  ASSERT_GT(read(ends[0], words, sizeof words - 1), 0);
  EXPECT_EQ(std::string(words),
            "this build needs a processor with FMA, and this machine's has none; build with "
            "--config=portable\n");
  close(ends[0]);
  close(ends[1]);
}

TEST(CpuTest, PassesOnTheProcessorThatRunsThis) {
  EXPECT_TRUE(CheckCpu(kCpuFeaturesNeeded, CpuFeaturesPresent(), STDERR_FILENO));
#ifdef __AVX2__
  EXPECT_NE(kCpuFeaturesNeeded & kCpuAvx2, 0U);
#else
  EXPECT_EQ(kCpuFeaturesNeeded & kCpuAvx2, 0U);
#endif
}

}  // namespace
}  // namespace shardmill
