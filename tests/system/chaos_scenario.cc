#include "tests/system/chaos_scenario.h"

#include <algorithm>

namespace shardmill::chaos {
namespace {

const Scenario* const kScenarios[] = {&kWorkerKill, &kStop, &kTwin};

}  // namespace

std::span<const Scenario* const> Scenarios() { return kScenarios; }

const Scenario* FindScenario(std::string_view name) {
  const auto found = std::ranges::find(kScenarios, name, &Scenario::name);
  return found == std::end(kScenarios) ? nullptr : *found;
}

Aim DrawAim(Rng& rng, const ClusterPlan& plan, int signal) {
  Aim aim;
  aim.signal = signal;
  aim.phase = kPhases[rng.Below(std::size(kPhases))];
  aim.step = 1 + rng.Below(plan.steps / 2);
  aim.hit = 1 + rng.Below(6);
  return aim;
}

}  // namespace shardmill::chaos
