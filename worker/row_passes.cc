#include "worker/row_passes.h"

#include <algorithm>
#include <numeric>

namespace shardmill {
namespace {

constexpr uint64_t kRowsAtOnce = 1000;

}  // namespace

Result<> RowPasses::Run(ParameterReader& parameters, const Pass& pass) {
  uint32_t at_once = kRowsAtOnce;
  for (uint64_t begin = 0; begin < rows_.rows(); begin += kRowsAtOnce) {
    numbers_.resize(std::min(kRowsAtOnce, rows_.rows() - begin));
    std::iota(numbers_.begin(), numbers_.end(), static_cast<uint32_t>(begin));
    maker_.Fill(numbers_, gathered_);
    const Batch batch = maker_.View(gathered_, 0);
    const std::span<const std::span<const float>> lent = SM_TRY(parameters.For(batch));
    for (uint32_t at = 0; at < batch.rows;) {
      const Batch part = part_.Of(batch, at, at_once);
      const Result<> passed = pass(begin + at, part, lent);
      if (passed.ok()) {
        at += part.rows;
      } else if (passed.error().code == ErrorCode::kFailed && part.rows > 1) {
        at_once = part.rows / 2;
      } else {
        return passed;
      }
    }
  }
  return {};
}

}  // namespace shardmill
