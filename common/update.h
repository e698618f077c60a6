#pragma once

#include <cstdint>

namespace shardmill {

// How a push changes a table: by an optimizer, or by merging values where nothing is optimized.
enum class UpdateRule : uint8_t {
  kSgd,
  kMomentum,
  kNesterov,
  kAdagrad,
  kRmsprop,
  kAdam,
  kFtrl,
  kAverage,  // The (weighted) mean of what was pushed takes the place of what was there.
  kAdd,
  kAssign,
  kMin,
  kMax,
};
inline constexpr UpdateRule kUpdateRuleLast = UpdateRule::kMax;

// A merge takes what is pushed as it is: no rate, no weights, no regularization.
constexpr bool IsMerge(UpdateRule rule) { return rule >= UpdateRule::kAdd; }

// How the learning rate moves with the rounds.
enum class RateShape : uint8_t { kConstant, kStep, kPolynomial, kCosine };
inline constexpr RateShape kRateShapeLast = RateShape::kCosine;

struct RateSchedule {
  RateShape shape = RateShape::kConstant;
  double base = 0.1;
  uint64_t warmup = 0;  // Rounds in which the rate grows evenly to `base`.
  uint64_t length = 1;  // Rounds after the warm-up: between two drops, or of the whole fall.
  double factor = 0.1;  // What a drop multiplies with (kStep).
  double power = 1;     // Of the fall (kPolynomial).
  double end = 0;       // Where the fall ends (kPolynomial, kCosine).
  bool scale_by_workers = false;  // Multiplies with the number of members.

  bool operator==(const RateSchedule&) const = default;
};

// All that a table's update is made of. A field that its rule does not read changes nothing.
struct UpdateSettings {
  UpdateRule rule = UpdateRule::kSgd;
  RateSchedule rate;
  double momentum = 0.9;    // kMomentum, kNesterov.
  double beta1 = 0.9;       // kAdam.
  double beta2 = 0.999;     // kAdam, kRmsprop.
  double epsilon = 1e-8;    // kAdagrad, kRmsprop, kAdam.
  double beta = 1;          // kFtrl.
  double l1 = 0;            // Added to the gradient as l1 * sign(parameter); in kFtrl its own.
  double l2 = 0;            // Added to the gradient as l2 * parameter; in kFtrl its own.
  double weight_decay = 0;  // Taken off beside the gradient: rate * weight_decay * parameter.
  double clip_value = 0;    // Bounds each element of the summed gradient; 0: no bound.

  bool operator==(const UpdateSettings&) const = default;
};

}  // namespace shardmill
