#include "common/config/environment.h"

#include <unistd.h>

#include <string_view>

namespace shardmill::config {

std::vector<Variable> ProcessEnvironment() {
  std::vector<Variable> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.push_back(
        {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))});
  }
  return variables;
}

std::string ValueOf(const std::vector<Variable>& environment, const std::string& name) {
  for (const Variable& variable : environment) {
    if (variable.name == name) return variable.value;
  }
  return "";
}

}  // namespace shardmill::config
