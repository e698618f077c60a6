// Compiled for the oldest processor (see BUILD), and free of inline functions of the standard
// library: the linker might take their copy from a file that was compiled for a newer one.
#include "common/process/cpu.h"

#include <string.h>
#include <unistd.h>

namespace shardmill {
namespace {

struct Named {
  unsigned feature;
  const char* name;
};

constexpr Named kNames[] = {
    {kCpuAvx2, "AVX2"}, {kCpuFma, "FMA"}, {kCpuBmi1, "BMI1"}, {kCpuBmi2, "BMI2"}, {kCpuAvx, "AVX"}};

bool Say(int fd, const char* words) {
  const size_t size = strlen(words);
  return write(fd, words, size) == static_cast<ssize_t>(size);
}

}  // namespace

unsigned CpuFeaturesPresent() {
  unsigned present = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx")) present |= kCpuAvx;
  if (__builtin_cpu_supports("avx2")) present |= kCpuAvx2;
  if (__builtin_cpu_supports("fma")) present |= kCpuFma;
  if (__builtin_cpu_supports("bmi")) present |= kCpuBmi1;
  if (__builtin_cpu_supports("bmi2")) present |= kCpuBmi2;
#endif
  return present;
}

const char* MissingCpuFeature(unsigned needed, unsigned present) {
  for (const Named& named : kNames) {
    if ((needed & ~present & named.feature) != 0) return named.name;
  }
  return nullptr;
}

bool CheckCpu(unsigned needed, unsigned present, int fd) {
  const char* missing = MissingCpuFeature(needed, present);
  if (missing == nullptr) return true;
  // There is nothing to be done about a message that cannot be written.
  (void)(Say(fd, "this build needs a processor with ") && Say(fd, missing) &&
         Say(fd, ", and this machine's has none; build with --config=portable\n"));
  return false;
}

}  // namespace shardmill
