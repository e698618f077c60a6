#include "optim/optimizer.h"

#include <cstring>

#include "common/assert.h"
#include "nn/ops/cpu/backend.h"
#include "optim/squares.h"

namespace shardmill::nn {

void CpuBackend::Step(const Optimizer& by, const UpdateTime& time, ConstTensor gradient,
                      Tensor parameter, Tensor state) {
  SM_ASSERT(state.size() == parameter.size() * by.slots());
  by.Step(time, gradient.floats(), parameter.floats(), {state.data(), parameter.size()});
}

void CpuBackend::SumSquares(ConstTensor in, Tensor sum) {
  SM_ASSERT(sum.size() == 2);
  const double squares = SquaresOf(in.floats());
  std::memcpy(sum.data(), &squares, sizeof(squares));
}

}  // namespace shardmill::nn
