#pragma once

#include <string>

#include "common/view.h"

namespace shardmill {

// In what the shape and the first values of a table that there is are not those that are asked for,
// in words; empty: in nothing. Not of its update.
std::string ShapeDifference(const TableSpec& is, const TableSpec& asked);

// The same of updates, each field that differs: "learning_rate 0.1; this asks for 0.05".
std::string UpdateDifference(const UpdateSettings& is, const UpdateSettings& asked);

}  // namespace shardmill
