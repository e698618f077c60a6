#include "tests/system/chaos/log_judge.h"

#include <algorithm>
#include <cstddef>

namespace shardmill::chaos {
namespace {

// Whether these bytes are all there, and as they were.
bool AreWhole(const std::string& before, const std::string& damaged, uint64_t begin, uint64_t end) {
  return end <= damaged.size() &&
         damaged.compare(begin, end - begin, before, begin, end - begin) == 0;
}

// Of a log that was read up to a write. The head of a write says where the next one begins.
std::string JudgeEnd(const Written& written, const std::string& before, const std::string& damaged,
                     size_t first) {
  const std::vector<Written::Write>& writes = written.writes;
  const bool last = first + 1 == writes.size();
  const uint64_t end = last ? before.size() : writes[first + 1].begin;
  // Of a file that is cut off before the first write there is nothing to read.
  const uint64_t read =
      first > 0 ? writes[first].begin : std::min<uint64_t>(writes[first].begin, damaged.size());
  if (!AreWhole(before, damaged, 0, read)) return "a write that is damaged is read";
  if (AreWhole(before, damaged, writes[first].begin, end)) return "a write that is whole is gone";
  if (last || end >= damaged.size()) return "";
  for (size_t i = first; i < writes.size(); ++i) {
    const uint64_t begin = writes[i].begin;
    if (AreWhole(before, damaged, begin, begin + written.head_bytes)) {
      return "damage before the last write of a log was taken for a write cut off";
    }
  }
  return "";
}

}  // namespace

std::string JudgeLog(const Written& written, const std::string& before, const std::string& damaged,
                     const std::optional<Records>& read) {
  if (!read) return "";
  const bool prefix = read->size() <= written.records.size() &&
                      std::equal(read->begin(), read->end(), written.records.begin());
  if (!prefix) return "a damaged log was read as another";
  if (read->size() == written.records.size()) return "a damaged log was read as if it were whole";
  const auto write = std::ranges::find(written.writes, read->size(), &Written::Write::records);
  if (write == written.writes.end()) return "a log was read up to the midst of a write";
  return JudgeEnd(written, before, damaged, static_cast<size_t>(write - written.writes.begin()));
}

}  // namespace shardmill::chaos
