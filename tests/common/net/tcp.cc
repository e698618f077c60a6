#include "tests/common/net/tcp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace shardmill {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

TcpListener::TcpListener(Manner manner) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(socket_, 8) != 0 ||
      getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this, manner] { Serve(manner); });
}

TcpListener::~TcpListener() {
  shutdown(socket_, SHUT_RDWR);
  thread_.join();
  close(socket_);
}

void TcpListener::Serve(Manner manner) const {
  std::vector<int> open;
  int peer = -1;
  while ((peer = accept(socket_, nullptr, nullptr)) >= 0) {
    if (manner == Manner::kSaysNothing) {
      open.push_back(peer);
      continue;
    }
    if (manner == Manner::kAnswersAndHangsUp) {
      char request[64];
      const std::string answer = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
      if (read(peer, request, sizeof(request)) > 0) {
        send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    }
    close(peer);
  }
  for (const int each : open) close(each);
}

void WriteTcp(const std::string& endpoint, const std::string& bytes) {
  const int peer = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
  if (connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    std::abort();
  }
  send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  close(peer);
}

}  // namespace shardmill
