// HTTP, over a socket as anybody has it. The input is what a client sends before it hangs up.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstdio>

#include "common/http/http_server.h"
#include "common/process/file_descriptor.h"
#include "tests/fuzz/input.h"

namespace shardmill::fuzz {
namespace {

std::unique_ptr<HttpServer> StartServer() {
  const auto ready = [](const HttpRequest& request) {
    return HttpResponse{.status = 503, .body = request.Has("verbose") ? "no view\n" : "no\n"};
  };
  const auto status = [](const HttpRequest&) {
    return HttpResponse{.content_type = "application/json", .body = "{}"};
  };
  Result<std::unique_ptr<HttpServer>> server =
      HttpServer::Start({}, {{"/readyz", ready}, {"/status", status}});
  Check(server.ok(), "a server begins");
  return std::move(server).value();
}

sockaddr_in AddressOf(const HttpServer& server) {
  const std::string& text = server.address();
  uint16_t port = 0;
  std::from_chars(text.data() + text.rfind(':') + 1, text.data() + text.size(), port);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return to;
}

// The fuzzer's own signals may interrupt it, and then the socket is of no more use.
FileDescriptor Connect(const sockaddr_in& to) {
  while (true) {
    FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
      return socket;
    }
    if (errno == EINTR) continue;
    std::perror("connect");
    Check(false, "the server takes connections");
  }
}

// What comes back until the server hangs up, too.
std::string Exchange(const sockaddr_in& to, Input input) {
  const FileDescriptor socket = Connect(to);
  send(socket.get(), input.data(), input.size(), MSG_NOSIGNAL);
  shutdown(socket.get(), SHUT_WR);
  std::string answer;
  char bytes[1024];
  ssize_t count = 0;
  while ((count = recv(socket.get(), bytes, sizeof bytes, 0)) > 0) {
    answer.append(bytes, static_cast<size_t>(count));
  }
  return answer;
}

}  // namespace

void Try(Input input) {
  static const std::unique_ptr<HttpServer> server = StartServer();
  static const sockaddr_in to = AddressOf(*server);
  const std::string answer = Exchange(to, input);
  Check(answer.empty() || answer.starts_with("HTTP/1."), "an answer is HTTP");
}

std::vector<std::string> Seeds() {
  return {"GET /readyz?verbose&x=%20 HTTP/1.1\r\nHost: a\r\n\r\n",
          "HEAD /status HTTP/1.0\r\nConnection: Keep-Alive\r\nRange: bytes=0-1\r\n\r\n",
          "GET /status HTTP/1.1\r\nAccept-Encoding: gzip, br\r\nExpect: 100-continue\r\n\r\n",
          "POST /status HTTP/1.1\r\nContent-Length: 3\r\nContent-Type: multipart/form-data; "
          "boundary=b\r\n\r\n--b",
          "GET /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"};
}

}  // namespace shardmill::fuzz
