#include "common/job_key.h"

#include <algorithm>

namespace shardmill {
namespace {

constexpr size_t kShownMax = 80;  // Of a value: a network may take a page.

std::string Shown(const std::string& value) {
  if (value.empty()) return "not said";
  return value.size() <= kShownMax ? value : value.substr(0, kShownMax) + "...";
}

std::string ValueOf(const JobKeyList& keys, const std::string& key) {
  const auto found = std::ranges::find(keys, key, &JobKey::key);
  return found == keys.end() ? "" : found->value;
}

}  // namespace

std::string JobKeyChange::Words() const {
  return key + " is " + Shown(now) + ", and was " + Shown(before);
}

std::vector<JobKeyChange> ChangesOf(const JobKeyList& before, const JobKeyList& now) {
  std::vector<JobKeyChange> changes;
  if (before.empty()) return changes;
  for (const JobKey& is : now) {
    const std::string was = ValueOf(before, is.key);
    if (was != is.value) changes.push_back({is.key, was, is.value});
  }
  for (const JobKey& was : before) {
    if (ValueOf(now, was.key).empty()) changes.push_back({was.key, was.value, ""});
  }
  return changes;
}

}  // namespace shardmill
