// A library of types as one from another tree would be.
#include "nn/open_library.h"

namespace {

constexpr shardmill::nn::LibraryHead kHead{64, "another-build"};

}  // namespace

extern "C" const shardmill::nn::LibraryHead* shardmill_own_types() { return &kHead; }
