// These tests use sockets on loopback, in the network namespace that each test has of its own, on
// ports that the kernel chooses.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <charconv>
#include <chrono>
#include <mutex>
#include <thread>

#include "common/http/http_client.h"
#include "common/http/http_server.h"
#include "common/process/file_descriptor.h"
#include "common/published.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{5000};

std::vector<HttpRoute> Routes() {
  const auto ready = [](const HttpRequest& request) {
    return HttpResponse{.status = 503, .body = request.Has("verbose") ? "no view yet\n" : "no\n"};
  };
  const auto json = [](const HttpRequest&) {
    return HttpResponse{.content_type = "application/json", .body = "{}"};
  };
  return {{"/readyz", ready}, {"/status", json}};
}

std::unique_ptr<HttpServer> Start(uint16_t port = 0) {
  Result<std::unique_ptr<HttpServer>> server = HttpServer::Start({.port = port}, Routes());
  EXPECT_TRUE(server.ok()) << server.error().message;
  return std::move(server).value();
}

uint16_t PortOf(const HttpServer& server) {
  const std::string& address = server.address();
  uint16_t port = 0;
  std::from_chars(address.data() + address.rfind(':') + 1, address.data() + address.size(), port);
  return port;
}

FileDescriptor Connect(uint16_t port) {
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  return socket;
}

// What the server sends on a connection on which this was written.
std::string Exchange(uint16_t port, const std::string& request) {
  const FileDescriptor socket = Connect(port);
  if (send(socket.get(), request.data(), request.size(), 0) < 0) return "";
  std::string answer;
  char bytes[1024];
  ssize_t count = 0;
  while ((count = recv(socket.get(), bytes, sizeof bytes, 0)) > 0) {
    answer.append(bytes, static_cast<size_t>(count));
  }
  return answer;
}

TEST(HttpTest, AnswersGetWithStatusTypeAndBody) {
  const auto server = Start();
  const Result<HttpResponse> json = HttpGet(server->address(), "/status", kPatience);
  ASSERT_TRUE(json.ok()) << json.error().message;
  EXPECT_EQ(json.value().status, 200);
  EXPECT_EQ(json.value().content_type, "application/json");
  EXPECT_EQ(json.value().body, "{}");
  const Result<HttpResponse> ready = HttpGet(server->address(), "/readyz?verbose", kPatience);
  ASSERT_TRUE(ready.ok()) << ready.error().message;
  EXPECT_EQ(ready.value().status, 503);
  EXPECT_EQ(ready.value().body, "no view yet\n");
  EXPECT_EQ(HttpGet(server->address(), "/other", kPatience).value().status, 404);
}

TEST(HttpTest, AnswersHeadWithoutABodyAndNothingElse) {
  const auto server = Start();
  const std::string head = Exchange(PortOf(*server), "HEAD /status HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200")) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    const std::string answer = Exchange(
        PortOf(*server),
        std::string(method) + " /status HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 405")) << answer;
    EXPECT_NE(answer.find("Allow: GET, HEAD"), std::string::npos) << answer;
  }
}

TEST(HttpTest, SurvivesBytesThatAreNoHttp) {
  const auto server = Start();
  Exchange(PortOf(*server), std::string("\x00\xFF\x01garbage\r\n\r\n\r\n", 16));
  Exchange(PortOf(*server), "GET /" + std::string(100000, 'a') + " HTTP/1.1\r\n\r\n");
  EXPECT_EQ(HttpGetBody(server->address(), "/status", kPatience).value(), "{}");
}

TEST(HttpTest, IsNotHeldUpByClientsThatSayNothing) {
  const auto server = Start();
  std::vector<FileDescriptor> silent;
  for (size_t i = 0; i < 26; ++i) {
    silent.push_back(Connect(PortOf(*server)));
  }
  EXPECT_TRUE(HttpGetBody(server->address(), "/status", std::chrono::milliseconds(900)).ok())
      << "it waits for those who say nothing";
}

TEST(HttpTest, CutsOffClientsThatSayNothingBeyondItsBound) {
  const auto server = Start();
  std::vector<FileDescriptor> silent;
  for (size_t i = 0; i < kHttpThreads + kHttpWaitingMax; ++i) {
    silent.push_back(Connect(PortOf(*server)));
  }
  EXPECT_TRUE(HttpGetBody(server->address(), "/status", std::chrono::seconds(30)).ok());
  char byte = 0;
  EXPECT_EQ(recv(silent.front().get(), &byte, 1, 0), 0) << "the first is still connected";
}

TEST(HttpTest, SaysThatAPortIsInUse) {
  const auto first = Start();
  const Result<std::unique_ptr<HttpServer>> second =
      HttpServer::Start({.port = PortOf(*first)}, Routes());
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find(first->address() + ": the port is in use"),
            std::string::npos)
      << second.error().message;
}

TEST(HttpTest, SaysThatAHostIsNotThisMachines) {
  const Result<std::unique_ptr<HttpServer>> server =
      HttpServer::Start({.host = "192.0.2.1"}, Routes());
  ASSERT_FALSE(server.ok());
  EXPECT_NE(server.error().message.find("192.0.2.1"), std::string::npos);
}

TEST(HttpTest, FreesItsPortWhenItGoes) {
  auto server = Start();
  const uint16_t port = PortOf(*server);
  const std::string address = server->address();
  EXPECT_TRUE(HttpGet(address, "/status", kPatience).ok());
  server.reset();
  EXPECT_EQ(HttpGet(address, "/status", kPatience).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(PortOf(*Start(port)), port);
}

TEST(HttpTest, RefusesAnAddressThatCannotBe) {
  for (const char* address : {"", "localhost", ":1", "a:0", "a:b", "a:65536"}) {
    EXPECT_EQ(HttpGet(address, "/", kPatience).error().code, ErrorCode::kBadUsage) << address;
  }
}

TEST(HttpTest, SaysTheStatusWhereOnlyABodyWillDo) {
  const auto server = Start();
  const Result<std::string> body = HttpGetBody(server->address(), "/readyz", kPatience);
  ASSERT_FALSE(body.ok());
  EXPECT_NE(body.error().message.find("status 503: no"), std::string::npos) << body.error().message;
}

TEST(PublishedTest, HandsTheLatestValueToOtherThreads) {
  Published<std::string> published("none");
  std::thread agent([&] {
    for (int i = 0; i <= 100; ++i) published.Set(std::to_string(i));
  });
  EXPECT_FALSE(published.Get().empty());
  agent.join();
  EXPECT_EQ(published.Get(), "100");
}

}  // namespace
}  // namespace shardmill
