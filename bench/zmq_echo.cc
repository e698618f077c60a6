#include "bench/zmq_echo.h"

#include <zmq.h>

#include <array>
#include <utility>

#include "common/process/announce.h"

namespace shardmill::bench {
namespace {

Error ZmqError(const char* what) {
  return {ErrorCode::kFailed, std::string(what) + ": " + zmq_strerror(zmq_errno())};
}

void KeepBytes(void* /*data*/, void* /*hint*/) {}

}  // namespace

Result<> ServeZmqEcho(int announce_fd) {
  void* context = zmq_ctx_new();
  void* router = zmq_socket(context, ZMQ_ROUTER);
  const int unlimited = 0;
  zmq_setsockopt(router, ZMQ_SNDHWM, &unlimited, sizeof(unlimited));
  zmq_setsockopt(router, ZMQ_RCVHWM, &unlimited, sizeof(unlimited));
  if (zmq_bind(router, "tcp://127.0.0.1:*") != 0) return ZmqError("zmq_bind");
  std::array<char, 256> endpoint{};
  size_t size = endpoint.size();
  if (zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint.data(), &size) != 0) {
    return ZmqError("zmq_getsockopt");
  }
  SM_TRY(Announce(announce_fd, {endpoint.data(), ""}));
  zmq_msg_t part;
  zmq_msg_init(&part);
  while (true) {
    if (zmq_msg_recv(&part, router, 0) < 0) return ZmqError("zmq_msg_recv");
    const int more = zmq_msg_more(&part);
    if (zmq_msg_send(&part, router, more ? ZMQ_SNDMORE : 0) < 0) return ZmqError("zmq_msg_send");
  }
}

Result<ZmqEcho> ZmqEcho::Connect(const std::string& endpoint) {
  ZmqEcho echo(zmq_ctx_new(), nullptr);
  echo.socket_ = zmq_socket(echo.context_, ZMQ_DEALER);
  const int none = 0;
  zmq_setsockopt(echo.socket_, ZMQ_LINGER, &none, sizeof(none));
  zmq_setsockopt(echo.socket_, ZMQ_SNDHWM, &none, sizeof(none));
  zmq_setsockopt(echo.socket_, ZMQ_RCVHWM, &none, sizeof(none));
  if (zmq_connect(echo.socket_, endpoint.c_str()) != 0) return ZmqError("zmq_connect");
  return echo;
}

ZmqEcho::ZmqEcho(ZmqEcho&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)),
      socket_(std::exchange(other.socket_, nullptr)) {}

ZmqEcho::~ZmqEcho() {
  if (socket_ != nullptr) zmq_close(socket_);
  if (context_ != nullptr) zmq_ctx_term(context_);
}

Result<> ZmqEcho::Run(std::span<const std::byte> bytes, int count) {
  zmq_msg_t message;
  for (int i = 0; i < count; ++i) {
    zmq_msg_init_data(&message, const_cast<std::byte*>(bytes.data()), bytes.size(), KeepBytes,
                      nullptr);
    if (zmq_msg_send(&message, socket_, 0) < 0) return ZmqError("zmq_msg_send");
  }
  for (int i = 0; i < count; ++i) {
    zmq_msg_init(&message);
    if (zmq_msg_recv(&message, socket_, 0) < 0) return ZmqError("zmq_msg_recv");
    zmq_msg_close(&message);
  }
  return {};
}

}  // namespace shardmill::bench
