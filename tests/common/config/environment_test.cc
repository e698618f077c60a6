#include "common/config/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace shardmill::config {
namespace {

TEST(EnvironmentTest, HandsOnNamesAndValuesOfThisProcess) {
  ASSERT_EQ(setenv("SHARDMILL__TEST__KEY", "a=b", 1), 0);
  ASSERT_EQ(setenv("SHARDMILL__TEST__EMPTY", "", 1), 0);
  const std::vector<Variable> environment = ProcessEnvironment();
  EXPECT_EQ(ValueOf(environment, "SHARDMILL__TEST__KEY"), "a=b");
  EXPECT_EQ(ValueOf(environment, "SHARDMILL__TEST__EMPTY"), "");
  EXPECT_EQ(ValueOf(environment, "SHARDMILL__TEST__ABSENT"), "");
}

}  // namespace
}  // namespace shardmill::config
