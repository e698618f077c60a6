#pragma once

#include <string>
#include <vector>

namespace shardmill {

// A key of the job file, as "section.key", and its value as TOML.
struct JobKey {
  std::string key;
  std::string value;

  bool operator==(const JobKey&) const = default;
};
using JobKeyList = std::vector<JobKey>;

// A key that two jobs do not say alike; empty where the one or the other does not say it.
struct JobKeyChange {
  std::string key;
  std::string before;
  std::string now;

  // "train.epochs is 3, and was 2".
  std::string Words() const;
};

// In the order of `now`, and then of what is only in `before`. Where nothing is known of before,
// nothing has changed.
std::vector<JobKeyChange> ChangesOf(const JobKeyList& before, const JobKeyList& now);

}  // namespace shardmill
