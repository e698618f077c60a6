// Linked into every program: ends it with exit code 2 and words, where it would else die of an
// illegal instruction. It runs before the constructors of globals, which are compiled for the newer
// processor already; main would be too late.
#include <unistd.h>

#include "common/process/cpu.h"

namespace shardmill {
namespace {

constexpr int kExitBadUsage = 2;

[[gnu::constructor(101)]] void CheckCpuBeforeAllElse() {
  if (!CheckCpu(kCpuFeaturesNeeded, CpuFeaturesPresent(), STDERR_FILENO)) _exit(kExitBadUsage);
}

}  // namespace
}  // namespace shardmill
