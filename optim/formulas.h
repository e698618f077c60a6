#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "common/update.h"
#include "optim/optimizer.h"

// The update rules, one struct a rule: what it keeps beside an element (kSlots), the numbers that
// are the same for all elements of one step (made by the constructor), and what it does to one
// element. `p` is the parameter, `g` the gradient, and the slots come in order. What is done to an
// element is constexpr so that the compiler of a card's kernels takes it, too.
namespace shardmill::formulas {

constexpr float Narrow(double value) { return static_cast<float>(value); }

// A sum of squares as it is kept: a finite gradient whose square is none must not leave an infinity
// behind, which no later gradient would mend. What is not a number stays so.
constexpr float Kept(float squares) { return std::min(squares, std::numeric_limits<float>::max()); }

// Plain gradient descent.
struct Sgd {
  static constexpr uint32_t kSlots = 0;
  Sgd(const UpdateSettings& /*settings*/, const UpdateTime& time) : rate(time.rate) {}
  constexpr void operator()(float& p, float g) const { p -= rate * g; }
  float rate;
};

// Gradient descent with a velocity.
struct Momentum {
  static constexpr uint32_t kSlots = 1;
  Momentum(const UpdateSettings& settings, const UpdateTime& time)
      : rate(time.rate), keep(Narrow(settings.momentum)) {}
  constexpr void operator()(float& p, float g, float& velocity) const {
    velocity = keep * velocity + g;
    p -= rate * velocity;
  }
  float rate, keep;
};

// Looks ahead along the velocity.
struct Nesterov {
  static constexpr uint32_t kSlots = 1;
  Nesterov(const UpdateSettings& settings, const UpdateTime& time)
      : rate(time.rate), keep(Narrow(settings.momentum)) {}
  constexpr void operator()(float& p, float g, float& velocity) const {
    velocity = keep * velocity + g;
    p -= rate * (g + keep * velocity);
  }
  float rate, keep;
};

// Slower where the gradients were large, for good.
struct Adagrad {
  static constexpr uint32_t kSlots = 1;
  Adagrad(const UpdateSettings& settings, const UpdateTime& time)
      : rate(time.rate), epsilon(Narrow(settings.epsilon)) {}
  constexpr void operator()(float& p, float g, float& squares) const {
    squares = Kept(squares + g * g);
    p -= rate * g / (std::sqrt(squares) + epsilon);
  }
  float rate, epsilon;
};

// Slower where the gradients were large of late.
struct Rmsprop {
  static constexpr uint32_t kSlots = 1;
  Rmsprop(const UpdateSettings& settings, const UpdateTime& time)
      : rate(time.rate),
        keep(Narrow(settings.beta2)),
        take(Narrow(1 - settings.beta2)),
        epsilon(Narrow(settings.epsilon)) {}
  constexpr void operator()(float& p, float g, float& squares) const {
    squares = Kept(keep * squares + take * g * g);
    p -= rate * g / (std::sqrt(squares) + epsilon);
  }
  float rate, keep, take, epsilon;
};

// With both moments corrected for their start at zero.
struct Adam {
  static constexpr uint32_t kSlots = 2;
  static constexpr bool kCounts = true;
  Adam(const UpdateSettings& settings, const UpdateTime& time)
      : keep1(Narrow(settings.beta1)),
        take1(Narrow(1 - settings.beta1)),
        keep2(Narrow(settings.beta2)),
        take2(Narrow(1 - settings.beta2)),
        epsilon(Narrow(settings.epsilon)) {
    const auto count = static_cast<double>(time.count);
    rate = Narrow(time.rate / (1 - std::pow(settings.beta1, count)));
    correct2 = Narrow(1 / std::sqrt(1 - std::pow(settings.beta2, count)));
  }
  constexpr void operator()(float& p, float g, float& mean, float& squares) const {
    mean = keep1 * mean + take1 * g;
    squares = Kept(keep2 * squares + take2 * g * g);
    p -= rate * mean / (std::sqrt(squares) * correct2 + epsilon);
  }
  float keep1, take1, keep2, take2, epsilon, rate, correct2;
};

// Follow the regularized leader, proximal: the parameter is a function of its state alone, and
// exactly zero where the gradients do not outweigh l1.
struct Ftrl {
  static constexpr uint32_t kSlots = 2;
  // A schedule may end at zero. Below this nothing moves: one over the rate would not be a float.
  static constexpr float kRateMin = 1e-30F;
  Ftrl(const UpdateSettings& settings, const UpdateTime& time)
      : still(time.rate < kRateMin),
        per_rate(1 / std::max(time.rate, kRateMin)),
        beta(Narrow(settings.beta)),
        l1(Narrow(settings.l1)),
        l2(Narrow(settings.l2)) {}
  constexpr void operator()(float& p, float g, float& lean, float& squares) const {
    if (still) return;
    const float before = std::sqrt(squares);
    squares = Kept(squares + g * g);
    const float after = std::sqrt(squares);
    lean += g - (after - before) * per_rate * p;
    const float over = std::max(std::abs(lean) - l1, 0.0F);
    const float under = (beta + after) * per_rate + l2;
    // Without beta and l2 nothing holds a parameter that no gradient has moved: it stays at zero.
    p = under == 0 ? 0 : -std::copysign(over, lean) / under;
  }
  bool still;
  float per_rate, beta, l1, l2;
};

// The mean of the pushes takes the parameter's place: of those that have the element, whose weights
// need not come to one.
struct Average {
  static constexpr uint32_t kSlots = 0;
  Average(const UpdateSettings& /*settings*/, const UpdateTime& time) : weight(time.weight) {}
  constexpr void operator()(float& p, float g) const { p = g / weight; }
  float weight;
};

// Of the merges: the last push takes the parameter's place.
struct Replace {
  static constexpr uint32_t kSlots = 0;
  Replace(const UpdateSettings& /*settings*/, const UpdateTime& /*time*/) {}
  constexpr void operator()(float& p, float g) const { p = g; }
};

// Sums.
struct Add {
  static constexpr uint32_t kSlots = 0;
  Add(const UpdateSettings& /*settings*/, const UpdateTime& /*time*/) {}
  constexpr void operator()(float& p, float g) const { p += g; }
};

// The least that was ever pushed.
struct Least {
  static constexpr uint32_t kSlots = 0;
  Least(const UpdateSettings& /*settings*/, const UpdateTime& /*time*/) {}
  constexpr void operator()(float& p, float g) const { p = std::min(p, g); }
};

// The greatest that was ever pushed.
struct Greatest {
  static constexpr uint32_t kSlots = 0;
  Greatest(const UpdateSettings& /*settings*/, const UpdateTime& /*time*/) {}
  constexpr void operator()(float& p, float g) const { p = std::max(p, g); }
};

// What comes before a rule: the gradient is bounded, weights pull on it, and some of them goes.
struct Regularizer {
  Regularizer(const UpdateSettings& settings, const UpdateTime& time) {
    if (IsMerge(settings.rule) || settings.rule == UpdateRule::kAverage) return;
    if (settings.clip_value > 0) bound = Narrow(settings.clip_value);
    keep = 1 - time.rate * Narrow(settings.weight_decay);
    decays = settings.weight_decay > 0;
    // What the formula has of its own is not added to the gradient as well.
    if (settings.rule == UpdateRule::kFtrl) return;
    l1 = settings.l1 > 0 ? Narrow(settings.l1) : 0;
    l2 = settings.l2 > 0 ? Narrow(settings.l2) : 0;
  }

  // Whether it changes anything.
  bool acts() const { return bounds() || l1 > 0 || l2 > 0 || decays; }

  constexpr bool bounds() const { return bound < std::numeric_limits<float>::infinity(); }
  constexpr float Bounded(float g) const { return std::clamp(g, -bound, bound); }
  constexpr float WithL2(float g, float p) const { return g + l2 * p; }
  constexpr float WithL1(float g, float p) const { return g + (p == 0 ? 0 : std::copysign(l1, p)); }
  // The gradient that the rule sees.
  constexpr float operator()(float& p, float g) const {
    if (bounds()) g = Bounded(g);
    if (l2 > 0) g = WithL2(g, p);
    if (l1 > 0) g = WithL1(g, p);
    if (decays) p *= keep;
    return g;
  }

  float bound = std::numeric_limits<float>::infinity();
  float l1 = 0, l2 = 0, keep = 1;
  bool decays = false;
};

// Calls `function` with the type of the rule's formula, as a std::type_identity.
template <class Function>
auto WithFormula(UpdateRule rule, const Function& function) {
  switch (rule) {
    case UpdateRule::kSgd:
      break;
    case UpdateRule::kMomentum:
      return function(std::type_identity<Momentum>());
    case UpdateRule::kNesterov:
      return function(std::type_identity<Nesterov>());
    case UpdateRule::kAdagrad:
      return function(std::type_identity<Adagrad>());
    case UpdateRule::kRmsprop:
      return function(std::type_identity<Rmsprop>());
    case UpdateRule::kAdam:
      return function(std::type_identity<Adam>());
    case UpdateRule::kFtrl:
      return function(std::type_identity<Ftrl>());
    case UpdateRule::kAverage:
      return function(std::type_identity<Average>());
    case UpdateRule::kAdd:
      return function(std::type_identity<Add>());
    case UpdateRule::kAssign:
      return function(std::type_identity<Replace>());
    case UpdateRule::kMin:
      return function(std::type_identity<Least>());
    case UpdateRule::kMax:
      return function(std::type_identity<Greatest>());
  }
  return function(std::type_identity<Sgd>());
}

}  // namespace shardmill::formulas
