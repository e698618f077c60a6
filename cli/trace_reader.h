#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "server/trace_format.h"

namespace shardmill {

// Reads one shard's trace, event by event and strictly. Owned by whoever reads; one thread. Damage
// in the middle is an error with the file and the line; a last line that is cut off or damaged, as
// a process that was killed leaves it, only ends the trace there, and `flaw` says so.
class TraceReader final {
 public:
  static Result<std::unique_ptr<TraceReader>> Open(const std::string& path);

  const std::string& path() const { return path_; }
  const TraceHead& head() const { return head_; }
  // The next view, entry or answer. None: the trace is over.
  Result<std::optional<TraceEvent>> Next();
  // The number of the line that Next has returned last, counted from 1.
  uint64_t line() const { return line_; }
  // Once Next has returned none: what is wrong with the trace's end. Empty: it is whole.
  const std::string& flaw() const { return flaw_; }

 private:
  explicit TraceReader(const std::string& path);

  Error Bad(const std::string& words) const;
  // False: there is no line any more. The error is about a line that is too long.
  Result<bool> ReadLine(std::string& text, bool& whole);
  Result<std::optional<TraceEvent>> ReadEvent();

  std::string path_;
  std::ifstream file_;
  TraceHead head_;
  uint64_t line_ = 0;
  std::string flaw_;
};

// The traces that a folder has (its own, or those of its folder "trace"), or the file itself.
// Sorted. An error where there is none.
Result<std::vector<std::string>> FindTraces(const std::string& path);

}  // namespace shardmill
