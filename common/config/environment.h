#pragma once

#include <string>
#include <vector>

namespace shardmill::config {

struct Variable {
  std::string name;
  std::string value;
};

// All of this process's environment. The one place that reads it: called in main and handed on.
std::vector<Variable> ProcessEnvironment();

// The value of the variable, or an empty text where it is not set.
std::string ValueOf(const std::vector<Variable>& environment, const std::string& name);

}  // namespace shardmill::config
