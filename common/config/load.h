#pragma once

#include <string>
#include <vector>

#include "common/config/environment.h"
#include "common/config/schema.h"
#include "common/result.h"

namespace shardmill::config {

// What stands above the file: flags first, then the environment.
struct Overrides {
  std::vector<std::string> sets = {};      // Each as "section.key=value".
  std::vector<Variable> environment = {};  // All of it; without kEnvironmentPrefix it is not ours.
};

// "SHARDMILL__POLICY__MODE" is policy.mode.
inline constexpr std::string_view kEnvironmentPrefix = "SHARDMILL__";

// A key and what it is in the end.
struct Effective {
  std::string key;     // "section.key".
  std::string value;   // As TOML.
  std::string origin;  // "default", "FILE:LINE:COLUMN", "environment NAME" or "--set".
  std::string unit;
  std::string range;
  std::string default_value;  // As TOML; empty where the key must be given.
  std::string help;
};

// In the order of the declarations; a key that means nothing beside the others is left out.
using Listing = std::vector<Effective>;

// Reads the text of a file, the environment and the flags, in rising rank, into the fields that the
// schema is bound to. The error names everything that is wrong, a line each, and its code is
// kBadUsage. `file` is the name that messages show.
Result<Listing> Load(Schema& schema, const std::string& file, std::string_view text,
                     const Overrides& overrides);

// The whole of a file, or why it cannot be a job file.
Result<std::string> ReadFile(const std::string& path);

}  // namespace shardmill::config
