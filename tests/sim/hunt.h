#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/mutation.h"
#include "sim/scenario.h"

namespace shardmill::sim {

// A known bug that a test build can switch on.
struct KnownBug {
  const char* name;
  Mutation mutation;
  // Whether a history may show it at all; null: any may.
  bool (*may_show)(const Scenario& scenario) = nullptr;
};

std::span<const KnownBug> KnownBugs();

// What a hunt for one of them found: the first seed whose history shows it, and how.
struct Catch {
  bool caught = false;
  uint64_t seed = 0;
  std::string violation;
};

// Runs histories that may show the bug, of the seeds from 1 on, with the bug switched on, until one
// does.
Catch Hunt(const KnownBug& bug, uint64_t histories_max = 10000);

}  // namespace shardmill::sim
