#pragma once

#include <cstddef>
#include <ostream>
#include <vector>

#include "common/config/environment.h"
#include "common/result.h"

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

// Whether all that a command wrote to console.out has gone where it should: a full disk or a closed
// pipe must not look like success.
inline Result<> FlushResult(const Console& console) {
  if (console.out.flush()) return {};
  return Error{ErrorCode::kFailed, "stdout cannot be written, and the result did not reach it"};
}

}  // namespace shardmill
