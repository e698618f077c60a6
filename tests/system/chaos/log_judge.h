#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shardmill::chaos {

using Records = std::vector<std::string>;

// What was written into a log, and where: of each write the byte at which it begins, and how many
// records were there before.
struct Written {
  struct Write {
    uint64_t begin = 0;
    uint64_t records = 0;
  };
  Records records = {};
  std::vector<Write> writes = {};
  // Of a write, by which its reader finds it behind a damaged one where it cannot be told from a
  // write cut off. 0: damage to a head can always be told from that.
  uint64_t head_bytes = 0;
};

// What is wrong with how a damaged log, whose bytes were `before`, was read; empty: nothing. None
// read: it was refused. Otherwise only what a crash could have cut off may be left out: the write
// that the damage begins in, where that is the last one there, or where its head and those of all
// writes behind it are damaged.
std::string JudgeLog(const Written& written, const std::string& before, const std::string& damaged,
                     const std::optional<Records>& read);

}  // namespace shardmill::chaos
