#include "worker/within_memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/sanitized.h"
#include "worker/local_tables.h"

namespace shardmill {
namespace {

const std::vector<ParameterSpec> kSpecs{{.name = "small.weight", .size = 12},
                                        {.name = "large.weight", .size = uint64_t{1} << 33}};

TEST(WithinMemoryTest, SaysHowMuchWasWantedAndWhatToLower) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer wants all addresses for itself";
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit little{rlim_t{8} << 30, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &little), 0);
  const std::string words = TrainingMemoryWords(JobOptions(), kSpecs, 3);
  const Result<> made = WithinMemory(
      []() -> Result<> {
        SM_TRY(LocalTables::Make(kSpecs, {}));
        return {};
      },
      words);
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kFailed);
  EXPECT_EQ(made.error().message,
            "there is not enough memory to train: 8589934604 weights, with gradients and what the "
            "optimizer keeps of each, take 96GiB; rows may take 1GiB, and a batch of 64 rows its "
            "part. Lower units or rows of the layer of \"large.weight\", which has 8589934592 of "
            "them, data.batch_size or data.memory");
}

TEST(WithinMemoryTest, HandsOnWhatTheWorkSays) {
  EXPECT_TRUE(WithinMemory([]() -> Result<> { return {}; }, "little").ok());
  const Result<> failed = WithinMemory(
      []() -> Result<> {
        return Error{ErrorCode::kBadInput, "bad"};
      },
      "little");
  EXPECT_EQ(failed.error().message, "bad");
}

}  // namespace
}  // namespace shardmill
