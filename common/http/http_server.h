#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"

namespace shardmill {

// What a client asked for, as far as handlers need it. A value.
struct HttpRequest {
  std::string path;
  std::vector<std::string> parameters;  // Names of what stands behind the question mark.

  bool Has(const std::string& parameter) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
};

// Called on threads of the server's, several at a time. Must not wait for anything long.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

struct HttpRoute {
  std::string path;  // Whole and literal, "/metrics".
  HttpHandler handler;
};

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  // 0 takes any free one.
};

// What one server bears; a peer beyond a limit is cut off or waits in the kernel's backlog.
inline constexpr size_t kHttpThreads = 32;              // Connections served at a time.
inline constexpr size_t kHttpWaitingMax = 16;           // Connections taken and not yet served.
inline constexpr int kHttpBacklog = 128;                // Connections not yet taken.
inline constexpr size_t kHttpPayloadBytesMax = 4096;    // Of a request.
inline constexpr std::chrono::seconds kHttpIdleMax{1};  // Before a request begins.
inline constexpr std::chrono::seconds kHttpWaitMax{2};  // For the next bytes to come or go.

// Answers GET and HEAD for a few paths, one request a connection. A client that says nothing holds
// one of the threads for kHttpIdleMax, and threads are made as they are needed. Owned by main;
// serves on threads of its own from Start to the destructor, which waits for answers under way.
// Handlers must live as long. What peers send can fail only their own request.
class HttpServer final {
  struct Impl;  // Keeps the HTTP library, which is slow to compile, out of this header.

 public:
  // A port in use or a host that is not this machine's is an error in words.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                   std::vector<HttpRoute> routes);
  HttpServer(std::unique_ptr<Impl> impl, std::string address);  // For Start.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "HOST:PORT", with the port that was taken.
  const std::string& address() const { return address_; }

 private:
  std::unique_ptr<Impl> impl_;
  std::string address_;
};

}  // namespace shardmill
