#include "worker/server_tables.h"

#include <utility>

namespace shardmill {

Result<> ServerTables::Make(bool own_updates) {
  for (const ParameterSpec& spec : specs_) {
    Tensor tensor;
    const TableOptions options{.initial = spec.initial,
                               .update = own_updates ? spec.update : std::nullopt};
    if (spec.sparse()) {
      tensor.sparse = SM_TRY(session_.Sparse(spec.name, spec.dim, options));
    } else {
      tensor.dense = SM_TRY(session_.Dense(spec.name, spec.size, options));
    }
    tensor.values.resize(spec.size);
    if (!spec.sparse()) tensor.memory = SM_TRY(session_.Allocate(spec.size));
    tensors_.push_back(std::move(tensor));
  }
  pulls_.resize(specs_.size());
  Lend();
  return {};
}

void ServerTables::Lend() {
  values_.clear();
  parameters_.clear();
  gradients_.clear();
  trained_.clear();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    Tensor& tensor = tensors_[i];
    values_.emplace_back(tensor.values);
    parameters_.emplace_back(tensor.values);
    gradients_.emplace_back(tensor.gradient());
    if (specs_[i].trained) trained_.emplace_back(tensor.gradient());
  }
}

Result<> ServerTables::AskDense(TrainingStep& step, const PullOptions& options) {
  if (dense_asked_) return {};
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (specs_[i].sparse()) continue;
    pulls_[i] = SM_TRY(step.Pull(tensors_[i].dense, 0, tensors_[i].values, options));
  }
  dense_asked_ = true;
  return {};
}

Result<> ServerTables::AskRows(TrainingStep& step, const Batch& batch, const PullOptions& options) {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!specs_[i].sparse()) continue;
    SM_TRY(AskRowsOf(step, i, batch.inputs[specs_[i].input].keys, options));
  }
  return {};
}

Result<> ServerTables::AskRowsOf(TrainingStep& step, size_t parameter,
                                 std::span<const uint64_t> keys, const PullOptions& options) {
  Tensor& tensor = tensors_[parameter];
  if (std::exchange(tensor.bound, false)) session_.Unbind(tensor.keys);
  tensor.values.resize(keys.size() * specs_[parameter].dim);
  tensor.rows.resize(tensor.values.size());
  Lend();
  if (keys.empty()) return {};
  tensor.keys = SM_TRY(session_.Bind(tensor.sparse, keys));
  tensor.bound = true;
  pulls_[parameter] = SM_TRY(step.Pull(tensor.keys, tensor.values, options));
  return {};
}

Result<> ServerTables::AskLittle(TrainingStep& step) {
  if (dense_asked_) return {};
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (specs_[i].sparse()) continue;
    const std::span<float> little = std::span(tensors_[i].values).first(1);
    pulls_[i] = SM_TRY(step.Pull(tensors_[i].dense, 0, little));
    return {};
  }
  constexpr uint64_t kAnyKey = 0;
  return AskRowsOf(step, 0, {&kAnyKey, 1}, {});
}

Result<> ServerTables::WaitFor(TrainingStep& step, size_t parameter) {
  if (!pulls_[parameter]) return {};
  SM_TRY(step.Wait(*std::exchange(pulls_[parameter], std::nullopt)));
  return {};
}

Result<> ServerTables::Wait(TrainingStep& step) {
  for (size_t i = 0; i < pulls_.size(); ++i) SM_TRY(WaitFor(step, i));
  dense_asked_ = false;
  return {};
}

Result<std::optional<Ticket>> ServerTables::PushGradient(TrainingStep& step, size_t parameter) {
  Tensor& tensor = tensors_[parameter];
  std::optional<Ticket> ticket;
  if (!specs_[parameter].sparse()) {
    ticket = SM_TRY(step.Push(tensor.dense, 0, tensor.gradient()));
  } else if (tensor.bound) {
    ticket = SM_TRY(step.Push(tensor.keys, tensor.gradient()));
  }
  return ticket;
}

Result<> ServerTables::PushGradients(TrainingStep& step) {
  for (size_t i = 0; i < tensors_.size(); ++i) SM_TRY(PushGradient(step, i));
  return {};
}

Result<> ServerTables::PushValues(TrainingStep& step) {
  for (const Tensor& tensor : tensors_) SM_TRY(step.Push(tensor.dense, 0, tensor.values));
  return {};
}

void ServerTables::EndStep() {
  for (Tensor& tensor : tensors_) {
    if (std::exchange(tensor.bound, false)) session_.Unbind(tensor.keys);
  }
}

void ServerTables::Forget() {
  pulls_.assign(specs_.size(), std::nullopt);
  dense_asked_ = false;
  EndStep();
}

}  // namespace shardmill
