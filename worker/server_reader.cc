#include "worker/server_reader.h"

#include <algorithm>

namespace shardmill {

Result<> ServerReader::Begin() {
  TrainingStep step = SM_TRY(session_.Begin(timeout_));
  tables_.Forget();
  SM_TRY(tables_.AskDense(step, {.closed_min = closed_min_}, false));
  return tables_.Wait(step);
}

Result<std::span<const std::span<const float>>> ServerReader::For(const Batch& batch) {
  if (std::ranges::any_of(parameters_, &ParameterSpec::sparse)) {
    TrainingStep step = SM_TRY(session_.Begin(timeout_));
    SM_TRY(tables_.AskRows(step, batch, {.closed_min = closed_min_}));
    SM_TRY(tables_.Wait(step));
    tables_.EndStep();
  }
  return tables_.values();
}

Result<std::span<const float>> ServerReader::Rows(size_t parameter,
                                                  std::span<const uint64_t> keys) {
  TrainingStep step = SM_TRY(session_.Begin(timeout_));
  SM_TRY(tables_.AskRowsOf(step, parameter, keys, {.closed_min = closed_min_}));
  SM_TRY(tables_.Wait(step));
  tables_.EndStep();
  return tables_.values()[parameter];
}

}  // namespace shardmill
