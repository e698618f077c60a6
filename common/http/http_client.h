#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "common/http/http_server.h"
#include "common/result.h"

namespace shardmill {

inline constexpr size_t kHttpBodyBytesMax = size_t{16} << 20;

// Asks for http://ADDRESS/PATH, where the address is "HOST:PORT", and waits `timeout` at most for
// the connection and for each next piece of the answer. Any status is a response. kBadUsage: no
// such address can be; kUnavailable: nobody answers there; kBadInput: the answer is too long.
Result<HttpResponse> HttpGet(const std::string& address, const std::string& path,
                             std::chrono::milliseconds timeout);

// The same, where only status 200 will do.
Result<std::string> HttpGetBody(const std::string& address, const std::string& path,
                                std::chrono::milliseconds timeout);

}  // namespace shardmill
