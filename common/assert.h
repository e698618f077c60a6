#pragma once

namespace shardmill {

// Prints where and what to stderr and aborts. Only for our own bugs: input from outside never ends
// here (see docs/ARCHITECTURE.md, "Errors").
[[noreturn]] void AssertFailed(const char* file, int line, const char* condition);

}  // namespace shardmill

// On in release builds too.
#define SM_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::shardmill::AssertFailed(__FILE__, __LINE__, #condition))
