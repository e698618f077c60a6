#include "common/version.h"

namespace shardmill {

std::string_view Version() { return kShardmillVersion; }

}  // namespace shardmill
