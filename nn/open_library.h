#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace shardmill::nn {

// What every library that we open at run time says of itself, at the head of what it gives. These
// two fields keep their places for ever; what comes behind may be looked at once the build id is
// ours, since then both sides were compiled from the same headers by the same compiler.
struct LibraryHead {
  uint64_t size = 0;  // Of all, with what comes behind.
  const char* build_id = nullptr;
};

// Opens the library, which stays open to the end of the process, and calls its function `entry`,
// `const LibraryHead* ()` with C linkage. The error says in words what is missing, or that the
// library was built apart from us.
Result<const LibraryHead*> OpenLibrary(const std::string& path, const char* entry, uint64_t size,
                                       const std::string& build_id);

}  // namespace shardmill::nn
