#include "optim/rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace shardmill {
namespace {

// What is left of the base after `done` of `schedule.length` rounds, warm-up apart.
double Fallen(const RateSchedule& schedule, uint64_t done) {
  const double part =
      static_cast<double>(std::min(done, schedule.length)) / static_cast<double>(schedule.length);
  const double height = schedule.base - schedule.end;
  switch (schedule.shape) {
    case RateShape::kConstant:
      return schedule.base;
    case RateShape::kStep:
      return schedule.base * std::pow(schedule.factor, static_cast<double>(done / schedule.length));
    case RateShape::kPolynomial:
      return schedule.end + height * std::pow(1 - part, schedule.power);
    case RateShape::kCosine:
      return schedule.end + height * (1 + std::cos(std::numbers::pi * part)) / 2;
  }
  return schedule.base;
}

bool Amount(double value) { return std::isfinite(value) && value >= 0; }

}  // namespace

double RateAt(const RateSchedule& schedule, uint64_t round, uint32_t members) {
  const double scale = schedule.scale_by_workers ? members : 1;
  if (round <= schedule.warmup) {
    return scale * schedule.base * static_cast<double>(round) /
           static_cast<double>(schedule.warmup);
  }
  return scale * Fallen(schedule, round - 1 - schedule.warmup);
}

std::string RateProblem(const RateSchedule& schedule) {
  if (!Amount(schedule.base) || schedule.base == 0) return "a learning rate that is not above 0";
  if (schedule.length == 0) return "a schedule of no rounds";
  if (!Amount(schedule.factor) || !Amount(schedule.power) || !Amount(schedule.end)) {
    return "a schedule with a negative number, or with none";
  }
  return "";
}

}  // namespace shardmill
