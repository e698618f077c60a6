#pragma once

#include <string>
#include <string_view>

namespace shardmill {

// Where a peer is found: "tcp://HOST:PORT", and where it also serves its own host through shared
// memory, ";local=TOKEN" behind that, and where it asks for keys, ";key=" and its own public one.
// To all but a transport the text is one word.
struct Endpoint {
  std::string tcp;
  std::string local = {};  // Empty: none.
  std::string key = {};    // In hexadecimal. Empty: none.

  static Endpoint Parse(std::string_view text);
  std::string Text() const;
};

}  // namespace shardmill
