#include "common/assert.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/kernels.cuh"
#include "optim/formulas.h"

namespace shardmill::nn {
namespace {

// What a rule does to the i-th number.
template <class Formula>
struct StepOne {
  Formula formula;
  formulas::Regularizer regularizer;
  float scale;
  const float* gradient;
  float* parameter;
  float* state;
  uint64_t size;

  __device__ void operator()(uint64_t i) const {
    float& p = parameter[i];
    const float g = regularizer(p, scale * gradient[i]);
    if constexpr (Formula::kSlots == 0) {
      formula(p, g);
    } else if constexpr (Formula::kSlots == 1) {
      formula(p, g, state[i]);
    } else {
      formula(p, g, state[i], state[size + i]);
    }
  }
};

}  // namespace

void CudaBackend::Step(const Optimizer& by, const UpdateTime& time, ConstTensor gradient,
                       Tensor parameter, Tensor state) {
  const uint64_t size = parameter.size();
  SM_ASSERT(gradient.size() == size && state.size() == size * by.slots());
  const UpdateSettings& settings = by.settings();
  formulas::WithFormula(settings.rule, [&](auto as) {
    using Formula = typename decltype(as)::type;
    ForEach(*card_, size,
            StepOne<Formula>{Formula(settings, time), formulas::Regularizer(settings, time),
                             time.scale, gradient.data(), parameter.data(), state.data(), size});
  });
}

void CudaBackend::SumSquares(ConstTensor in, Tensor sum) {
  SM_ASSERT(sum.size() == 2);
  const float* const from = in.data();
  auto* const to = reinterpret_cast<double*>(sum.data());
  SumAll(
      *card_, in.size(),
      [=] __device__(uint64_t i) {
        const double wide = from[i];
        return wide * wide;
      },
      [=] __device__(double squares) { *to = squares; });
}

}  // namespace shardmill::nn
