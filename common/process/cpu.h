#pragma once

namespace shardmill {

// Extensions of the processor, as one bit each. Plain numbers and C text throughout: this code runs
// before it is known that the processor can run anything else that was compiled (see cpu_gate.cc).
enum CpuFeature : unsigned {
  kCpuAvx = 1U << 0,
  kCpuAvx2 = 1U << 1,
  kCpuFma = 1U << 2,
  kCpuBmi1 = 1U << 3,
  kCpuBmi2 = 1U << 4,
};

// What this build was compiled for, and what the processor at hand has.
extern const unsigned kCpuFeaturesNeeded;
unsigned CpuFeaturesPresent();

// The first of `needed` that `present` lacks, by its name; null where all are there.
const char* MissingCpuFeature(unsigned needed, unsigned present);

// Says on `fd` which extension is missing and how to mend it. Returns whether all are there.
bool CheckCpu(unsigned needed, unsigned present, int fd);

}  // namespace shardmill
