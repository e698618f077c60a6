#pragma once

#include <cstddef>
#include <iosfwd>
#include <vector>

#include "common/config/environment.h"

namespace shardmill {

// What a command of shardmill sees of the terminal and the environment. Made in main.
struct Console {
  std::ostream& out;  // Data.
  std::ostream& err;  // Messages and progress.
  std::vector<config::Variable> environment = {};
  bool animate = false;  // Messages go to a terminal: progress may redraw its line.
  bool color = false;
  size_t columns = 80;
};

}  // namespace shardmill
