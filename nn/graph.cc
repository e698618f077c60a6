#include "nn/graph.h"

#include <algorithm>
#include <utility>

#include "nn/layer_types.h"
#include "nn/own_types.h"

namespace shardmill::nn {
namespace {

constexpr std::string_view kOnlyInput = "input";

Error BadSpec(std::string words) { return {ErrorCode::kBadUsage, std::move(words)}; }

Result<> AddInputs(const NetworkSpec& spec, Graph& graph) {
  std::vector<InputSpec> inputs = spec.inputs;
  if (inputs.empty()) {
    inputs.push_back({std::string(kOnlyInput), {ValueKind::kFloats, spec.input}});
  }
  for (InputSpec& input : inputs) {
    const Shape& row = input.type.row;
    if (row.size() == 0 || row.dims() >= Shape::kDimsMax) {
      return BadSpec("a network cannot read rows of the shape " + row.ToString());
    }
    const auto home = static_cast<uint32_t>(graph.values.size());
    graph.values.push_back({.name = std::move(input.name), .type = input.type, .home = home});
  }
  graph.inputs = graph.values.size();
  return {};
}

Result<uint32_t> FindValue(const Graph& graph, const std::string& name) {
  const auto found = std::ranges::find(graph.values, name, &GraphValue::name);
  if (found != graph.values.end()) {
    return static_cast<uint32_t>(found - graph.values.begin());
  }
  return BadSpec("it reads \"" + name + "\", but no input and no layer above it has that name");
}

LayerResult MakeNode(const LayerSpec& spec, const OwnTypes* own, Graph& graph, GraphNode& node) {
  for (const std::string& name : spec.inputs) {
    node.inputs.push_back(SM_TRY(FindValue(graph, name)));
  }
  if (spec.inputs.empty()) node.inputs.push_back(static_cast<uint32_t>(graph.values.size() - 1));
  std::vector<ValueType> types;
  for (const uint32_t input : node.inputs) types.push_back(graph.values[input].type);
  return MakeLayer(spec, types, own == nullptr ? std::span<const LayerType>() : own->layers);
}

// The network's input that this is, or is made of by layers without weights; else itself.
uint32_t SourceOf(const Graph& graph, uint32_t value) {
  std::vector<uint32_t> sources;
  for (uint32_t at = 0; at <= value; ++at) {
    sources.push_back(at);
    if (at < graph.inputs) continue;
    const GraphNode& maker = graph.nodes[at - graph.inputs];
    if (!maker.layer->parameters().empty()) continue;
    for (const uint32_t input : maker.inputs) {
      if (sources[input] < graph.inputs) sources[at] = sources[input];
    }
  }
  return sources[value];
}

Result<> AddLayer(const LayerSpec& spec, const OwnTypes* own, Graph& graph) {
  const std::string place = std::to_string(graph.nodes.size() + 1);
  GraphNode node;
  node.name = spec.name.empty() ? spec.type + '_' + place : spec.name;
  const auto fail = [&](const std::string& words) {
    const std::string called = spec.name.empty() ? "" : ", named \"" + spec.name + '"';
    return BadSpec("layer " + place + " (\"" + spec.type + '"' + called + "): " + words);
  };
  if (std::ranges::find(graph.values, node.name, &GraphValue::name) != graph.values.end()) {
    return fail("there is another \"" + node.name + "\" above it");
  }
  Result<std::unique_ptr<Layer>> layer = MakeNode(spec, own, graph, node);
  if (!layer.ok()) return fail(layer.error().message);
  node.layer = std::move(*layer);
  node.output = static_cast<uint32_t>(graph.values.size());
  node.parameters_begin = graph.parameters.size();
  node.passes = node.layer->traits().view;
  for (const ParameterInfo& parameter : node.layer->parameters()) {
    node.trains = node.trains || (parameter.role == Role::kTrained && parameter.rate > 0);
    graph.parameters.push_back(parameter);
    graph.parameters.back().name = node.name + '.' + parameter.name;
    graph.parameters.back().input = SourceOf(graph, node.inputs[0]);
  }
  for (const uint32_t input : node.inputs) {
    ++graph.values[input].readers;
    graph.values[input].index_limit =
        std::min(graph.values[input].index_limit, node.layer->IndexLimit());
    node.trains = node.trains || graph.values[input].wants_gradient;
  }
  graph.values.push_back({.name = node.name,
                          .type = {ValueKind::kFloats, node.layer->output()},
                          .home = node.output,
                          .wants_gradient = node.trains});
  graph.nodes.push_back(std::move(node));
  return {};
}

// Has layers do the activation that alone reads them.
void AbsorbActivations(Graph& graph) {
  for (GraphNode& node : graph.nodes) {
    const std::optional<Elementwise> function = node.layer->Function();
    const uint32_t input = node.inputs[0];
    if (!function || !InvertsFromOutput(function->activation) || input < graph.inputs ||
        graph.values[input].readers != 1) {
      continue;
    }
    node.passes = graph.nodes[input - graph.inputs].layer->Absorb(*function);
  }
}

// Whether nobody but this node will look again at what lies in the memory of its first input.
bool MayLieOver(const Graph& graph, uint32_t value) {
  while (true) {
    if (value < graph.inputs || graph.values[value].readers != 1) return false;
    const GraphNode& maker = graph.nodes[value - graph.inputs];
    if (!maker.passes && maker.layer->traits().reads_output) return false;
    if (graph.values[value].home == value) return true;
    value = maker.inputs[0];
  }
}

void ShareMemory(Graph& graph) {
  for (const GraphNode& node : graph.nodes) {
    const uint32_t input = node.inputs[0];
    const bool over = node.layer->traits().in_place && MayLieOver(graph, input);
    if (node.passes || over) graph.values[node.output].home = graph.values[input].home;
  }
}

// The last reader's gradient comes first.
void RouteGradients(Graph& graph) {
  std::vector<bool> written(graph.values.size());
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    for (size_t slot = 0; slot < node->inputs.size(); ++slot) {
      const uint32_t input = node->inputs[slot];
      const bool over = slot == 0 && (node->passes || node->layer->traits().gradient_in_place);
      GradientWay way = over ? GradientWay::kOver : GradientWay::kWrite;
      if (written[input]) way = GradientWay::kAdd;
      if (!node->trains || !graph.values[input].wants_gradient) way = GradientWay::kNone;
      written[input] = written[input] || way != GradientWay::kNone;
      node->ways.push_back(way);
    }
  }
}

Result<> CheckAllIsRead(const Graph& graph) {
  for (size_t value = 0; value + 1 < graph.values.size(); ++value) {
    if (graph.values[value].readers > 0) continue;
    return BadSpec((value < graph.inputs ? "no layer reads the input \"" : "no layer reads \"") +
                   graph.values[value].name + "\", and only the last layer goes to the loss");
  }
  return {};
}

}  // namespace

Result<Graph> MakeGraph(const NetworkSpec& spec) {
  Graph graph;
  SM_TRY(AddInputs(spec, graph));
  for (const LayerSpec& layer : spec.layers) SM_TRY(AddLayer(layer, spec.own, graph));
  if (graph.nodes.empty() || !graph.nodes.back().trains) {
    return BadSpec(
        "the network has nothing to train: give it a layer with weights, such as \"affine\"");
  }
  SM_TRY(CheckAllIsRead(graph));
  AbsorbActivations(graph);
  ShareMemory(graph);
  RouteGradients(graph);
  return graph;
}

}  // namespace shardmill::nn
