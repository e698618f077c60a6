#include "common/net/endpoint.h"

namespace shardmill {
namespace {

constexpr std::string_view kLocal = ";local=";

}  // namespace

Endpoint Endpoint::Parse(std::string_view text) {
  const size_t mark = text.find(kLocal);
  if (mark == std::string_view::npos) return {std::string(text), ""};
  return {std::string(text.substr(0, mark)), std::string(text.substr(mark + kLocal.size()))};
}

std::string Endpoint::Text() const {
  return local.empty() ? tcp : tcp + std::string(kLocal) + local;
}

}  // namespace shardmill
