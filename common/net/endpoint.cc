#include "common/net/endpoint.h"

namespace shardmill {
namespace {

constexpr std::string_view kLocal = "local=";
constexpr std::string_view kKey = "key=";

}  // namespace

Endpoint Endpoint::Parse(std::string_view text) {
  Endpoint endpoint;
  endpoint.tcp = text.substr(0, text.find(';'));
  while (text.find(';') != std::string_view::npos) {
    text.remove_prefix(text.find(';') + 1);
    const std::string_view part = text.substr(0, text.find(';'));
    if (part.starts_with(kLocal)) endpoint.local = part.substr(kLocal.size());
    if (part.starts_with(kKey)) endpoint.key = part.substr(kKey.size());
  }
  return endpoint;
}

std::string Endpoint::Text() const {
  std::string text = tcp;
  if (!local.empty()) text += ";" + std::string(kLocal) + local;
  if (!key.empty()) text += ";" + std::string(kKey) + key;
  return text;
}

}  // namespace shardmill
