#include "common/assert.h"

#include <cstdio>
#include <cstdlib>

namespace shardmill {

void AssertFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: this is a bug in shardmill: %s does not hold\n", file, line,
               condition);
  std::abort();
}

}  // namespace shardmill
