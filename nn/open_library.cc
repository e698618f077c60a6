#include "nn/open_library.h"

#include <dlfcn.h>

#include <filesystem>

namespace shardmill::nn {

Result<const LibraryHead*> OpenLibrary(const std::string& path, const char* entry, uint64_t size,
                                       const std::string& build_id) {
  const auto fail = [&path](const std::string& why) {
    return Error{ErrorCode::kBadUsage, "the library " + path + " cannot be used: " + why};
  };
  // A bare name would be looked for among the system's libraries.
  std::error_code none;
  const std::string whole = std::filesystem::absolute(path, none).string();
  auto* const library = dlopen(whole.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return fail(dlerror());
  using Entry = const LibraryHead* (*)();
  const auto function = reinterpret_cast<Entry>(dlsym(library, entry));
  if (function == nullptr) return fail(std::string("it has no ") + entry);
  const LibraryHead* const head = function();
  if (head == nullptr || head->build_id == nullptr) return fail("it says nothing");
  if (head->build_id != build_id || head->size != size) {
    return fail("it is of the build " + std::string(head->build_id) + ", and this program of " +
                build_id + "; build both from the same tree");
  }
  return head;
}

}  // namespace shardmill::nn
