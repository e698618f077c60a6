#pragma once

#include <memory>
#include <string>

#include "nn/loss.h"

namespace shardmill::nn {

// The loss of that name for a network whose output is of that shape, or words on why there is none.
Result<std::unique_ptr<Loss>> MakeLoss(const std::string& name, const Shape& output);

}  // namespace shardmill::nn
