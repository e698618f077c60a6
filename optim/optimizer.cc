#include "optim/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "common/assert.h"
#include "optim/formulas.h"
#include "optim/rate.h"

namespace shardmill {
namespace {

// Runs a formula over a range, element by element. All is there twice from one source: as the build
// has it, and in vectors of 512 bits for a processor that has them, which does twice as many square
// roots and divisions in the same time. Functions are made so, not a file: what they call and do
// not take in stays as the build has it, so that no other processor meets an instruction it lacks.
template <class Formula>
class Elementwise final : public Optimizer {
 public:
  Elementwise(const UpdateSettings& settings, bool wide)
      : settings_(settings),
        wide_(wide),
        regularizes_(formulas::Regularizer(settings, {}).acts()) {}

  const UpdateSettings& settings() const override { return settings_; }
  uint32_t slots() const override { return Formula::kSlots; }
  Combine combine() const override { return CombineOf(settings_.rule); }
  bool counts() const override { return kCounts; }

  void Step(const UpdateTime& time, std::span<const float> change, std::span<float> parameters,
            UpdateState state) const override {
    wide_ ? StepWide(time, change, parameters, state) : StepHere(time, change, parameters, state);
  }

  void StepRows(float rate, uint32_t dim, std::span<const RowChange> rows) const override {
    wide_ ? StepRowsWide(rate, dim, rows) : StepRowsHere(rate, dim, rows);
  }

 private:
  static constexpr bool kCounts = requires { Formula::kCounts; };

  [[gnu::target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,prefer-vector-width=512")]] void
  StepWide(const UpdateTime& time, std::span<const float> change, std::span<float> parameters,
           UpdateState state) const {
    StepHere(time, change, parameters, state);
  }

  [[gnu::target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,prefer-vector-width=512")]] void
  StepRowsWide(float rate, uint32_t dim, std::span<const RowChange> rows) const {
    StepRowsHere(rate, dim, rows);
  }

  [[gnu::always_inline]] inline void StepHere(const UpdateTime& time, std::span<const float> change,
                                              std::span<float> parameters,
                                              UpdateState state) const {
    SM_ASSERT(change.size() == parameters.size());
    if (!regularizes_) {
      Run<0>(Formula(settings_, time), time.scale, change.data(), parameters, state);
      return;
    }
    const Formula formula(settings_, time);
    const formulas::Regularizer regularizer(settings_, time);
    std::array<float, 256> piece;
    for (size_t begin = 0; begin < change.size(); begin += piece.size()) {
      const size_t size = std::min(piece.size(), change.size() - begin);
      for (size_t i = 0; i < size; ++i) piece[i] = time.scale * change[begin + i];
      const std::span<float> p = parameters.subspan(begin, size);
      Regularize(regularizer, std::span(piece).first(size), p);
      Run<0>(formula, 1, piece.data(), p, state.From(begin));
    }
  }

  [[gnu::always_inline]] inline void StepRowsHere(float rate, uint32_t dim,
                                                  std::span<const RowChange> rows) const {
    if (regularizes_) {
      for (const RowChange& change : rows) {
        UpdateTime time = TimeOf(rate, dim, change);
        time.scale = change.scale;
        Step(time, {change.values, dim}, {change.row, dim}, {change.row + dim, dim});
      }
    } else if (dim == 1) {
      StepRowsOf<1>(rate, dim, rows);
    } else if (dim == 8) {
      StepRowsOf<8>(rate, dim, rows);
    } else if (dim == 16) {
      StepRowsOf<16>(rate, dim, rows);
    } else if (dim == 32) {
      StepRowsOf<32>(rate, dim, rows);
    } else {
      StepRowsOf<0>(rate, dim, rows);
    }
  }

  // Counts a step of a row.
  static UpdateTime TimeOf(float rate, uint32_t dim, const RowChange& change) {
    UpdateTime time{rate, 1, change.weight};
    if constexpr (kCounts) {
      float& count = change.row[uint64_t{dim} * (1 + Formula::kSlots)];
      // A float counts exactly so far; what depends on the count has long settled by then.
      constexpr float kCountMax = 1 << 24;
      count = std::min(count + 1, kCountMax);
      time.count = static_cast<uint64_t>(count);
    }
    return time;
  }

  // kDim: the row's size where it is known; 0 elsewhere.
  template <uint32_t kDim>
  [[gnu::always_inline]] inline void StepRowsOf(float rate, uint32_t row_dim,
                                                std::span<const RowChange> rows) const {
    const uint64_t dim = kDim != 0 ? kDim : row_dim;
    UpdateTime last{rate};
    Formula formula(settings_, last);
    for (const RowChange& change : rows) {
      const UpdateTime time = TimeOf(rate, row_dim, change);
      if (time.count != last.count || time.weight != last.weight) {
        last = time;
        formula = Formula(settings_, time);
      }
      Run<kDim>(formula, change.scale, change.values, {change.row, dim}, {change.row + dim, dim});
    }
  }

  // The change is made and used element by element, so that it is never written. kSize: of the
  // range, where it is known; 0 elsewhere.
  template <uint32_t kSize>
  [[gnu::always_inline]] static inline void Run(const Formula& by, float scale, const float* change,
                                                std::span<float> parameters, UpdateState state) {
    const Formula formula = by;  // A copy that nobody can change meanwhile.
    const size_t size = kSize != 0 ? kSize : parameters.size();
    const size_t stride = kSize != 0 ? kSize : state.stride;
    float* __restrict p = parameters.data();
    const float* __restrict g = change;
    float* __restrict first = state.data;
    if constexpr (Formula::kSlots == 0) {
      for (size_t i = 0; i < size; ++i) formula(p[i], scale * g[i]);
    } else if constexpr (Formula::kSlots == 1) {
      for (size_t i = 0; i < size; ++i) formula(p[i], scale * g[i], first[i]);
    } else {
      float* __restrict second = first + stride;
      for (size_t i = 0; i < size; ++i) formula(p[i], scale * g[i], first[i], second[i]);
    }
  }

  static void Regularize(formulas::Regularizer by, std::span<float> g, std::span<float> p) {
    if (by.bounds()) {
      for (float& value : g) value = by.Bounded(value);
    }
    if (by.l2 > 0) {
      for (size_t i = 0; i < g.size(); ++i) g[i] = by.WithL2(g[i], p[i]);
    }
    if (by.l1 > 0) {
      for (size_t i = 0; i < g.size(); ++i) g[i] = by.WithL1(g[i], p[i]);
    }
    if (by.decays) {
      for (float& value : p) value *= by.keep;
    }
  }

  UpdateSettings settings_;
  bool wide_;
  bool regularizes_;  // As far as the settings say.
};

std::string Problem(const UpdateSettings& settings) {
  const auto amount = [](double value) { return std::isfinite(value) && value >= 0; };
  const auto part = [&](double value) { return amount(value) && value < 1; };
  if (settings.rule > kUpdateRuleLast) return "an unknown rule";
  if (IsMerge(settings.rule)) return "";
  if (!part(settings.momentum) || !part(settings.beta1) || !part(settings.beta2)) {
    return "a momentum or beta that is not in [0, 1)";
  }
  if (!amount(settings.epsilon) || !amount(settings.beta) || !amount(settings.l1) ||
      !amount(settings.l2) || !amount(settings.weight_decay) || !amount(settings.clip_value)) {
    return "a setting that is negative, or no number";
  }
  const bool divides = settings.rule == UpdateRule::kAdagrad ||
                       settings.rule == UpdateRule::kRmsprop || settings.rule == UpdateRule::kAdam;
  if (divides && formulas::Narrow(settings.epsilon) == 0) {
    return "an epsilon of 0 as a float, which a gradient of 0 divides by";
  }
  if (settings.rule == UpdateRule::kFtrl) {
    if (settings.weight_decay > 0) return "ftrl, which has no weight decay beside its l2";
    // Its parameter is made anew from all gradients with the rate of now: a rate that moved would
    // rescale the whole model.
    if (settings.rate.shape != RateShape::kConstant || settings.rate.warmup > 0) {
      return "ftrl and a rate that moves, which would rescale what was learnt";
    }
  }
  return RateProblem(settings.rate);
}

}  // namespace

bool HasWideVectors() { return __builtin_cpu_supports("x86-64-v4") != 0; }

Result<std::unique_ptr<Optimizer>> MakeOptimizer(const UpdateSettings& settings, Vectors vectors) {
  const std::string problem = Problem(settings);
  if (!problem.empty()) return Error{ErrorCode::kBadUsage, "an optimizer with " + problem};
  const bool wide = vectors == Vectors::kWidest && HasWideVectors();
  return formulas::WithFormula(settings.rule, [&](auto as) -> std::unique_ptr<Optimizer> {
    return std::make_unique<Elementwise<typename decltype(as)::type>>(settings, wide);
  });
}

}  // namespace shardmill
