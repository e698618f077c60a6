#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/mutation.h"

namespace shardmill::sim {

// A known bug that a test build can switch on.
struct KnownBug {
  const char* name;
  Mutation mutation;
};

std::span<const KnownBug> KnownBugs();

// What a hunt for one of them found: the first seed whose history shows it, and how.
struct Catch {
  bool caught = false;
  uint64_t seed = 0;
  std::string violation;
};

// Runs the histories of the seeds from 1 on, with the bug switched on, until one shows it.
Catch Hunt(Mutation mutation, uint64_t seeds_max = 10000);

}  // namespace shardmill::sim
