#pragma once

#include <cstdint>
#include <string>

#include "common/update.h"

namespace shardmill {

// The learning rate of a round, counted from 1, with so many members.
double RateAt(const RateSchedule& schedule, uint64_t round, uint32_t members);

// Words for a schedule that cannot be; empty where it can.
std::string RateProblem(const RateSchedule& schedule);

}  // namespace shardmill
