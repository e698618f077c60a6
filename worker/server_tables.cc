#include "worker/server_tables.h"

#include <algorithm>
#include <utility>

namespace shardmill {
namespace {

// A shard has a table of so many floats in one piece. What is larger is copied as it comes in.
constexpr uint64_t kInPlaceFloatsMax = uint64_t{1} << 20;

}  // namespace

std::span<const float> Joined(std::span<const ReadPiece> pieces, std::span<float> copy) {
  const float* const first = pieces.front().values.data();
  const float* end = first;
  const bool adjoin = std::ranges::all_of(pieces, [&end](const ReadPiece& piece) {
    const bool follows = piece.values.data() == end;
    end = piece.values.data() + piece.values.size();
    return follows;
  });
  if (adjoin) return {first, copy.size()};
  for (const ReadPiece& piece : pieces) {
    std::ranges::copy(piece.values, copy.subspan(piece.begin).begin());
  }
  return copy;
}

bool MayStayLent(std::span<const ParameterSpec> parameters, uint64_t lent_bytes_max) {
  uint64_t floats = 0;
  for (const ParameterSpec& parameter : parameters) {
    // Nobody knows how large its rows of a step are.
    if (parameter.sparse()) return false;
    floats += parameter.size;
  }
  return floats * sizeof(float) <= lent_bytes_max / 4;
}

Result<> ServerTables::Make(bool own_updates) {
  std::vector<TableWish> tables;
  for (const ParameterSpec& spec : specs_) {
    const auto update = own_updates ? spec.update : std::nullopt;
    const uint64_t size = spec.sparse() ? 0 : spec.size;
    tables.push_back({spec.name, size, spec.dim, {.initial = spec.initial, .update = update}});
  }
  SM_TRY(session_.Make(tables));
  for (size_t i = 0; i < specs_.size(); ++i) {
    const ParameterSpec& spec = specs_[i];
    Tensor tensor;
    if (spec.sparse()) {
      tensor.sparse = SM_TRY(session_.Sparse(spec.name, spec.dim, tables[i].options));
    } else {
      tensor.dense = SM_TRY(session_.Dense(spec.name, spec.size, tables[i].options));
    }
    tensor.values.resize(spec.size);
    tensor.read = tensor.values;
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
    values_.emplace_back(tensor.read);
    parameters_.emplace_back(tensor.values);
    gradients_.emplace_back(tensor.gradient());
    if (specs_[i].trained) trained_.emplace_back(tensor.gradient());
  }
}

Result<> ServerTables::AskDense(TrainingStep& step, const PullOptions& options, bool in_place) {
  if (dense_asked_) return {};
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (specs_[i].sparse()) continue;
    Tensor& tensor = tensors_[i];
    Asked asked{{}, in_place && may_stay_lent_ && specs_[i].size <= kInPlaceFloatsMax};
    if (asked.in_place) {
      asked.ticket = SM_TRY(step.Read(tensor.dense, 0, tensor.values.size(), options));
    } else {
      asked.ticket = SM_TRY(step.Pull(tensor.dense, 0, tensor.values, options));
    }
    pulls_[i] = asked;
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
  tensor.read = tensor.values;
  Lend();
  if (keys.empty()) return {};
  tensor.keys = SM_TRY(session_.Bind(tensor.sparse, keys));
  tensor.bound = true;
  const Ticket ticket = SM_TRY(step.Pull(tensor.keys, tensor.values, options));
  pulls_[parameter] = Asked{ticket};
  return {};
}

Result<> ServerTables::AskLittle(TrainingStep& step) {
  if (dense_asked_) return {};
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (specs_[i].sparse()) continue;
    const std::span<float> little = std::span(tensors_[i].values).first(1);
    const Ticket ticket = SM_TRY(step.Pull(tensors_[i].dense, 0, little));
    pulls_[i] = Asked{ticket};
    return {};
  }
  constexpr uint64_t kAnyKey = 0;
  return AskRowsOf(step, 0, {&kAnyKey, 1}, {});
}

Result<> ServerTables::WaitFor(TrainingStep& step, size_t parameter) {
  if (!pulls_[parameter]) return {};
  const Asked asked = *std::exchange(pulls_[parameter], std::nullopt);
  SM_TRY(step.Wait(asked.ticket));
  Tensor& tensor = tensors_[parameter];
  tensor.read = asked.in_place ? Joined(step.Pieces(asked.ticket), tensor.values) : tensor.values;
  values_[parameter] = tensor.read;
  const bool copied = tensor.read.data() == tensor.values.data();
  if (asked.in_place && copied) step.GiveBack(asked.ticket);
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
