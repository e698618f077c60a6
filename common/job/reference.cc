#include <cstdio>

#include "common/job/job.h"

// Prints docs/config.md: bazel run //common/job:reference > docs/config.md
int main() {
  const std::string page = shardmill::JobReference();
  return std::fwrite(page.data(), 1, page.size(), stdout) == page.size() ? 0 : 1;
}
