#include "common/process/cpu_set.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace shardmill {
namespace {

using Cpus = std::vector<uint32_t>;

TEST(CpuSetTest, ReadsNumbersAndRanges) {
  EXPECT_EQ(ParseCpus(""), Cpus());
  EXPECT_EQ(ParseCpus("3"), Cpus({3}));
  EXPECT_EQ(ParseCpus("0-2,7,1-1"), Cpus({0, 1, 2, 7}));
}

TEST(CpuSetTest, RefusesWhatIsNoList) {
  for (const char* text : {"a", "1,", ",1", "1-", "-1", "3-1", "1 2", "0-1024", "99999999999"}) {
    EXPECT_FALSE(ParseCpus(text).has_value()) << text;
  }
}

TEST(CpuSetTest, NamesAProcessorThatThereIsNot) {
  const Result<> checked = CheckCpus("network.io_cpus", Cpus({1023}));
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().code, ErrorCode::kBadUsage);
  EXPECT_NE(checked.error().message.find("network.io_cpus has processor 1023"), std::string::npos);
}

TEST(CpuSetTest, KeepsAThreadWhereItIsTold) {
  const auto here = static_cast<uint32_t>(sched_getcpu());
  ASSERT_TRUE(CheckCpus("here", Cpus({here})).ok());
  cpu_set_t set;
  CPU_ZERO(&set);
  std::thread([&] {
    StayOnCpu(here);
    sched_getaffinity(0, sizeof(set), &set);
  }).join();
  EXPECT_EQ(CPU_COUNT(&set), 1);
  EXPECT_TRUE(CPU_ISSET(here, &set));
}

}  // namespace
}  // namespace shardmill
