#pragma once

#include <cstdint>

#include "nn/step_layout.h"

namespace shardmill::nn {

// About how many products a row takes in what a layout has gone through again.
uint64_t WorkAgain(const StepParts& parts, const StepLayout& layout);
// The same of the way forward, and of the way back: by what is trained, and by what it was made of.
uint64_t WorkForward(const StepParts& parts);
uint64_t WorkBack(const StepParts& parts);

// Of the layouts of a training step that take at most `floats_max` floats for that many rows, one
// with little work done again; where none is found, one that takes few floats. The same arguments
// give the same layout. Not yet placed.
StepLayout ChooseLayout(const StepParts& parts, uint64_t rows, uint64_t floats_max);

}  // namespace shardmill::nn
