// Compiled as all of the build is, so that it sees what that is; holds a constant and no code.
#include "common/process/cpu.h"

namespace shardmill {

constexpr unsigned kNeeded = 0
#ifdef __AVX__
                             | kCpuAvx
#endif
#ifdef __AVX2__
                             | kCpuAvx2
#endif
#ifdef __FMA__
                             | kCpuFma
#endif
#ifdef __BMI__
                             | kCpuBmi1
#endif
#ifdef __BMI2__
                             | kCpuBmi2
#endif
    ;

const unsigned kCpuFeaturesNeeded = kNeeded;

}  // namespace shardmill
