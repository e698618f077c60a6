#include <gtest/gtest.h>

#include <filesystem>

#include "common/config/load.h"
#include "common/job/job.h"

namespace shardmill {
namespace {

// Tests run among links to the tree; the page is looked for beside the link's target, so that the
// one in the tree is compared.
std::filesystem::path Workspace() {
  return std::filesystem::canonical("configs/quickstart.toml").parent_path().parent_path();
}

TEST(ReferenceTest, ThePageInTheTreeIsTheOneThatTheDeclarationsGive) {
  const Result<std::string> page = config::ReadFile(Workspace() / "docs" / "config.md");
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_EQ(page.value(), JobReference())
      << "run: bazel run //common/job:reference > docs/config.md";
}

}  // namespace
}  // namespace shardmill
