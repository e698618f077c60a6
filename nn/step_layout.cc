#include "nn/step_layout.h"

#include <algorithm>
#include <utility>

namespace shardmill::nn {

// Moments: node i goes forward at i, and the loss is at the number of nodes; behind it come the way
// back and what is made again for it, one moment each.
StepLayout::StepLayout(const StepParts& parts, Ways ways, Homes given_up)
    : given_up_(std::move(given_up)) {
  const size_t nodes = parts.graph->nodes.size(), values = parts.graph->values.size();
  given_up_.resize(values);
  makers_.resize(values);
  activations_[0].resize(values);
  gradients_.resize(values);
  asides_.resize(nodes);
  again_.resize(nodes);
  GoForward(parts);
  activations_[1] = activations_[0];
  saved_[1] = saved_[0];
  if (ways == Ways::kForwardAndBack) GoBack(parts);
}

void StepLayout::Read(const StepParts& parts, uint32_t value, bool again, uint32_t moment) {
  const uint32_t home = parts.graph->values[value].home;
  if (home >= parts.graph->inputs) plan_.Extend(activations_[again ? 1 : 0][home], moment);
}

void StepLayout::GoForward(const StepParts& parts) {
  const Graph& graph = *parts.graph;
  const auto nodes = static_cast<uint32_t>(graph.nodes.size());
  for (uint32_t i = 0; i < nodes; ++i) {
    const GraphNode& node = graph.nodes[i];
    const GraphValue& made = graph.values[node.output];
    makers_[made.home].push_back(i);
    if (made.home == node.output) {
      activations_[0][made.home] = plan_.Add(0, made.type.row.size(), i, i);
    }
    Read(parts, node.output, false, i);
    for (const uint32_t input : node.inputs) Read(parts, input, false, i);
    saved_[0].push_back(plan_.Add(parts.saved[i].of_batch, parts.saved[i].of_row, i, i));
  }
  Read(parts, graph.nodes.back().output, false, nodes);
  losses_ = plan_.Add(parts.penalties, 1, nodes, nodes);
}

void StepLayout::GoBack(const StepParts& parts) {
  const Graph& graph = *parts.graph;
  auto moment = static_cast<uint32_t>(graph.nodes.size());
  gradients_.back() = plan_.Add(0, graph.output().type.row.size(), moment, moment);
  for (auto i = static_cast<uint32_t>(graph.nodes.size()); i-- > 0;) {
    const GraphNode& node = graph.nodes[i];
    asides_[i].resize(node.inputs.size());
    if (!node.trains) continue;
    if (!node.passes) {
      const LayerTraits traits = node.layer->traits();
      const bool reads_saved = parts.saved[i].of_batch + parts.saved[i].of_row > 0;
      const auto want = [&](uint32_t value) {
        MakeAgain(parts, graph.values[value].home, i, again_[i]);
      };
      if (traits.reads_output || reads_saved) want(node.output);
      for (const uint32_t input : node.inputs) {
        if (traits.reads_inputs) want(input);
      }
      std::ranges::sort(again_[i]);
      for (const uint32_t other : again_[i]) GoAgain(parts, other, ++moment);
    }
    GoBackThrough(parts, i, ++moment);
  }
  plan_.Extend(losses_, moment);
}

void StepLayout::MakeAgain(const StepParts& parts, uint32_t home, uint32_t last,
                           std::vector<uint32_t>& nodes) {
  if (!given_up_[home]) return;
  given_up_[home] = false;
  for (const uint32_t maker : makers_[home]) {
    // Who hands it on may come later: others have seen it before.
    if (maker > last && !parts.graph->nodes[maker].passes) continue;
    nodes.push_back(maker);
    for (const uint32_t input : parts.graph->nodes[maker].inputs) {
      MakeAgain(parts, parts.graph->values[input].home, maker, nodes);
    }
  }
}

void StepLayout::GoAgain(const StepParts& parts, uint32_t node, uint32_t moment) {
  const GraphNode& made = parts.graph->nodes[node];
  const GraphValue& output = parts.graph->values[made.output];
  if (output.home == made.output) {
    activations_[1][output.home] = plan_.Add(0, output.type.row.size(), moment, moment);
  }
  const SavedSize& saved = parts.saved[node];
  saved_[1][node] = plan_.Add(saved.of_batch, saved.of_row, moment, moment);
  Read(parts, made.output, true, moment);
  for (const uint32_t input : made.inputs) Read(parts, input, true, moment);
}

void StepLayout::GoBackThrough(const StepParts& parts, uint32_t node, uint32_t moment) {
  const Graph& graph = *parts.graph;
  const GraphNode& from = graph.nodes[node];
  if (!from.passes) {
    const LayerTraits traits = from.layer->traits();
    plan_.Extend(saved_[1][node], moment);
    if (traits.reads_output) Read(parts, from.output, true, moment);
    for (const uint32_t input : from.inputs) {
      if (traits.reads_inputs) Read(parts, input, true, moment);
    }
  }
  plan_.Extend(gradients_[from.output], moment);
  for (size_t slot = 0; slot < from.inputs.size(); ++slot) {
    const uint32_t input = from.inputs[slot];
    const uint64_t size = graph.values[input].type.row.size();
    if (from.ways[slot] == GradientWay::kOver) {
      gradients_[input] = gradients_[from.output];
    } else if (from.ways[slot] == GradientWay::kWrite) {
      gradients_[input] = plan_.Add(0, size, moment, moment);
    } else if (from.ways[slot] == GradientWay::kAdd) {
      asides_[node][slot] = plan_.Add(0, size, moment, moment);
    }
  }
}

}  // namespace shardmill::nn
