#include "tests/common/net/knock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <list>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "common/net/curve.h"
#include "common/process/file_descriptor.h"

namespace shardmill {
namespace {

zmq::const_buffer BufferOf(const Key& key) { return zmq::buffer(key.data(), key.size()); }

void SetKeys(zmq::socket_t& socket, const Key& owner, const Key& own, const Key& secret) {
  socket.set(zmq::sockopt::curve_serverkey, BufferOf(owner));
  socket.set(zmq::sockopt::curve_publickey, BufferOf(own));
  socket.set(zmq::sockopt::curve_secretkey, BufferOf(secret));
}

std::string Noise(Rng& rng) {
  std::string noise(64 + rng.Below(1024), '\0');
  for (char& c : noise) c = static_cast<char>(rng.Below(256));
  // A first byte of ours would be the beginning of a long frame, which may be waited for.
  noise[0] = 'x';
  return noise;
}

std::string Greeting(const std::string& mechanism) {
  std::string greeting = std::string("\xff\0\0\0\0\0\0\0\1\x7f\3\0", 12) + mechanism;
  greeting.resize(64, '\0');
  return greeting;
}

// What those say who have no ZeroMQ.
std::string BytesOf(Way way, Rng& rng) {
  switch (way) {
    case Way::kNoise:
      return Noise(rng);
    case Way::kBrowser:
      return "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    case Way::kOldVersion:
      return std::string("\xff\0\0\0\0\0\0\0\1\x7f\1\5\0\0", 14);
    case Way::kOldestVersion:
      return std::string("\x01\x00\x06hello", 8);
    case Way::kNullGreeting:
      return Greeting("NULL");
    case Way::kLongHello:
      // A long command frame that says that 2^62 bytes follow.
      return Greeting("CURVE") + std::string("\x06\x40\0\0\0\0\0\0\0", 9) + "\x05HELLO";
    default:
      return "";
  }
}

}  // namespace

bool IsOfKey(Way way) { return way == Way::kUnlisted || way == Way::kRevoked; }

struct Knockers::Impl {
  StrangersKeys keys;
  zmq::context_t context = zmq::context_t(1);
  std::list<zmq::socket_t> sockets = {};
  std::vector<FileDescriptor> files = {};

  void KnockWithZeroMq(Way way, const std::string& endpoint, const Key& owner);
  void KnockWithBytes(Way way, const std::string& endpoint, Rng& rng);
};

Knockers::Knockers(StrangersKeys keys) : impl_(new Impl{.keys = std::move(keys)}) {}
Knockers::~Knockers() = default;

void Knockers::Impl::KnockWithZeroMq(Way way, const std::string& endpoint, const Key& owner) {
  zmq::socket_t& socket = sockets.emplace_back(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::reconnect_ivl, -1);  // Each is counted once.
  const auto of = [&](const KeyPair& pair) {
    SetKeys(socket, owner, pair.certificate.key, pair.secret);
  };
  if (way == Way::kPassword) {
    socket.set(zmq::sockopt::plain_username, "admin");
    socket.set(zmq::sockopt::plain_password, "password");
  } else if (way == Way::kWrongServerKey) {
    SetKeys(socket, MakeKeyPair().certificate.key, keys.unlisted.certificate.key,
            keys.unlisted.secret);
  } else if (way == Way::kWrongSecret) {
    SetKeys(socket, owner, keys.listed.certificate.key, keys.unlisted.secret);
  } else if (way == Way::kBadPublicKey) {
    SetKeys(socket, owner, Key{}, keys.unlisted.secret);
  } else if (way == Way::kUnlisted) {
    of(keys.unlisted);
  } else if (way == Way::kRevoked) {
    of(keys.revoked);
  }
  socket.connect(endpoint);
  socket.send(zmq::str_buffer("let me in"), zmq::send_flags::dontwait);
}

void Knockers::Impl::KnockWithBytes(Way way, const std::string& endpoint, Rng& rng) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  FileDescriptor& file = files.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(file.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) return;
  const std::string bytes = BytesOf(way, rng);
  // Who is cut off before it has said all is refused as well.
  [[maybe_unused]] const ssize_t sent = send(file.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void Knockers::Knock(Way way, const std::string& endpoint, const Key& owner, Rng& rng) {
  if (way >= Way::kNoise) {
    impl_->KnockWithBytes(way, endpoint, rng);
  } else {
    impl_->KnockWithZeroMq(way, endpoint, owner);
  }
}

}  // namespace shardmill
