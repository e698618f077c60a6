#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/result.h"
#include "nn/backend.h"
#include "nn/open_library.h"

namespace shardmill::nn {

// The function that a plugin has, with C linkage: const LibraryHead* shardmill_backend_plugin().
// It gives the head of a BackendPlugin.
inline constexpr const char kBackendPluginEntry[] = "shardmill_backend_plugin";

// To how many bits of fraction products round what they multiply: to 23, 10 or 7. Sums keep 23.
enum class Products : uint8_t { kFloat, kTf32, kBf16 };

// What a backend is asked to be.
struct BackendSettings {
  uint32_t device = 0;  // Counted round and round over those that there are.
  Products products = Products::kFloat;
};

struct BackendPlugin {
  LibraryHead head;
  // A backend, or null, the error's code and up to `words_max` bytes of why, with the ending zero.
  Backend* (*make)(const BackendSettings& settings, ErrorCode* code, char* words,
                   uint64_t words_max) = nullptr;
  void (*destroy)(Backend* backend) = nullptr;
};

// A plugin that was opened: a library of which this program knows nothing else. Owned by main, and
// outlives the backends that it made, which are given back to it. Any thread. Opening fails in
// words where the library or what it needs is missing, or was built apart from us.
class LoadedPlugin final {
 public:
  // Gives a backend back to where it came from.
  struct Deleter {
    void (*destroy)(Backend* backend) = nullptr;
    void operator()(Backend* backend) const { destroy(backend); }
  };
  using BackendPointer = std::unique_ptr<Backend, Deleter>;

  static Result<std::unique_ptr<LoadedPlugin>> Open(const std::string& path,
                                                    const std::string& build_id);

  Result<BackendPointer> Make(const BackendSettings& settings) const;

 private:
  explicit LoadedPlugin(const BackendPlugin& plugin) : plugin_(plugin) {}

  // Libraries of cards leave threads and callbacks behind: it stays open to the end of the process.
  const BackendPlugin& plugin_;
};

}  // namespace shardmill::nn
