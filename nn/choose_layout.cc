#include "nn/choose_layout.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>
#include <vector>

namespace shardmill::nn {
namespace {

// Into how many parts of equal size what is given up is cut by values that are kept.
constexpr std::array<uint64_t, 12> kCuts{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
// How many bounds on the work for a float are tried.
constexpr size_t kBounds = 6;
// What one costs grows with the square of the layers.
constexpr int kTriesMax = 1000;

uint64_t WorkOf(const GraphNode& node) { return node.passes ? 0 : node.layer->Work(); }

// A home, what giving it up frees between the ways, and what it takes to make it again.
struct Choice {
  uint32_t home = 0;
  uint64_t floats = 0;
  uint64_t work = 0;
  double work_of_float() const { return static_cast<double>(work) / static_cast<double>(floats); }
};

// Every home that the way back can want, in the order of the way forward.
std::vector<Choice> ChoicesOf(const StepParts& parts, uint64_t rows) {
  const Graph& graph = *parts.graph;
  const StepLayout all(parts, StepLayout::Ways::kForwardAndBack,
                       StepLayout::Homes(graph.values.size(), true));
  std::vector<Choice> of_values(graph.values.size());
  for (size_t node = 0; node < graph.nodes.size(); ++node) {
    for (const uint32_t again : all.again(node)) {
      const GraphValue& output = graph.values[graph.nodes[again].output];
      if (output.home < graph.inputs) continue;
      Choice& choice = of_values[output.home];
      choice.home = output.home;
      choice.floats = std::max(choice.floats, rows * graph.values[output.home].type.row.size());
      choice.work += WorkOf(graph.nodes[again]);
    }
  }
  for (size_t node = 0; node < graph.nodes.size(); ++node) {
    Choice& choice = of_values[graph.values[graph.nodes[node].output].home];
    if (choice.floats == 0) continue;
    choice.floats += parts.saved[node].of_batch + rows * parts.saved[node].of_row;
  }
  std::erase_if(of_values, [](const Choice& choice) { return choice.floats == 0; });
  return of_values;
}

// Looks among layouts that cut the way forward into parts, and then among those that differ from
// the best of them in one value.
class Search final {
 public:
  Search(const StepParts& parts, uint64_t rows, uint64_t floats_max)
      : parts_(parts),
        rows_(rows),
        floats_max_(floats_max),
        given_up_(parts.graph->values.size()),
        best_(parts) {
    floats_ = best_.Place(rows);
  }

  StepLayout Run() {
    if (floats_ <= floats_max_) return std::move(best_);
    choices_ = ChoicesOf(parts_, rows_);
    TryParts();
    std::ranges::sort(choices_, [](const Choice& left, const Choice& right) {
      const double of_left = left.work_of_float(), of_right = right.work_of_float();
      return of_left != of_right ? of_left > of_right : left.home < right.home;
    });
    while (tries_ < kTriesMax && TryNeighbours()) {
    }
    return std::move(best_);
  }

 private:
  // Whether a layout is the best so far: it fits with the least work, or takes the fewest floats.
  bool Try(const StepLayout::Homes& given_up) {
    if (++tries_ > kTriesMax) return false;
    StepLayout layout(parts_, StepLayout::Ways::kForwardAndBack, given_up);
    const uint64_t floats = layout.Place(rows_), work = WorkAgain(parts_, layout);
    const uint64_t over = floats - std::min(floats, floats_max_);
    const uint64_t best_over = floats_ - std::min(floats_, floats_max_);
    if (std::tie(over, work, floats) >= std::tie(best_over, work_, floats_)) return false;
    best_ = std::move(layout);
    given_up_ = given_up;
    floats_ = floats;
    work_ = work;
    return true;
  }

  // Gives up what takes little work for a float, but for values that cut it into parts.
  void TryParts() {
    std::vector<double> bounds;
    for (const Choice& choice : choices_) bounds.push_back(choice.work_of_float());
    std::ranges::sort(bounds);
    for (size_t i = 1; i <= kBounds && !bounds.empty(); ++i) {
      const double bound = bounds[i * (bounds.size() - 1) / kBounds];
      uint64_t all = 0;
      for (const Choice& choice : choices_)
        all += choice.work_of_float() <= bound ? choice.floats : 0;
      for (const uint64_t cuts : kCuts) TryPartsOf(bound, all / cuts);
    }
  }

  void TryPartsOf(double bound, uint64_t floats_of_part) {
    StepLayout::Homes given_up(parts_.graph->values.size());
    uint64_t part = 0;
    for (const Choice& choice : choices_) {
      const bool kept = choice.work_of_float() > bound || part + choice.floats > floats_of_part;
      part = kept ? 0 : part + choice.floats;
      given_up[choice.home] = !kept;
    }
    Try(given_up);
  }

  bool TryNeighbours() {
    bool better = false;
    for (const Choice& choice : choices_) {
      StepLayout::Homes given_up = given_up_;
      given_up[choice.home] = !given_up[choice.home];
      better = Try(given_up) || better;
    }
    return better;
  }

  const StepParts& parts_;
  const uint64_t rows_;
  const uint64_t floats_max_;
  std::vector<Choice> choices_;
  int tries_ = 0;
  StepLayout::Homes given_up_;
  StepLayout best_;
  uint64_t floats_ = 0;
  uint64_t work_ = 0;
};

}  // namespace

uint64_t WorkAgain(const StepParts& parts, const StepLayout& layout) {
  uint64_t work = 0;
  for (size_t node = 0; node < parts.graph->nodes.size(); ++node) {
    for (const uint32_t again : layout.again(node)) work += WorkOf(parts.graph->nodes[again]);
  }
  return work;
}

uint64_t WorkForward(const StepParts& parts) {
  uint64_t work = 0;
  for (const GraphNode& node : parts.graph->nodes) work += WorkOf(node);
  return work;
}

uint64_t WorkBack(const StepParts& parts) {
  uint64_t work = 0;
  for (const GraphNode& node : parts.graph->nodes) {
    const bool by_weights = std::ranges::any_of(
        node.layer->parameters(), [](const ParameterInfo& info) { return info.rate > 0; });
    const bool by_inputs =
        std::ranges::any_of(node.ways, [](GradientWay way) { return way != GradientWay::kNone; });
    work += WorkOf(node) * ((by_weights ? 1U : 0U) + (by_inputs ? 1U : 0U));
  }
  return work;
}

StepLayout ChooseLayout(const StepParts& parts, uint64_t rows, uint64_t floats_max) {
  return Search(parts, rows, floats_max).Run();
}

}  // namespace shardmill::nn
