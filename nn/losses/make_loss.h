#pragma once

#include <span>
#include <string>

#include "nn/loss.h"

namespace shardmill::nn {

// All of the library.
std::span<const LossType> LossTypes();

// The loss of that name, one of the library or of `own`, for a network whose output is of that
// shape, or words on why there is none.
LossResult MakeLoss(const std::string& name, const Shape& output,
                    std::span<const LossType> own = {});

}  // namespace shardmill::nn
