#pragma once

#include <string>
#include <string_view>

#include "common/config/load.h"
#include "common/config/schema.h"

namespace shardmill::config {

// The values as a file that loads to the same again; with their origins as comments where asked.
std::string PrintToml(const Listing& listing, bool with_origins);

// The reference page in Markdown: the introduction, then every section and key as declared.
std::string PrintReference(const Schema& schema, std::string_view introduction);

}  // namespace shardmill::config
