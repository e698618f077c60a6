#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/ids.h"
#include "common/messages.h"
#include "common/result.h"

namespace shardmill {

// What a shard has the disk of its log do. The log that is there is read first, once.
struct ReadLog {};
// More of a file. Files are counted; one with which nothing was done before is begun.
struct LogBatch {
  uint64_t file = 0;
  bool begins = false;
  bool takes_over = false;  // With this it is the shard's log, and the one before it goes.
  Stamp stamp;
  std::vector<Follow> items;
};
using LogRequest = std::variant<ReadLog, LogBatch>;

// What came of it. An item of the log, in order, and then whether that was all.
struct LogItem {
  Stamp stamp;
  Follow item;
};
struct LogRead {
  std::string place;  // Of the file.
  Result<> result;    // kUnavailable: there is none.
};
// The batch is on disk; or nobody knows, and the file takes nothing more.
struct LogWritten {
  uint64_t file = 0;
  Result<uint64_t> bytes;  // Of the file.
};
using LogAnswer = std::variant<LogItem, LogRead, LogWritten>;

}  // namespace shardmill
