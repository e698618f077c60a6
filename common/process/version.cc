#include "common/process/version.h"

#include "common/messages.h"
#include "common/version.h"

namespace shardmill {
namespace {

std::string BuildMode() {
#ifdef __OPTIMIZE__
  std::string mode = "optimized";
#else
  std::string mode = "debug";
#endif
#ifdef __AVX2__
  mode += ", AVX2";
#else
  mode += ", portable";
#endif
#ifdef __SANITIZE_ADDRESS__
  mode += ", address sanitizer";
#endif
#ifdef __SANITIZE_THREAD__
  mode += ", thread sanitizer";
#endif
  return mode;
}

}  // namespace

std::string VersionText(std::string_view program) {
  return std::string(program) + " " + std::string(kShardmillVersion) + "\nprotocol " +
         std::to_string(kProtocolVersionMin) + " to " + std::to_string(kProtocolVersionMax) +
         "\nbuild " + BuildMode() + "\n";
}

}  // namespace shardmill
