// The part of Network that goes through the layers and back.

#include <algorithm>

#include "common/rng.h"
#include "nn/network.h"

namespace shardmill::nn {
namespace {

// With as many rows as are lent, where a parameter has those of a sparse table.
Shape ShapeOf(const ParameterInfo& info, size_t floats) {
  if (info.shape.dim(0) > 0) return info.shape;
  return {floats / info.shape.dim(1), info.shape.dim(1)};
}

bool IsFrozen(const ParameterInfo& info) { return info.role == Role::kTrained && info.rate == 0; }

}  // namespace

void Network::LendGradients(std::span<const std::span<float>> gradients) {
  for (size_t index = 0; index < gradients.size(); ++index) {
    const ParameterInfo& info = graph_.parameters[index];
    const std::span<float> numbers = Keeps(index) ? kept_parameters_->gradient(index)
                                     : transfer_  ? transfer_->gradient(index)
                                                  : gradients[index];
    lent_gradients_[index] = Tensor(numbers, ShapeOf(info, numbers.size()));
    wanted_gradients_[index] = IsFrozen(info) ? Tensor() : lent_gradients_[index];
  }
}

Result<> Network::SendZeros(std::span<const std::span<float>> gradients, ParameterFlow* flow) {
  for (size_t index = 0; index < gradients.size(); ++index) {
    std::ranges::fill(gradients[index], 0.0F);
    if (Keeps(index)) kept_parameters_->ForgetGradient(index);
    if (flow == nullptr) continue;
    SM_TRY(flow->Await(index));
    SM_TRY(flow->Send(index));
  }
  return {};
}

Result<> Network::AwaitParameters(const GraphNode& node, ParameterFlow* flow) {
  for (size_t index = 0; index < node.layer->parameters().size(); ++index) {
    const size_t at = node.parameters_begin + index;
    if (flow != nullptr) SM_TRY(flow->Await(at));
    BringParameter(at);
  }
  return {};
}

void Network::BringParameter(size_t parameter) {
  std::span<const float> numbers = lent_[parameter];
  if (Keeps(parameter)) {
    if (layout_ == &training_) {
      kept_parameters_->Bring(parameter, numbers);
    } else {
      kept_parameters_->Lend(parameter, numbers);
    }
    numbers = kept_parameters_->parameter(parameter);
  } else if (transfer_) {
    transfer_->BringParameter(parameter, numbers);
    numbers = transfer_->parameter(parameter);
  }
  lent_parameters_[parameter] =
      ConstTensor(numbers, ShapeOf(graph_.parameters[parameter], numbers.size()));
}

// Where steps are recorded, what is less would have its piece for nothing: it crosses the bus in
// the time in which a few operations are begun.
uint64_t Network::PieceFloats() const { return varies_.empty() ? uint64_t{1} << 18 : 0; }

void Network::CutWayBack() {
  std::vector<bool> by_chance = by_chance_;
  for (size_t node = 0; node < by_chance.size(); ++node) {
    for (const uint32_t again : training_.again(node)) {
      by_chance[node] = by_chance[node] || by_chance_[again];
    }
  }
  back_ = CutStep(graph_, PieceFloats(), by_chance);
}

// Parameters and gradients stay where they are, as none of them changes its size; targets are read
// between pieces.
void Network::ChooseRecordings(const Samples& lent, bool training) {
  places_.assign({arena_.At(0, 0).data()});
  for (const Input& input : lent.inputs) {
    places_.push_back(input.floats.data());
    places_.push_back(input.ids.data());
  }
  const size_t pieces = forward_.size() + (training ? back_.size() : 0);
  recordings_.Choose(training, lent.rows, places_, pieces);
}

std::string Network::NotRecordedWords() const {
  return varies_.empty() ? backend_.not_recorded() : varies_;
}

Result<> Network::Forward(const Samples& samples, ParameterFlow* flow) {
  for (size_t index = 0; index < graph_.inputs; ++index) {
    const Shape shape = graph_.values[index].type.row.Rows(samples.rows);
    const Input& input = samples.inputs[index];
    switch (graph_.values[index].type.kind) {
      case ValueKind::kFloats:
        values_[index].floats = ConstTensor(input.floats, shape);
        break;
      case ValueKind::kIndices:
        values_[index].indices = IndexTensor(input.ids, shape);
        break;
      case ValueKind::kSparse:
        values_[index].sparse = {input.ids, input.floats, input.ends, samples.rows};
        break;
    }
  }
  for (size_t at = 0; at < forward_.size(); ++at) {
    const Piece& piece = forward_[at];
    for (size_t index = piece.begin; index < piece.end; ++index) {
      SM_TRY(AwaitParameters(graph_.nodes[index], flow));
    }
    recordings_.Do(at, piece.same, [&](bool asks) {
      for (size_t index = piece.begin; index < piece.end; ++index) {
        ForwardThrough(index, samples, false, asks);
      }
    });
  }
  return {};
}

void Network::ForwardThrough(size_t index, const Samples& samples, bool again, bool asks) {
  const GraphNode& node = graph_.nodes[index];
  const GraphValue& made = graph_.values[node.output];
  const Shape shape = made.type.row.Rows(samples.rows);
  if (node.passes) {
    values_[node.output].floats = values_[node.inputs[0]].floats.As(shape);
    return;
  }
  for (size_t slot = 0; slot < node.inputs.size(); ++slot) {
    node_inputs_[slot] = values_[node.inputs[slot]];
  }
  const Tensor output = Take(layout_->activation(made.home, again), shape);
  values_[node.output].floats = output;
  if (!asks) return;
  const size_t count = node.layer->parameters().size();
  node.layer->Forward(
      backend_, {.inputs = std::span(node_inputs_).first(node.inputs.size()),
                 .parameters = std::span(lent_parameters_).subspan(node.parameters_begin, count),
                 .output = output,
                 .saved = SavedOf(index, samples.rows, again),
                 .training = layout_ == &training_,
                 .chance = Mix(samples.chance ^ Mix(index))});
}

Result<> Network::Backward(const Samples& samples, ParameterFlow* flow) {
  for (size_t at = back_.size(); at-- > 0;) {
    const Piece& piece = back_[at];
    recordings_.Do(forward_.size() + at, piece.same, [&](bool asks) {
      for (size_t index = piece.end; index-- > piece.begin;) {
        for (const uint32_t again : layout_->again(index)) {
          ForwardThrough(again, samples, true, asks);
        }
        if (!asks) continue;
        if (graph_.nodes[index].trains) BackwardThrough(index, samples);
        FinishGradients(graph_.nodes[index], samples.rows);
      }
    });
    for (size_t index = piece.end; index-- > piece.begin;) {
      SM_TRY(SendGradients(graph_.nodes[index], flow));
    }
  }
  return {};
}

void Network::FinishGradients(const GraphNode& node, uint64_t rows) {
  const Tensor losses = Take(layout_->losses(), {rows + regularized_});
  const size_t end = node.parameters_begin + node.layer->parameters().size();
  for (size_t parameter = node.parameters_begin; parameter < end; ++parameter) {
    const ParameterInfo& info = graph_.parameters[parameter];
    const Tensor& gradient = lent_gradients_[parameter];
    if (IsFrozen(info) || !node.trains) backend_.Fill(0.0F, gradient);
    if (Regularizes(info)) {
      const Tensor penalty(losses.floats().subspan(rows + penalty_of_[parameter], 1), {1});
      backend_.Regularize(l1_, l2_, lent_parameters_[parameter], gradient, penalty);
    }
    if (Keeps(parameter)) {
      kept_parameters_->Measure(parameter);
    } else if (transfer_) {
      transfer_->MakeReady(parameter);
    }
  }
}

// Where they are copied, the host sends them later on.
Result<> Network::SendGradients(const GraphNode& node, ParameterFlow* flow) {
  const size_t end = node.parameters_begin + node.layer->parameters().size();
  for (size_t parameter = node.parameters_begin; parameter < end; ++parameter) {
    if (transfer_) {
      if (!Keeps(parameter)) transfer_->BeginToFetch(parameter);
    } else if (flow != nullptr) {
      SM_TRY(flow->Send(parameter));
    }
  }
  return {};
}

Result<> Network::AwaitGradients(std::span<const std::span<float>> gradients, ParameterFlow* flow) {
  for (size_t index = graph_.nodes.size(); index-- > 0;) {
    const GraphNode& node = graph_.nodes[index];
    const size_t end = node.parameters_begin + node.layer->parameters().size();
    for (size_t parameter = node.parameters_begin; parameter < end; ++parameter) {
      const bool come = Keeps(parameter) || transfer_->Fetch(parameter, gradients[parameter]);
      if (!come) return Failed();
      if (flow != nullptr) SM_TRY(flow->Send(parameter));
    }
  }
  return {};
}

bool Network::Regularizes(const ParameterInfo& info) const {
  return info.regularized && !IsFrozen(info) && (l1_ > 0 || l2_ > 0);
}

void Network::BackwardThrough(size_t index, const Samples& samples) {
  const GraphNode& node = graph_.nodes[index];
  const size_t inputs = node.inputs.size();
  const Tensor output_gradient = GradientOf(node.output, samples.rows);
  for (size_t slot = 0; slot < inputs; ++slot) {
    const uint32_t input = node.inputs[slot];
    const Shape shape = graph_.values[input].type.row.Rows(samples.rows);
    const GradientWay way = node.ways[slot];
    node_inputs_[slot] = values_[input];
    node_gradients_[slot] = Tensor();
    if (way == GradientWay::kAdd) {
      node_gradients_[slot] =
          node.passes ? output_gradient.As(shape) : Take(layout_->aside(index, slot), shape);
    } else if (way != GradientWay::kNone) {
      node_gradients_[slot] = GradientOf(input, samples.rows);
    }
  }
  if (!node.passes) {
    const size_t count = node.layer->parameters().size();
    node.layer->Backward(
        backend_,
        {.inputs = std::span(node_inputs_).first(inputs),
         .output = values_[node.output].floats,
         .output_gradient = output_gradient,
         .parameters = std::span(lent_parameters_).subspan(node.parameters_begin, count),
         .parameter_gradients = std::span(wanted_gradients_).subspan(node.parameters_begin, count),
         .input_gradients = std::span(node_gradients_).first(inputs),
         .saved = SavedOf(index, samples.rows, true),
         .chance = Mix(samples.chance ^ Mix(index))});
  }
  for (size_t slot = 0; slot < inputs; ++slot) {
    if (node.ways[slot] != GradientWay::kAdd) continue;
    backend_.Add(node_gradients_[slot], GradientOf(node.inputs[slot], samples.rows));
  }
}

}  // namespace shardmill::nn
